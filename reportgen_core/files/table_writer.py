"""Write a table as JSON lines or CSV, whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ..errors import OptionError
from .atomic import atomic_file

SUFFIXES = (".jsonl", ".csv", ".tsv")
LIST = "|"  # between the values of a cell that holds several


class Rows:
    """Writes rows as JSON lines or CSV; the columns of a CSV are those of its first row."""

    def __init__(self, file: IO[str], suffix: str) -> None:
        self.file, self.lines = file, suffix == ".jsonl"
        self.cells = csv.writer(file, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
        self.header: tuple[str, ...] = ()

    def write(self, row: Mapping[str, Any]) -> None:
        """Write one row. A list becomes one cell of a CSV with | between its values, true 1 and false 0."""
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
    """Open a table that appears under its name once it is whole. Raises OptionError for an unknown suffix."""
    if path.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{path}: a table is written as {', '.join(SUFFIXES)}")
    with atomic_file(path) as file:
        yield Rows(file, path.suffix.lower())
