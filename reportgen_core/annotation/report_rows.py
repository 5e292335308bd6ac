"""Rows of reports, or of images with their reports, read one after another from CSV, TSV or JSON lines (torch-free).

A row that does not parse is given as a BadRow with its line, and the rest goes on. Only what concerns the whole table
raises: a file that is not there, a column that it lacks.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from ..errors import DataError
from ..files.study_json import study_from_json
from ..registry import nearest
from ..types import Study, View

IDS = ("id", "study", "study_id", "uid", "image_id", "example_id", "key")
TEXTS = ("text", "report", "reports", "caption")
IMAGES = ("image", "images", "image_path", "path", "file", "filename", "image index")
SUFFIXES = {".csv": ",", ".tsv": "\t", ".jsonl": ""}
LIST = "|"  # between the names of a cell that holds several


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table that could be read."""

    line: int
    study: Study


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that could not, by the line it begins on."""

    line: int
    why: str


class _Bad(Exception):
    """What is wrong with the row at hand."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What is read of a table. Empty: found by the usual names."""

    sections: tuple[str, ...] = ("findings",)  # of the model's text; a table may keep them apart
    id: str = ""
    text: str = ""
    image: str = ""
    images: Path | None = None  # the folder of the images; None: that of the table
    needs_image: bool = False
    needs_text: bool = True
    labels: tuple[str, ...] = ()  # findings whose columns hold 1, 0, -1 or nothing
    label_list: str = ""  # instead of those columns, one with the names of the findings that are present
    split: str = ""  # only rows of this split, in tables that have one


def read_rows(path: Path, columns: Columns) -> Iterator[Row | BadRow]:
    """The rows of a table, as they are read. Raises DataError for the table, never for a row."""
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{path}: a table of reports ends in {', '.join(SUFFIXES)}")
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            reads = _Table(path, columns)
            for line, cells in _lines(file) if path.suffix.lower() == ".jsonl" else _cells(path, file):
                try:
                    if reads.chosen(cells):
                        yield Row(line, reads.study(line, cells))
                except _Bad as e:
                    yield BadRow(line, str(e))
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}") from e


Cells = Mapping[str, Any] | _Bad


def _lines(file: IO[str]) -> Iterator[tuple[int, Cells]]:
    for n, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as e:
            yield n, _Bad(f"no JSON: {e}")
        else:
            yield n, values if isinstance(values, dict) else _Bad(f"wants an object, is a {type(values).__name__}")


def _cells(path: Path, file: IO[str]) -> Iterator[tuple[int, Cells]]:
    rows = csv.reader(file, delimiter=SUFFIXES[path.suffix.lower()])
    header = [name.strip() for name in next(rows, [])]
    if not header:
        raise DataError(f"{path} is empty; its first line must name the columns")
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as e:
            yield line, _Bad(f"no row of a table: {e}")
            continue
        if row is None:
            return
        if row and len(row) != len(header):
            yield line, _Bad(f"{len(row)} cells, the header has {len(header)}")
        elif row:
            yield line, dict(zip(header, row, strict=True))


class _Table:
    """Which column plays which part. JSON lines may leave fields out, so that each row is asked."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path, self.columns, self.checked = path, columns, False
        self.folder = (columns.images or path.parent).resolve()

    def chosen(self, cells: Cells) -> bool:
        """Whether the row is of the split that is asked for."""
        if not self.columns.split or isinstance(cells, _Bad):
            return True
        return self._cell(cells, "", ("split",)) == self.columns.split

    def study(self, line: int, cells: Cells) -> Study:
        """One row as a study; what `rg data build` wrote is one already."""
        if isinstance(cells, _Bad):
            raise cells
        if isinstance(cells.get("sections"), dict) and "id" in cells:
            return self._built(cells)
        if not self.checked:
            self._check(list(cells))
            self.checked = True
        asked = self.columns
        id = self._cell(cells, asked.id, IDS)
        sections, views = self._sections(cells), self._views(cells)
        if asked.needs_image and not views:
            raise _Bad("no image")
        for text in (id or "", *sections.values()):
            if any("\udc80" <= c <= "\udcff" for c in text):
                raise _Bad("not UTF-8")
        return Study(str(id or line), views, sections, labels=self._labels(cells))

    def _built(self, cells: Mapping[str, Any]) -> Study:
        asked = self.columns
        try:
            study = study_from_json(cells, self._inside)
        except DataError as e:
            raise _Bad(str(e)) from e
        if asked.needs_image and not study.views:
            raise _Bad("no image")
        labels = {name: value for name, value in study.labels.items() if name in asked.labels}
        return replace(study, views=study.views if asked.needs_image else (), labels=labels)

    def _inside(self, name: str) -> Path:
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder):
            raise _Bad(f"image {path} lies outside {self.folder}")
        return path

    def _check(self, there: list[str]) -> None:
        """Raise DataError for a column that was asked for and that the first row lacks."""
        asked = self.columns
        labels = (asked.label_list,) if asked.label_list else asked.labels
        for name in (asked.id, asked.text, asked.image, *labels):
            if name and name not in there:
                raise DataError(f"{self.path} has no column {name!r}; {nearest(name, there)}")
        low = {name.lower() for name in there}
        if asked.needs_text and not asked.text and not low & {*TEXTS, *asked.sections}:
            raise DataError(f"{self.path} has no column of reports; name it with --text, there are: {', '.join(there)}")

    def _cell(self, cells: Mapping[str, Any], asked: str, names: Sequence[str]) -> str | None:
        if asked:
            value = cells.get(asked)
        else:
            low = {name.lower(): v for name, v in cells.items()}
            value = next((low[name] for name in names if low.get(name) not in (None, "")), None)
        if value is not None and not isinstance(value, str | int | float):
            raise _Bad(f"{asked or names[0]} is a {type(value).__name__}")
        return None if value is None else str(value)

    def _sections(self, cells: Mapping[str, Any]) -> dict[str, str]:
        """The model's sections where the table keeps them apart; else one text, in the first of them."""
        asked = self.columns
        low = {name.lower(): name for name in cells}
        apart = [] if asked.text else [s for s in asked.sections if s in low]
        if apart:
            return {s: self._cell(cells, low[s], ()) or "" for s in apart}
        text = self._cell(cells, asked.text, TEXTS)
        if text is None and asked.needs_text and not set(low) & {asked.text.lower(), *TEXTS}:
            raise _Bad(f"no {asked.text or 'text'}")
        return {asked.sections[0]: text or ""}

    def _views(self, cells: Mapping[str, Any]) -> tuple[View, ...]:
        if not self.columns.needs_image:
            return ()
        names = (self._cell(cells, self.columns.image, IMAGES) or "").split(LIST)
        return tuple(View(self._inside(name.strip())) for name in names if name.strip())

    def _labels(self, cells: Mapping[str, Any]) -> dict[str, float]:
        asked = self.columns
        if asked.label_list:
            value = cells.get(asked.label_list)
            if value is None:
                return {}  # not labelled; an empty list says that nothing is present
            names = {str(n).strip() for n in (value if isinstance(value, list) else str(value).split(LIST))}
            return {name: float(name in names) for name in asked.labels}
        return {name: number for name in asked.labels if not math.isnan(number := _number(name, cells.get(name)))}


def _number(name: str, value: Any) -> float:
    if value in (None, ""):
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.inf
    if number not in (0.0, 1.0, -1.0) and not math.isnan(number):
        raise _Bad(f"{name} is {value!r}; a label is 1, 0, -1 or nothing")
    return number
