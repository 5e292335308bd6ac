"""Tables as values: cells as they are printed, and the scores of systems with intervals, groups and best values."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...types import ScoreLine
from ..scorecard import System

Kind = Literal["system", "baseline", "oracle"]
KINDS: dict[Kind, str] = {"system": "Systems", "baseline": "Baselines, which see no image", "oracle": "Oracles"}
_WRITTEN = {  # parts of the names of scores, as the literature writes them
    "bleu": "BLEU", "meteor": "METEOR", "rouge": "ROUGE", "cider": "CIDEr", "f1": "F1", "auc": "AUC",
    "chexpert": "CheXpert", "chexbert": "CheXbert", "radgraph": "RadGraph", "bertscore": "BERTScore", "l": "L",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScoreColumn:
    """A column of scores."""

    name: str  # of the score: bleu-4
    label: str  # BLEU-4
    arrow: str  # in the better direction; "" if there is none
    metric: str  # the registered name of its metric


@dataclass(frozen=True, slots=True)
class ScoreCell:
    """One score with the ends of its interval, which are None if it has none. `value` is None without a score."""

    value: float | None
    low: float | None = None
    high: float | None = None
    noted: bool = False  # a note below the table belongs to it
    best: bool = False  # no other row but an oracle has a better one


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The scores of one system."""

    name: str
    kind: Kind
    cells: tuple[ScoreCell, ...]
    spread: str = "95 %"  # what the intervals are: of means over seeds they are ranges


@dataclass(frozen=True, slots=True)
class ScoreGrid:
    """The scores of systems, in the order of their kinds: systems, baselines, oracles."""

    columns: tuple[ScoreColumn, ...]
    rows: tuple[ScoreRow, ...]

    def groups(self) -> list[tuple[Kind, list[ScoreRow]]]:
        """Return the rows of each kind that has any."""
        kinds = [(kind, [row for row in self.rows if row.kind == kind]) for kind in KINDS]
        return [(kind, rows) for kind, rows in kinds if rows]


@dataclass(frozen=True, slots=True)
class PrintedTable:
    """A table of cells as they are printed. The first column names the row. `grid` has the same scores as values."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: tuple[str, ...] = ()
    grid: ScoreGrid | None = None


def score_grid(systems: Sequence[System], shown: Sequence[ScoreLine]) -> ScoreGrid:
    """Return the scores of `systems` that `shown` names, and mark the best of each column; oracles take no part."""
    best = {line.name: _best(line, systems) for line in shown}
    rows = []
    for system in systems:
        cells = []
        for name, line in ((s.name, system.line(s.name)) for s in shown):
            value = None if line is None or math.isnan(line.value) else line.value
            leads = value is not None and value == best[name] and kind_of(system) != "oracle"
            low, high = (
                (None, None) if line is None or line.low is None or math.isnan(line.low) else (line.low, line.high)
            )
            cells.append(ScoreCell(value, low, high, noted=bool(line and line.note), best=leads))
        spread = "range" if "mean of" in system.note else "95 %"
        rows.append(ScoreRow(system.name, kind_of(system), tuple(cells), spread))
    columns = tuple(ScoreColumn(s.name, label_of(s.name), s.arrow, s.metric) for s in shown)
    return ScoreGrid(columns, tuple(rows))


def _best(line: ScoreLine, systems: Sequence[System]) -> float | None:
    """Return the best value of a score among all rows but oracles; None if it has no better direction or one row."""
    own = [s.line(line.name) for s in systems if kind_of(s) != "oracle"]
    values = [x.value for x in own if x is not None and not math.isnan(x.value)]
    if line.higher_is_better is None or len(values) < 2:
        return None
    return max(values) if line.higher_is_better else min(values)


def kind_of(system: System) -> Kind:
    """Return whether a row is a system, a baseline or an oracle: a note says how a baseline was made."""
    return "system" if not system.note else "oracle" if system.note.startswith("ORACLE") else "baseline"


def label_of(name: str) -> str:
    """Return the name of a score as the literature writes it: bleu-4 is BLEU-4, "macro-14 f1" is "macro-14 F1"."""
    return re.sub(r"[a-z]+[0-9]?", lambda m: _word(name, m), name)


def _word(name: str, match: re.Match[str]) -> str:
    word = match[0]
    if word == "l" and not name[: match.start()].endswith("rouge-"):
        return word
    return _WRITTEN.get(word, word)
