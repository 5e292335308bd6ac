"""Tables of reports or sentences row by row, of any size: CSV, TSV, JSON lines, and text with a report a line.

Rows are given as they stand in the file, for commands that add columns and write the rest as it was. What is no UTF-8
is named by file and byte. It needs no torch.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..errors import DataError, OptionError
from ..registry import nearest

IDS = ("id", "study", "study_id", "uid", "image_id", "example_id", "key")
TEXTS = ("text", "report", "reports", "caption", "sentence")
SUFFIXES = (".jsonl", ".csv", ".tsv", ".txt")
MAX_LINE = 16 * 2**20  # bytes: a report is far below
LIST = "|"  # between the values of a cell that holds several

Row = dict[str, Any]


def table_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """(place, row) of each row, where place is "line 7". Raises DataError naming the line or the byte."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(f"{path}: a table ends in {', '.join(SUFFIXES)}")
    try:
        with path.open("rb") as file:
            lines = _lines(path, file)
            if suffix == ".jsonl":
                yield from _json(path, lines)
            elif suffix == ".txt":
                yield from (
                    (f"line {n}", {"id": str(n), "text": t.strip()}) for n, t in enumerate(lines, 1) if t.strip()
                )
            else:
                yield from _cells(path, lines, "\t" if suffix == ".tsv" else ",")
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}") from e


def _lines(path: Path, file: IO[bytes]) -> Iterator[str]:
    at = 0
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise DataError(f"{path}: the line at byte {at} is longer than {MAX_LINE} bytes")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as e:
            raise DataError(f"{path}: byte {at + e.start} is not UTF-8; save the file as UTF-8") from e
        yield text if at else text.removeprefix("\ufeff")
        at += len(line)


def _json(path: Path, lines: Iterable[str]) -> Iterator[tuple[str, Row]]:
    for n, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as e:
            raise DataError(f"{path}: line {n} is no JSON: {e}") from e
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {n} wants an object, is a {type(row).__name__}")
        yield f"line {n}", row


def _cells(path: Path, lines: Iterable[str], delimiter: str) -> Iterator[tuple[str, Row]]:
    rows = csv.reader(lines, delimiter=delimiter)
    try:
        header = [name.strip() for name in next(rows, [])]
        if not header:
            raise DataError(f"{path} is empty; its first line must name the columns")
        for row in rows:
            if row and len(row) != len(header):
                raise DataError(f"{path}: line {rows.line_num} has {len(row)} cells, the header has {len(header)}")
            if row:
                yield f"line {rows.line_num}", dict(zip(header, row, strict=True))
    except csv.Error as e:
        raise DataError(f"{path}: line {rows.line_num} is no row of a table: {e}") from e


def text_of(row: Mapping[str, Any], sections: Sequence[str], column: str = "") -> str:
    """The report of a row: the column asked for; else these sections, where it keeps them apart; else its one text.

    Raises DataError, without the place, where the row has none of these.
    """
    if column:
        if column not in row:
            raise DataError(f"no column {column!r}; {nearest(column, row)}")
        return str(row[column] or "")
    inside = row.get("sections")
    known = inside if isinstance(inside, Mapping) else row
    low = {str(name).lower(): value for name, value in known.items()}
    if inside is not None or any(s in low for s in sections):
        return " ".join(t for s in sections if (t := str(low.get(s) or "").strip()))
    for name in TEXTS:
        if name in low:
            return str(low[name] or "")
    raise DataError(f"no {', '.join(sections)} and no text; there are: {', '.join(map(str, row))}")


class Rows:
    """Writes rows as JSON lines or CSV; the columns of a CSV are those of its first row."""

    def __init__(self, file: IO[str], suffix: str) -> None:
        self.file, self.lines = file, suffix == ".jsonl"
        self.cells = csv.writer(file, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
        self.header: tuple[str, ...] = ()

    def write(self, row: Mapping[str, Any]) -> None:
        """Lists stand in a CSV's cell with | between, true as 1 and false as 0."""
        if self.lines:
            self.file.write(json.dumps(row, ensure_ascii=False) + "\n")
            return
        if not self.header:
            self.header = tuple(row)
            self.cells.writerow(self.header)
        self.cells.writerow([_cell(row.get(name)) for name in self.header])


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list | tuple):
        return LIST.join(map(_cell, value))
    return "" if value is None else json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


@contextmanager
def written(path: Path) -> Iterator[Rows]:
    """A table that appears under its name once it is whole. Raises OptionError for a suffix there is not."""
    if path.suffix.lower() not in SUFFIXES[:3]:
        raise OptionError(f"{path}: a table is written as {', '.join(SUFFIXES[:3])}")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            yield Rows(file, path.suffix.lower())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
