"""Split the scored studies into subgroups, and compare the scores of subgroups with those of the best one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...types import ScoreLine
from ..baselines import verbatim
from ..scorecard import System
from .values import in_order

if TYPE_CHECKING:
    from ..evaluation_set import EvaluationSet

FEW = 30  # studies or patients: scores of fewer carry a caution
TRAINING, REFERENCE = "training", "reference"  # the columns of the subgroups that need no `by`


@dataclass(frozen=True, slots=True)
class Subgroup:
    """The studies with one value of a column. `name` is unique among the subgroups of an evaluation."""

    column: str
    name: str
    studies: int
    patients: int  # 0: no study names a patient

    @property
    def caution(self) -> str:
        """Return a warning if the subgroup is too small for a firm score; "" otherwise."""
        count, what = (self.patients, "patients") if self.patients else (self.studies, "studies")
        return f"fewer than {FEW} {what}" if count < FEW else ""

    @property
    def value(self) -> str:
        """Return the name without its column."""
        return self.name.removeprefix(f"{self.column}: ")


def split_studies(cases: EvaluationSet) -> dict[str, tuple[str, list[int]]]:
    """Return the column and the studies of each subgroup, by its name.

    References seen and unseen in training and normal and abnormal references come first, each pair if it is known.
    """
    background = cases.background
    subsets: dict[str, tuple[str, list[int]]] = {}
    if background.training:
        training = {verbatim(t) for t in background.training.values()}
        seen = [verbatim(r[0]) in training for r in cases.references]
        subsets |= _halves(TRAINING, seen, "seen in training", "unseen in training")
    if all(i in background.normal for i in cases.ids):
        subsets |= _halves(REFERENCE, [background.normal[i] for i in cases.ids], "normal", "abnormal")
    for column, names in cases.groups.items():
        for name in in_order(column, names):
            subsets[f"{column}: {name}"] = column, [i for i, n in enumerate(names) if n == name]
    return subsets


def _halves(column: str, flags: Sequence[bool], yes: str, no: str) -> dict[str, tuple[str, list[int]]]:
    return {
        yes: (column, [i for i, f in enumerate(flags) if f]),
        no: (column, [i for i, f in enumerate(flags) if not f]),
    }


def subgroups_of(cases: EvaluationSet, subsets: Mapping[str, tuple[str, Sequence[int]]]) -> tuple[Subgroup, ...]:
    """Return the subgroups that have studies, with their sizes."""
    groups = []
    for name, (column, which) in subsets.items():
        known = [cases.patients[i] or f"\0{i}" for i in which] if cases.patients else []
        if which:
            groups.append(Subgroup(column, name, len(which), len(set(known))))
    return tuple(groups)


def gaps(system: System, subgroups: Sequence[Subgroup]) -> dict[tuple[str, str], float]:
    """Return the difference of a score from that of the best subgroup of its column, by (subgroup, score).

    The best subgroup has 0, also if it is small. A score of which neither way is better has no gap.
    """
    differences: dict[tuple[str, str], float] = {}
    for column in dict.fromkeys(g.column for g in subgroups):
        names = [g.name for g in subgroups if g.column == column]
        lines: dict[str, list[tuple[str, ScoreLine]]] = {}
        for name in names:
            for line in system.subsets.get(name, ()):
                if line.higher_is_better is not None and line.value == line.value:
                    lines.setdefault(line.name, []).append((name, line))
        for score, rows in lines.items():
            best = (max if rows[0][1].higher_is_better else min)(line.value for _, line in rows)
            differences |= {(name, score): line.value - best for name, line in rows}
    return differences


def subgroups_to_json(system: System, subgroups: Sequence[Subgroup]) -> list[dict[str, Any]]:
    """Return the subgroups with the scores of a system as JSON values."""
    differences = gaps(system, subgroups)
    return [
        {
            "column": group.column,
            "group": group.value,
            "studies": group.studies,
            "patients": group.patients,
            "caution": group.caution,
            "scores": {
                line.name: {
                    "value": line.value,
                    "low": line.low,
                    "high": line.high,
                    "gap": differences.get((group.name, line.name)),
                    "note": line.note,
                }
                for line in system.subsets.get(group.name, ())
            },
        }
        for group in subgroups
    ]
