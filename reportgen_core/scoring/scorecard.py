"""Scores that say how they were made: each carries protocol, sections, split, number of studies, version and seed.

Two lines may stand in one table when `unlike` finds nothing between their cards.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..types import ScoreLine


@dataclass(frozen=True, slots=True)
class Card:
    """How the scores of one evaluation were made."""

    protocol: str  # "r2gen 1": name and version
    sections: tuple[str, ...] = ()  # of the references; empty: nobody said
    dataset: str = ""
    split: str = ""
    split_hash: str = ""  # of ids and references: equal hashes mean the same studies and the same reference texts
    training_hash: str = ""  # of the training reports that the protocol learnt from; empty where it learns nothing
    n: int = 0  # studies scored
    of: int = 0  # studies with a reference; n < of marks a partial score
    seed: int = 0
    resamples: int = 0  # of the bootstrap

    @property
    def partial(self) -> bool:
        """Whether predictions were missing."""
        return self.n < self.of


@dataclass(frozen=True, slots=True)
class System:
    """Whose scores: the reports that are judged, or a baseline."""

    name: str
    lines: tuple[ScoreLine, ...]
    subsets: Mapping[str, tuple[ScoreLine, ...]]  # "seen in training": …
    note: str = ""  # how a baseline was made
    size: Mapping[str, int] | None = None  # studies in each subset

    def line(self, name: str) -> ScoreLine | None:
        """The line of that name."""
        return next((line for line in self.lines if line.name == name), None)


def unlike(a: Card, b: Card) -> list[str]:
    """What keeps two cards out of one table, in words; empty where nothing does."""
    words = {
        "protocol": "protocol",
        "sections": "sections",
        "split_hash": "studies or references",
        "training_hash": "training reports behind the protocol",
        "n": "number of studies",
    }
    found = []
    for field, word in words.items():
        ours, theirs = getattr(a, field), getattr(b, field)
        if ours != theirs:
            found.append(f"{word}: {_said(ours)} against {_said(theirs)}")
    return found


def unlike_lines(a: Iterable[ScoreLine], b: Iterable[ScoreLine]) -> list[str]:
    """Scores of one name that were made by different versions of a metric."""
    versions = {line.name: line.version for line in a}
    return [
        f"{line.name}: version {versions[line.name]} against {line.version}"
        for line in b
        if versions.get(line.name, line.version) != line.version
    ]


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return " then ".join(value) or "not stated"
    return str(value) or "none"


def fingerprint(texts: Mapping[str, Sequence[str]]) -> str:
    """12 hexadecimal digits that change with any id or text, and not with their order."""
    rows = sorted((id, list(t)) for id, t in texts.items())
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def flat_lines(card: Card, systems: Iterable[System]) -> list[dict[str, Any]]:
    """One row a number with all that its card says, for JSON and CSV: no number leaves without its protocol."""
    rows = []
    for system in systems:
        for subset, lines in {"all": system.lines, **system.subsets}.items():
            n = card.n if subset == "all" else (system.size or {}).get(subset, 0)
            for line in lines:
                rows.append(
                    {
                        "system": system.name,
                        "subset": subset,
                        "score": line.name,
                        "value": line.value,
                        "low": line.low,
                        "high": line.high,
                        "better": {True: "higher", False: "lower", None: ""}[line.higher_is_better],
                        "metric": line.metric,
                        "metric_version": line.version,
                        "protocol": card.protocol,
                        "sections": " ".join(card.sections),
                        "dataset": card.dataset,
                        "split": card.split,
                        "split_hash": card.split_hash,
                        "n": n,
                        "of": card.of if subset == "all" else n,
                        "partial": card.partial,
                        "seed": card.seed,
                    }
                )
    return rows


def card_to_json(card: Card) -> dict[str, Any]:
    """JSON values."""
    return {**asdict(card), "sections": list(card.sections), "partial": card.partial}


def card_from_json(values: Mapping[str, Any]) -> Card:
    """What `card_to_json` wrote."""
    known = {k: v for k, v in values.items() if k != "partial"}
    return replace(Card(**known), sections=tuple(values["sections"]))


def system_to_json(system: System) -> dict[str, Any]:
    """JSON values."""
    return {
        "name": system.name,
        "note": system.note,
        "lines": [asdict(line) for line in system.lines],
        "subsets": {k: [asdict(line) for line in lines] for k, lines in system.subsets.items()},
        "size": dict(system.size or {}),
    }


def system_from_json(values: Mapping[str, Any]) -> System:
    """What `system_to_json` wrote."""
    subsets = {k: tuple(ScoreLine(**line) for line in lines) for k, lines in values["subsets"].items()}
    lines = tuple(ScoreLine(**line) for line in values["lines"])
    return System(values["name"], lines, subsets, values["note"], values["size"])


def sentence(card: Card) -> str:
    """The card in words, for the foot of a table."""
    parts = [f"protocol {card.protocol}"]
    parts.append(" then ".join(card.sections) if card.sections else "section not stated")
    where = " ".join(p for p in (card.dataset, card.split) if p)
    if where:
        parts.append(where)
    parts.append(f"n = {card.n}" + (f" of {card.of} (PARTIAL)" if card.partial else ""))
    parts.append(f"split {card.split_hash}")
    parts.append(
        f"95 % intervals of {card.resamples} resamples, seed {card.seed}" if card.resamples else "no intervals"
    )
    return ", ".join(parts)
