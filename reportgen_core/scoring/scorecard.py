"""Score cards record how scores were computed: protocol, sections, split, number of studies, version and seed.

Two scores may be in one table if `card_differences` of their cards is empty.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..types import ScoreLine
from .studies.failed import FailedStudy


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """How the scores of one evaluation were computed."""

    protocol: str  # "r2gen 1": name and version
    sections: tuple[str, ...] = ()  # of the references; (): not stated
    dataset: str = ""
    split: str = ""
    split_hash: str = ""  # of ids and references: equal hashes mean the same studies and the same reference texts
    training_hash: str = ""  # of the training reports that the protocol learnt from; "" if it learns nothing
    n: int = 0  # studies scored
    of: int = 0  # studies with a reference; n < of marks a partial score
    seed: int = 0
    resamples: int = 0  # of the bootstrap
    patients: int = 0  # drawn by intervals and tests; 0: no study names a patient, and studies are drawn
    intervals: str = "1"  # version of intervals and tests, see `uncertainty.VERSION`
    baselines: str = "1"  # version of the baselines, see `baselines.VERSION`

    @property
    def partial(self) -> bool:
        """Return whether predictions were missing."""
        return self.n < self.of


@dataclass(frozen=True, slots=True)
class System:
    """The scores of the evaluated reports, or of a baseline."""

    name: str
    lines: tuple[ScoreLine, ...]
    subsets: Mapping[str, tuple[ScoreLine, ...]]  # "seen in training": …
    note: str = ""  # how a baseline was made
    size: Mapping[str, int] | None = None  # studies in each subset
    differences: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)  # of a baseline, by score: the
    # evaluated reports minus this baseline, with the ends of the 95 % interval

    def line(self, name: str) -> ScoreLine | None:
        """Return the line of that name; None if there is none."""
        return next((line for line in self.lines if line.name == name), None)


def card_differences(a: ScoreCard, b: ScoreCard) -> list[str]:
    """Return the reasons why scores of two cards cannot be compared; [] if they can."""
    words = {
        "protocol": "protocol",
        "sections": "sections",
        "split_hash": "studies or references",
        "training_hash": "training reports behind the protocol",
        "n": "number of studies",
        "intervals": "version of intervals and tests",
        "baselines": "version of the baselines",
    }
    differences = []
    for name, word in words.items():
        ours, theirs = getattr(a, name), getattr(b, name)
        if ours != theirs:
            differences.append(f"{word}: {_shown(ours)} against {_shown(theirs)}")
    return differences


def version_differences(a: Iterable[ScoreLine], b: Iterable[ScoreLine]) -> list[str]:
    """Return a line for each score that is in both, by different versions of its metric."""
    versions = {line.name: line.version for line in a}
    return [
        f"{line.name}: version {versions[line.name]} against {line.version}"
        for line in b
        if versions.get(line.name, line.version) != line.version
    ]


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " then ".join(value) or "not stated"
    return str(value) or "none"


def fingerprint(texts: Mapping[str, Sequence[str]]) -> str:
    """Return 12 hexadecimal digits that depend on every id and text, and not on their order."""
    rows = sorted((id, list(t)) for id, t in texts.items())
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def flat_lines(
    card: ScoreCard,
    systems: Sequence[System],
    problems: Mapping[str, str] | None = None,
    gaps: Mapping[tuple[str, str], float] | None = None,
    failed: Sequence[FailedStudy] = (),
) -> list[dict[str, Any]]:
    """Return a row for each number with the fields of its card, for JSON and CSV: every number has its protocol.

    A metric without a score has a row of the first system without a value, and the reason as `problem`; so has each
    study that a metric could not score, in the subset "study ID" of its system. `gaps` has the difference of each
    subset of the first system from the best one, by (subset, score).
    """
    rows = []
    for system in systems:
        for subset, lines in {"all": system.lines, **system.subsets}.items():
            n = card.n if subset == "all" else (system.size or {}).get(subset, 0)
            of = card.of if subset == "all" else n
            known = (gaps or {}) if system is systems[0] else {}
            for line in lines:
                last = {"gap": known.get((subset, line.name)), "note": line.note, "problem": ""}
                rows.append({**_flat_line(system.name, subset, line), **_flat_card(card, n, of), **last})
    without = [(systems[0].name, "all", metric, why) for metric, why in (problems or {}).items()]
    without += [(f.system, f"study {f.study}", f.metric, f.why) for f in failed]
    for name, subset, metric, why in without:
        empty = ScoreLine(metric, math.nan, higher_is_better=None, metric=metric)
        sizes = (card.n, card.of) if subset == "all" else (1, 1)
        row = {**_flat_line(name, subset, empty), **_flat_card(card, *sizes), "value": None}
        rows.append({**row, "gap": None, "note": "", "problem": why})
    return rows


def _flat_line(system: str, subset: str, line: ScoreLine) -> dict[str, Any]:
    return {
        "system": system,
        "subset": subset,
        "score": line.name,
        "value": line.value,
        "low": line.low,
        "high": line.high,
        "better": {True: "higher", False: "lower", None: ""}[line.higher_is_better],
        "metric": line.metric,
        "metric_version": line.version,
    }


def _flat_card(card: ScoreCard, n: int, of: int) -> dict[str, Any]:
    return {
        "protocol": card.protocol,
        "sections": " ".join(card.sections),
        "dataset": card.dataset,
        "split": card.split,
        "split_hash": card.split_hash,
        "n": n,
        "of": of,
        "partial": card.partial,
        "seed": card.seed,
        "patients": card.patients,
        "intervals_version": card.intervals,
        "baselines_version": card.baselines,
    }


def card_to_json(card: ScoreCard) -> dict[str, Any]:
    """Return a card as JSON values."""
    return {**asdict(card), "sections": list(card.sections), "partial": card.partial}


def card_from_json(values: Mapping[str, Any]) -> ScoreCard:
    """Return the card that `card_to_json` wrote."""
    fields = {k: v for k, v in values.items() if k != "partial"}
    return replace(ScoreCard(**fields), sections=tuple(values["sections"]))


def system_to_json(system: System) -> dict[str, Any]:
    """Return a system as JSON values."""
    return {
        "name": system.name,
        "note": system.note,
        "lines": [asdict(line) for line in system.lines],
        "subsets": {k: [asdict(line) for line in lines] for k, lines in system.subsets.items()},
        "size": dict(system.size or {}),
        "differences": {k: list(ends) for k, ends in system.differences.items()},
    }


def system_from_json(values: Mapping[str, Any]) -> System:
    """Return the system that `system_to_json` wrote."""
    subsets = {k: tuple(ScoreLine(**line) for line in lines) for k, lines in values["subsets"].items()}
    lines = tuple(ScoreLine(**line) for line in values["lines"])
    differences = {
        k: (float(v), float(low), float(high)) for k, (v, low, high) in values.get("differences", {}).items()
    }
    return System(values["name"], lines, subsets, values["note"], values["size"], differences)


def describe_card(card: ScoreCard) -> str:
    """Return the card in words, for the foot of a table."""
    parts = [f"protocol {card.protocol}"]
    parts.append(" then ".join(card.sections) if card.sections else "section not stated")
    where = " ".join(p for p in (card.dataset, card.split) if p)
    if where:
        parts.append(where)
    parts.append(f"n = {card.n}" + (f" of {card.of} (PARTIAL)" if card.partial else ""))
    parts.append(f"split {card.split_hash}")
    nobody = ", no patient is named" if card.intervals != "1" else ""  # version 1 drew studies in any case
    drawn = f"{card.patients} patients" if card.patients else f"{card.n} studies{nobody}"
    how = f"{card.resamples} resamples of {drawn}, seed {card.seed}, version {card.intervals}"
    parts.append(f"95 % intervals of {how}" if card.resamples else "no intervals")
    return ", ".join(parts)
