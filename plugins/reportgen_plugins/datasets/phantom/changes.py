"""Pairs of studies: the earlier study of a person, what has changed since, and what a report says of it.

The later study is the one that the phantom draws anyway; the earlier one, the prior, is made from it backwards. Each
finding was there before (unchanged, or smaller or larger before by one degree) or was not (new), and a finding that was
there before may be gone (resolved). Findings that do not come and go (a scoliosis, old wires) are unchanged. Reports of
a study with a prior state each change; reports without a prior state none. The indication names one suspicion, which
is right more often than not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .film.canvas import Rng, rng
from .film.findings import KINDS, Finding, placed

VERSION = 1  # increased when the same seed gives other pairs
CHANGES = ("unchanged", "new", "larger", "smaller", "resolved")
LASTING = frozenset({
    "aorta", "hernia", "hypoinflation", "hyperinflation", "diaphragm", "granuloma", "fracture", "degenerative",
    "scoliosis", "pacemaker", "wires",
})  # fmt: skip
PASSING = {  # what can resolve, as a report names it: {p} is its place
    "edema": "pulmonary edema", "consolidation": "{p} consolidation", "opacity": "hazy opacity in the {p}",
    "atelectasis": "{p} basilar atelectasis", "effusion": "{p} pleural effusion", "pneumothorax": "{p} pneumothorax",
}  # fmt: skip
SUSPECTED = {
    "cardiomegaly": "cardiomegaly", "edema": "pulmonary edema", "consolidation": "consolidation", "mass": "a mass",
    "nodule": "a nodule", "atelectasis": "atelectasis", "effusion": "pleural effusion", "pneumothorax": "pneumothorax",
    "fracture": "rib fracture", "hernia": "hiatal hernia",
}  # fmt: skip
ASKED = ("Suspected {}.", "Rule out {}.", "Evaluate for {}.")
RIGHT = 0.7  # how often the suspicion is one of the findings, if there is one that is suspected at all
ENDS = {  # of the sentence that states a finding; the first is short, for impressions
    "unchanged": (", unchanged", ", unchanged since the prior study"),
    "new": (", new", ", new since the prior study"),
    "larger": (", larger", ", larger than on the prior study"),
    "smaller": (", smaller", ", smaller than on the prior study"),
}
_GONE, _UNCHANGED, _NEW, _RESOLVED = 0.4, 0.35, 0.25, "resolved"
_STATED = {change: re.compile(rf"\b{change}\b") for change in CHANGES}


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the findings of one kind since the prior study."""

    kind: str
    change: str  # one of CHANGES
    findings: tuple[Finding, ...]  # as they are now; of a resolved kind, as they were

    def to_json(self) -> dict[str, Any]:
        """Return the change as JSON values."""
        return {"kind": self.kind, "change": self.change, "findings": [asdict(f) for f in self.findings]}


def draw_prior(
    id: str, seed: int, findings: Sequence[Finding], share: float
) -> tuple[tuple[Finding, ...], tuple[Change, ...]] | None:
    """Return the findings of the prior of a study, and what has changed since; None if it has no prior.

    A `share` of all studies has one. A study's prior is the same whatever the share is.
    """
    source = rng("pairs", seed, id)
    if source.random() >= share:
        return None
    prior: list[Finding] = []
    changes: list[Change] = []
    for kind in dict.fromkeys(f.kind for f in findings):
        now = tuple(f for f in findings if f.kind == kind)
        change, before = _before(kind, now, source)
        changes.append(Change(kind, change, now))
        prior += before
    gone = [kind for kind in PASSING if kind not in {f.kind for f in findings}]
    if source.random() < _GONE and gone:
        before = tuple(placed(gone[int(source.integers(len(gone)))], source))
        changes.append(Change(before[0].kind, _RESOLVED, before))
        prior += before
    return tuple(sorted(prior, key=lambda f: list(KINDS).index(f.kind))), tuple(changes)


def _before(kind: str, now: tuple[Finding, ...], source: Rng) -> tuple[str, tuple[Finding, ...]]:
    """Return what became of the findings of a kind, and how they were before; () if they are new."""
    number, direction = source.random(2)
    if kind in LASTING or number < _UNCHANGED:
        return "unchanged", now
    if number < _UNCHANGED + _NEW:
        return "new", ()
    degrees = KINDS[kind].degrees
    at = degrees.index(now[0].degree)
    steps = [(change, at + by) for change, by in (("larger", -1), ("smaller", 1)) if 0 <= at + by < len(degrees)]
    if not steps:
        return "unchanged", now
    change, degree = steps[int(direction * len(steps))]
    return change, tuple(replace(f, degree=degrees[degree]) for f in now)


class Wording:
    """The words of one report for the changes. Their random numbers are their own, so that other words stay."""

    def __init__(self, id: str, seed: int, changes: Sequence[Change]) -> None:
        self.source = rng("words of changes", seed, id)
        self.changes = {c.kind: c for c in changes}

    def end(self, kind: str, *, short: bool) -> str:
        """Return the end of the sentence on a kind of finding; "" if nothing is known of an earlier study."""
        change = self.changes.get(kind)
        if change is None or change.change == _RESOLVED:
            return ""
        ends = ENDS[change.change]
        return ends[0] if short else ends[int(self.source.random() * len(ends))]

    def resolved(self, kind: str) -> str:
        """Return the sentence that a kind of finding has resolved, without capital and stop; "" if it has not."""
        change = self.changes.get(kind)
        if change is None or change.change != _RESOLVED:
            return ""
        sides = len(change.findings) > 1
        noun = PASSING[kind].format(p="bilateral" if sides else change.findings[0].place)
        return f"the {noun}s have resolved" if sides and kind == "effusion" else f"the {noun} has resolved"


def indication(id: str, seed: int, findings: Sequence[Finding]) -> tuple[str, str]:
    """Return why a study is made, and the kind of finding that is suspected."""
    source = rng("indication", seed, id)
    present = [kind for kind in SUSPECTED if kind in {f.kind for f in findings}]
    others = [kind for kind in SUSPECTED if kind not in present]
    right = bool(present) and source.random() < RIGHT
    kinds = present if right else others
    kind = kinds[int(source.integers(len(kinds)))]
    return ASKED[int(source.integers(len(ASKED)))].format(SUSPECTED[kind]), kind


def read_changes(text: str, heads: Mapping[str, re.Pattern[str]]) -> set[tuple[str, str]]:
    """Return the kinds of findings of which a report states a change, with the change. `heads` finds the kinds."""
    pairs = set()
    for sentence in re.split(r"[.;\n]", text.lower()):
        for change in (c for c, word in _STATED.items() if word.search(sentence)):
            pairs |= {(kind, change) for kind, head in heads.items() if head.search(sentence)}
    return pairs


def states_change(text: str) -> bool:
    """Return whether a report states any change, or speaks of a prior study."""
    return bool(re.search(r"\b(?:" + "|".join((*CHANGES, "prior study")) + r")\b", text.lower()))


def true_changes(extra: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return the drawn changes of a study, of its `extra`, as `read_changes` gives them."""
    return {(change["kind"], change["change"]) for change in extra.get("changes", ())}


def counts(stated: Iterable[object], true: Iterable[object]) -> tuple[int, int, int]:
    """Return how many of the stated things are true, how many are stated, and how many are true."""
    a, b = set(stated), set(true)
    return len(a & b), len(a), len(b)
