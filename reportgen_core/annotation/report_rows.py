"""Rows of reports, or of images with their reports, read one after another from a table (torch-free).

A row that cannot be read is given as a BadRow with its line, and the rest goes on. Only what concerns the whole table
raises: a file that is not there, a column that it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files.cells import id_value, is_nothing, names_value, number_value, split_name, text_value
from ..files.study_json import study_from_json
from ..files.tables import BadRow as BadRow
from ..files.tables import OnNote, TableRow, check_columns, column_named, columns_of, fold, row_split, scan_rows
from ..types import Study, View


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table that could be read."""

    line: int
    study: Study


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


def read_rows(path: Path, columns: Columns, on_note: OnNote | None = None) -> Iterator[Row | BadRow]:
    """Yield the rows of a table as they are read. Raises DataError for the table, never for a row."""
    reads = _Table(path, columns)
    for row in scan_rows(path, on_note=on_note):
        if isinstance(row, BadRow):
            yield row
            continue
        reads.check(row)
        try:
            if reads.chosen(row.cells):
                yield Row(row.line, reads.study(row))
        except DataError as e:
            yield BadRow(row.line, str(e))


class _Table:
    """Which column plays which part. JSON lines may leave fields out, so that each row is asked."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path, self.columns, self.checked = path, columns, False
        self.folder = (columns.images or path.parent).resolve()

    def chosen(self, cells: Mapping[str, Any]) -> bool:
        """Whether the row is of the split that is asked for."""
        return not self.columns.split or row_split(cells) == split_name(self.columns.split)

    def study(self, row: TableRow) -> Study:
        """One row as a study; what `rg data build` wrote is one already."""
        cells = row.cells
        if _is_study(cells):
            return self._built(cells)
        asked = self.columns
        id = id_value(self._cell(cells, asked.id, "id"))
        sections, views = self._sections(cells), self._views(cells)
        if asked.needs_image and not views:
            raise DataError("no image")
        return Study(id or str(row.line), views, sections, labels=self._labels(cells))

    def _built(self, cells: Mapping[str, Any]) -> Study:
        asked = self.columns
        study = study_from_json(cells, self._inside)
        if asked.needs_image and not study.views:
            raise DataError("no image")
        labels = {name: value for name, value in study.labels.items() if name in asked.labels}
        return replace(study, views=study.views if asked.needs_image else (), labels=labels)

    def _inside(self, name: str) -> Path:
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder):
            raise DataError(f"image {path} lies outside {self.folder}")
        return path

    def check(self, row: TableRow) -> None:
        """Raise DataError for a column that was asked for and that the first row lacks."""
        if self.checked or _is_study(row.cells):
            return
        self.checked = True
        asked, there = self.columns, list(row.cells)
        labels = (asked.label_list,) if asked.label_list else asked.labels
        check_columns(self.path, there, [name for name in (asked.id, asked.text, asked.image, *labels) if name])
        folded = {fold(name) for name in there}
        apart = any(fold(section) in folded for section in asked.sections)
        if asked.needs_text and not asked.text and not apart and not columns_of("text", there):
            raise DataError(f"{self.path} has no column of reports; name it with --text, there are: {', '.join(there)}")

    def _cell(self, cells: Mapping[str, Any], asked: str, role: str) -> str | None:
        """The text of the column that was asked for, else of the usual ones; None if there is none."""
        names = [column_named(asked, cells)] if asked else columns_of(role, cells)
        for name in names:
            if name is None or is_nothing(cells[name]):
                continue
            try:
                return text_value(cells[name])
            except DataError as e:
                raise DataError(f"{name} is a {type(cells[name]).__name__}") from e
        return None

    def _sections(self, cells: Mapping[str, Any]) -> dict[str, str]:
        """The model's sections where the table keeps them apart; else one text, in the first of them."""
        asked = self.columns
        low = {fold(name): name for name in cells}
        apart = [] if asked.text else [s for s in asked.sections if fold(s) in low]
        if apart:
            return {s: self._cell(cells, low[fold(s)], "") or "" for s in apart}
        text = self._cell(cells, asked.text, "text")
        there = column_named(asked.text, cells) if asked.text else columns_of("text", cells)
        if text is None and asked.needs_text and not there:
            raise DataError(f"no {asked.text or 'text'}")
        return {asked.sections[0]: text or ""}

    def _views(self, cells: Mapping[str, Any]) -> tuple[View, ...]:
        if not self.columns.needs_image:
            return ()
        names = [column_named(self.columns.image, cells)] if self.columns.image else columns_of("image", cells)
        found = next((found for name in names if name and (found := names_value(cells[name]))), [])
        return tuple(View(self._inside(name)) for name in found)

    def _labels(self, cells: Mapping[str, Any]) -> dict[str, float]:
        asked = self.columns
        if asked.label_list:
            name = column_named(asked.label_list, cells)
            if name is None or (cells[name] != "" and is_nothing(cells[name])):
                return {}  # not labelled; an empty list says that nothing is present
            names = set(names_value(cells[name]))
            return {name: float(name in names) for name in asked.labels}
        labels = {}
        for label in asked.labels:
            name = column_named(label, cells)
            number = None if name is None else _label(label, cells[name])
            if number is not None:
                labels[label] = number
        return labels


def _is_study(cells: Mapping[str, Any]) -> bool:
    return isinstance(cells.get("sections"), dict) and "id" in cells


def _label(name: str, value: Any) -> float | None:
    try:
        number = number_value(value)
    except DataError:
        number = 2.0
    if number not in (None, 0.0, 1.0, -1.0):
        raise DataError(f"{name} is {value!r}; a label is 1, 0, -1 or nothing")
    return number
