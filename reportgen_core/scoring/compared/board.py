"""Put evaluations into one table, a leaderboard: systems with their baselines, and a row for each broken folder.

Unlike evaluations are refused, because a table that mixes protocols, splits or versions of metrics says nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path

from ...errors import DataError, quoted
from ...types import ScoreLine
from ..evaluation_folder import SavedEvaluation, load_evaluation
from ..printed.table import ScoreCell, ScoreColumn, kind_of, label_of
from ..score_tables import headlines
from ..scorecard import ScoreCard, System, card_differences, describe_card, version_differences


@dataclass(frozen=True, slots=True)
class BoardRow:
    """One row of a board: a system, a baseline, an oracle, or a folder that cannot be read."""

    name: str
    kind: str  # "system", "baseline", "oracle" or "broken"
    folder: Path
    cells: tuple[ScoreCell, ...] = ()
    spread: str = "95 %"  # what the intervals are: of means over seeds they are ranges
    notes: tuple[
        str, ...
    ] = ()  # how a baseline was made, which metrics have no score, or what is wrong with the folder
    model: str = ""  # the model that wrote the reports, if it is known


@dataclass(frozen=True, slots=True)
class Board:
    """Evaluations side by side."""

    card: ScoreCard  # of the first evaluation; the others are like it
    columns: tuple[ScoreColumn, ...]
    rows: tuple[BoardRow, ...]
    foot: tuple[str, ...]

    @property
    def broken(self) -> list[BoardRow]:
        """Return the rows of folders that cannot be read."""
        return [row for row in self.rows if row.kind == "broken"]


def make_board(folders: Sequence[Path]) -> Board:
    """Return the board of folders that `save_evaluation` wrote; a broken one is a row that says what is wrong.

    Raises DataError if two of them cannot be compared, or if none can be read.
    """
    runs: list[tuple[Path, SavedEvaluation]] = []
    broken: list[BoardRow] = []
    for folder in _each_once(folders):
        try:
            runs.append((folder, _checked(load_evaluation(folder))))
        except (DataError, OSError) as e:
            broken.append(BoardRow(folder.name or str(folder), "broken", folder, notes=(str(e),)))
    if not runs:
        raise DataError(f"no folder is an evaluation: {broken[0].notes[0] if broken else 'none was given'}")
    _refuse_unlike(runs)
    shown = _columns(run.systems[0].lines for _, run in runs)
    rows = _rows(runs, shown)
    card = runs[0][1].card
    versions = {line.metric: line.version for line in shown}
    foot = (describe_card(card), "metrics: " + ", ".join(f"{m} {v}".strip() for m, v in versions.items()))
    columns = tuple(ScoreColumn(s.name, label_of(s.name), s.arrow, s.metric) for s in shown)
    return Board(card, columns, (*rows, *(replace(r, cells=(ScoreCell(None),) * len(shown)) for r in broken)), foot)


def _each_once(folders: Iterable[Path]) -> list[Path]:
    """Return the folders, each once; the scores.json of a folder stands for the folder."""
    once: dict[Path, Path] = {}
    for path in folders:
        folder = path if path.is_dir() or path.name != "scores.json" else path.parent
        once.setdefault(folder.resolve(), folder)
    return list(once.values())


def _checked(run: SavedEvaluation) -> SavedEvaluation:
    """Return an evaluation whose scores are numbers and whose names are texts. Raises DataError."""
    if not run.systems:
        raise DataError("scores.json has no systems")
    for text in (run.card.protocol, run.card.split, run.card.dataset, run.card.split_hash, *run.card.sections):
        _check(isinstance(text, str), f"a text of its score card is {quoted(text)}")
    for number in (run.card.n, run.card.of, run.card.seed, run.card.resamples, run.card.patients):
        _check(type(number) is int, f"a number of its score card is {quoted(number)}")
    for system in run.systems:
        _check(isinstance(system.name, str) and isinstance(system.note, str), "the name or note of a row is no text")
        for line in system.lines:
            _check(
                all(isinstance(t, str) for t in (line.name, line.metric, line.version, line.note)), "a score is unnamed"
            )
            for value in (line.value, line.low, line.high):
                is_number = isinstance(value, Real) and not isinstance(value, bool)
                _check(value is None or is_number, f"its score {quoted(line.name)} is {quoted(value)}, and no number")
    return run


def _check(good: bool, what: str) -> None:
    if not good:
        raise DataError(f"scores.json is no evaluation: {what}")


def _refuse_unlike(runs: Sequence[tuple[Path, SavedEvaluation]]) -> None:
    """Raise DataError that says which evaluations differ from the first, and in what."""
    (first_folder, first), *others = runs
    reasons = []
    for folder, run in others:
        why = card_differences(first.card, run.card)
        why += version_differences(first.systems[0].lines, run.systems[0].lines)
        if why:
            reasons.append(f"{folder}: {', '.join(why)}")
    if reasons:
        raise DataError(f"these do not belong on one board with {first_folder}: {'; '.join(reasons)}")


def _columns(sets: Iterable[Sequence[ScoreLine]]) -> list[ScoreLine]:
    """Return the headlines of all evaluations, those of one metric next to each other."""
    shown: dict[str, ScoreLine] = {}
    for lines in sets:
        for line in headlines(lines):
            shown.setdefault(line.name, line)
    order = list(dict.fromkeys(line.metric for line in shown.values()))
    return sorted(shown.values(), key=lambda line: order.index(line.metric))


def _rows(runs: Sequence[tuple[Path, SavedEvaluation]], shown: Sequence[ScoreLine]) -> list[BoardRow]:
    """Return the rows of all evaluations, and mark the best of each column; baselines that are the same are one row."""
    rows: list[BoardRow] = []
    for folder, run in runs:
        for i, system in enumerate(run.systems):
            row = _row(folder, run, replace(system, name=run.name) if i == 0 else system, shown, first=i == 0)
            same = [r for r in rows if r.kind == row.kind != "system" and (r.name, r.cells) == (row.name, row.cells)]
            rows += [] if same else [row]
    names = [row.name for row in rows]
    rows = [replace(r, name=r.name if names.count(r.name) == 1 else f"{r.name} ({r.folder.name})") for r in rows]
    order = ["system", "baseline", "oracle"]
    return _with_best(sorted(rows, key=lambda row: order.index(row.kind)), shown)


def _row(folder: Path, run: SavedEvaluation, system: System, shown: Sequence[ScoreLine], *, first: bool) -> BoardRow:
    lines = [system.line(s.name) for s in shown]
    cells = tuple(ScoreCell(None) if line is None else _cell(line) for line in lines)
    notes = [system.note] if system.note else []
    notes += dict.fromkeys(f"{line.name}: {line.note}" for line in lines if line and line.note)
    without = {line.metric for line in shown} & {x.metric for x in run.systems[0].lines} - {
        x.metric for x in system.lines
    }
    notes += [f"without {metric}: its page says why" for metric in sorted(without)]
    if first:
        notes += [f"no {metric}: {why}" for metric, why in run.problems.items()]
    spread = "range" if "mean of" in system.note else "95 %"
    return BoardRow(system.name, kind_of(system), folder, cells, spread, tuple(notes), run.model.get("name", ""))


def _cell(line: ScoreLine) -> ScoreCell:
    if line.value is None or not math.isfinite(line.value):  # null in JSON
        return ScoreCell(None)
    ends = [line.low, line.high]
    low, high = ends if all(x is not None and math.isfinite(x) for x in ends) else (None, None)
    return ScoreCell(float(line.value), low, high, noted=bool(line.note))


def _with_best(rows: list[BoardRow], shown: Sequence[ScoreLine]) -> list[BoardRow]:
    """Mark the best value of each column among the rows that are no oracle."""
    best: list[float | None] = []
    for i, line in enumerate(shown):
        values = [v for r in rows if r.kind != "oracle" and (v := r.cells[i].value) is not None]
        pick = max if line.higher_is_better else min
        best.append(pick(values) if line.higher_is_better is not None and len(values) > 1 else None)
    return [
        replace(
            row,
            cells=tuple(
                replace(c, best=c.value is not None and c.value == b and row.kind != "oracle")
                for c, b in zip(row.cells, best, strict=True)
            ),
        )
        for row in rows
    ]
