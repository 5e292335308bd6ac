"""Write a table as JSON lines or CSV, whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..errors import OptionError
from .atomic import atomic_file
from .cells import guard_cell

SUFFIXES = (".jsonl", ".csv", ".tsv")
LIST = "|"  # separates the values of one cell


class _Lines:
    r"""Ends each row of a csv.writer with \n. The writer must believe in \r\n, or it writes \r in a cell unquoted."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    def write(self, row: str) -> None:
        """Write one row, which ends with \\r\\n."""
        self.file.write(row.removesuffix("\r\n") + "\n")


class CellWriter:
    """Writes rows of cells as CSV or TSV. A text that a spreadsheet would run is guarded unless `raw_cells`."""

    def __init__(self, file: IO[str], *, delimiter: str = ",", raw_cells: bool = False) -> None:
        self._writer = csv.writer(_Lines(file), delimiter=delimiter, lineterminator="\r\n")
        self.raw_cells = raw_cells

    def write(self, cells: Iterable[Any]) -> None:
        """Write one row."""
        self._writer.writerow(cells if self.raw_cells else map(guard_cell, cells))


class Rows:
    """Writes rows as JSON lines or CSV; the columns of a CSV are those of its first row."""

    def __init__(self, file: IO[str], suffix: str, *, raw_cells: bool = False) -> None:
        self.file, self.lines = file, suffix == ".jsonl"
        self.cells = CellWriter(file, delimiter="\t" if suffix == ".tsv" else ",", raw_cells=raw_cells)
        self.header: tuple[str, ...] = ()

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row. A list becomes one cell of a CSV with | between its values, true 1 and false 0."""
        if self.lines:
            self.file.write(json.dumps(row, ensure_ascii=False) + "\n")
            return
        if not self.header:
            self.header = tuple(row)
            self.cells.write(self.header)
        self.cells.write([_cell(row.get(name)) for name in self.header])


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list | tuple):
        return LIST.join(map(_cell, value))
    return "" if value is None else json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


@contextmanager
def write_table(path: Path, *, raw_cells: bool = False) -> Iterator[Rows]:
    """Open a table for writing; the file gets its name when the block ends. Raises OptionError for a suffix.

    Texts of a CSV that a spreadsheet would run are guarded unless `raw_cells`.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path}: a table is written as {', '.join(SUFFIXES)}")
    with atomic_file(path) as file:
        yield Rows(file, path.suffix.lower(), raw_cells=raw_cells)
