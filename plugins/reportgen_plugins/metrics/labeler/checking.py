"""A table of sentences with the right answers, read with the rules: a fault report is a row of such a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reportgen_core import DataError
from reportgen_core.files.cells import text_value
from reportgen_core.files.tables import Row, columns_of, fold, table_rows
from reportgen_core.registry import did_you_mean

ANSWERS = ("acceptable", "answer", "answers", "expected", "value")  # columns of answers, the first that is there
_MEANT = {
    **dict.fromkeys(("1", "1.0", "positive", "present"), "1"),
    **dict.fromkeys(("0", "0.0", "negative", "absent"), "0"),
    **dict.fromkeys(("-1", "-1.0", "uncertain"), "-1"),
    **dict.fromkeys(("n", "none", "not mentioned"), "N"),
}


@dataclass(frozen=True, slots=True)
class SentenceCheck:
    """One row: a text, a label, and the allowed values of that label."""

    place: str  # "line 7"
    text: str
    label: str
    expected: tuple[str, ...]  # 1, 0, -1, or N where the label must not be mentioned


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """A row that the rules read otherwise, with the rule that decided."""

    check: SentenceCheck
    answer: str
    rule: str  # "" where nothing was found

    def __str__(self) -> str:
        because = f" ({self.rule})" if self.rule else ""
        expected = " or ".join(self.check.expected)
        sentence = f"{self.check.place}: {self.check.text!r} {self.check.label}"
        return f"{sentence}: expected {expected}, got {self.answer}{because}"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """How many rows were checked, and those that are wrong."""

    rows: int
    wrong: tuple[WrongAnswer, ...]


def read_checks(path: Path, labels: Sequence[str], on_note: Callable[[str], None] | None = None) -> list[SentenceCheck]:
    """Read a CSV, TSV or JSON lines with a text, a label and its answers (1, 0, -1, N; several joined by |).

    `\\n` in a text is a line break. Raises DataError, with the line, for a row that cannot be used, and for no row.
    """
    checks = [_check(path, place, row, labels) for place, row in _rows(path, on_note)]
    if not checks:
        raise DataError(f"{path}: no sentence to check; each row has a text, a label and an answer")
    return checks


def _rows(path: Path, on_note: Callable[[str], None] | None) -> Iterator[tuple[str, Row]]:
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    return table_rows(path, on_note=on_note)


def _check(path: Path, place: str, row: Row, labels: Sequence[str]) -> SentenceCheck:
    names = {fold(name): name for name in row}
    texts, answers = columns_of("text", row), [names[name] for name in ANSWERS if name in names]
    columns = {"text": texts, "label": "label" in names, "answer": answers}
    if missing := [name for name, there in columns.items() if not there]:
        raise DataError(
            f"{path}: {place}: no column {' and '.join(missing)}; it has {', '.join(map(str, row)) or 'none'}"
        )
    text, label, given = (text_value(row[k]) or "" for k in (texts[0], names["label"], answers[0]))
    if not text.strip():
        raise DataError(f"{path}: {place}: no text")
    if label not in labels:
        raise DataError(f"{path}: {place}: no label {label!r}; {did_you_mean(label, labels)}")
    expected = tuple(_MEANT.get(part.strip().lower(), "") for part in given.split("|"))
    if "" in expected:
        raise DataError(f"{path}: {place}: {given!r} is no answer; write 1, 0, -1 or N, and | between several")
    return SentenceCheck(place, text.replace("\\n", "\n"), label, expected)
