"""The result of a run: one row for each preset and baseline, as values, as JSON and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from reportgen_core.scoring.printed.table import PrintedTable
from reportgen_core.scoring.score_tables import number
from reportgen_core.version import __version__

from ...terminal.progress import duration

FORMAT = 1
CHOSEN, LEVEL, BEHIND, BASELINE = "chosen", "level", "behind", "baseline"  # states of rows
FAILED, LEFT, UNSCORED = "failed", "not trained", "no score"
Interval = tuple[float, float | None, float | None]  # value, ends of the 95 % interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A preset or a baseline."""

    name: str
    state: str
    validation: Mapping[str, Interval] = field(default_factory=dict)  # by score
    test: Mapping[str, Interval] = field(default_factory=dict)
    difference: Interval | None = None  # of the best preset and this row, in the score that chooses, on validation
    p: float | None = None  # of that difference
    epochs: int = 0
    seconds: float = 0.0  # measured; 0 if it was not trained
    predicted_seconds: float = 0.0
    memory: int = 0  # MiB
    predicted_memory: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run of a plan found."""

    plan: str  # its file
    data: str
    hours: float
    decide: str
    then: str
    chosen: str
    why: str  # it was chosen
    rows: tuple[Row, ...]
    counts: Mapping[str, int]
    encoder: Row | None  # the schooling of the encoder
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"format": FORMAT, "reportgen": __version__, **asdict(self)}

    def row_notes(self) -> list[str]:
        """Return the notes of the encoder and of the rows."""
        rows = (*([self.encoder] if self.encoder else []), *self.rows)
        return [f"{row.name}: {row.note}" for row in rows if row.note]

    def row(self, name: str) -> Row:
        """Return the row of that name."""
        return next(row for row in self.rows if row.name == name)

    def with_test(self, scores: Mapping[str, Mapping[str, Interval]]) -> RunResult:
        """Return the result with the scores on test of its rows, by name."""
        return replace(self, rows=tuple(replace(row, test=scores.get(row.name, {})) for row in self.rows))


def result_table(result: RunResult) -> PrintedTable:
    """Return the one table of a run."""
    scores = list(dict.fromkeys((result.decide, result.then)))
    header = (
        "", *(f"{short_name(s)}, val" for s in scores), "p", *(f"{short_name(s)}, test" for s in scores), "epochs",
        "time (predicted)", "MiB (predicted)", "",
    )  # fmt: skip
    rows = [
        (
            row.name, *(_cell(row.validation, s) for s in scores), "–" if row.p is None else p_value(row.p),
            *(_cell(row.test, s) for s in scores), str(row.epochs or "–"), _time(row), _memory(row), row.state,
        )
        for row in (*([result.encoder] if result.encoder else []), *result.rows)
    ]  # fmt: skip
    studies = " / ".join(str(n) for n in result.counts.values())
    foot = [
        result.why,
        f"{result.data}: {studies} studies of train / val / test; intervals of 95 %; p: paired test against the best "
        "preset on validation; test was scored once, for the choice and the baselines",
        *result.row_notes(),
        *result.notes,
    ]
    return PrintedTable("Result", header, tuple(rows), tuple(foot))


def short_name(score: str) -> str:
    """Return a score in a heading."""
    return {"chexpert-rules micro-14 f1": "finding F1", "findings mean auc": "mean AUC"}.get(score, score)


def p_value(p: float) -> str:
    """Return a p as tables have it."""
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _cell(scores: Mapping[str, Interval], name: str) -> str:
    if name not in scores:
        return "–"
    value, low, high = scores[name]
    ends = f" ({number(low)}-{number(high)})" if low is not None and high is not None else ""
    return number(value) + ends


def _time(row: Row) -> str:
    if not row.predicted_seconds:
        return "–"
    return f"{duration(row.seconds) if row.seconds else '–'} ({duration(row.predicted_seconds)})"


def _memory(row: Row) -> str:
    if not row.predicted_memory:
        return "–"
    return f"{row.memory or '–'} ({row.predicted_memory})"
