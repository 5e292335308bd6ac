"""Rows of reports, or of images with their reports, read one after another from a table (torch-free).

A row that cannot be read becomes a BadRow with its line, and reading continues. An error is raised only if it concerns
the whole table: a missing file, a missing column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import DataError, lists_only
from ..files.cells import id_value, is_nothing, names_value, number_value, split_name, text_value
from ..files.study_json import study_from_json
from ..files.tables import BadRow as BadRow
from ..files.tables import OnNote, TableRow, check_columns, column_named, columns_of, fold, row_split, scan_rows
from ..types import Study, View


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One row of a table that could be read."""

    line: int
    study: Study


@lists_only
@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table that are read. An empty name means the usual names."""

    sections: tuple[str, ...] = ("findings",)  # of the model's text; a table may have a column for each
    id: str = ""
    text: str = ""
    image: str = ""
    images: Path | None = None  # the folder of the images; None: that of the table
    needs_image: bool = False
    needs_text: bool = True
    labels: tuple[str, ...] = ()  # findings whose columns hold 1, 0, -1 or nothing
    label_list: str = ""  # instead of these columns, a column with the names of the findings that are present
    split: str = ""  # only rows of this split, in tables that have one


def read_report_rows(path: Path, columns: Columns, on_note: OnNote | None = None) -> Iterator[ReportRow | BadRow]:
    """Yield the rows of a table as they are read. Raises DataError for the table, never for a row."""
    reads = _Table(path, columns)
    for row in scan_rows(path, on_note=on_note):
        if isinstance(row, BadRow):
            yield row
            continue
        reads.check(row)
        try:
            if reads.chosen(row.cells):
                yield ReportRow(row.line, reads.study(row))
        except DataError as e:
            yield BadRow(row.line, str(e))


class _Table:
    """Reads rows of a table as studies. JSON lines may leave out fields, so the columns are looked up in each row."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path, self.columns, self.checked = path, columns, False
        self.folder = (columns.images or path.parent).resolve()

    def chosen(self, cells: Mapping[str, Any]) -> bool:
        """Return whether the row belongs to the requested split."""
        return not self.columns.split or row_split(cells) == split_name(self.columns.split)

    def study(self, row: TableRow) -> Study:
        """Return one row as a study. A row that `rg data build` wrote is a study already."""
        cells = row.cells
        if _is_study(cells):
            return self._built(cells)
        columns = self.columns
        id = id_value(self._cell(cells, columns.id, "id"))
        sections, views = self._sections(cells), self._views(cells)
        if columns.needs_image and not views:
            raise DataError("no image")
        return Study(id or str(row.line), views, sections, labels=self._labels(cells))

    def _built(self, cells: Mapping[str, Any]) -> Study:
        columns = self.columns
        study = study_from_json(cells, self._inside)
        if columns.needs_image and not study.views:
            raise DataError("no image")
        labels = {name: value for name, value in study.labels.items() if name in columns.labels}
        return replace(study, views=study.views if columns.needs_image else (), labels=labels)

    def _inside(self, name: str) -> Path:
        path = self.folder / name
        if not path.resolve().is_relative_to(self.folder):
            raise DataError(f"image {path} lies outside {self.folder}")
        return path

    def check(self, row: TableRow) -> None:
        """Raise DataError for a requested column that the first row lacks."""
        if self.checked or _is_study(row.cells):
            return
        self.checked = True
        columns, header = self.columns, list(row.cells)
        labels = (columns.label_list,) if columns.label_list else columns.labels
        check_columns(self.path, header, [n for n in (columns.id, columns.text, columns.image, *labels) if n])
        folded = {fold(name) for name in header}
        by_section = any(fold(section) in folded for section in columns.sections)
        if columns.needs_text and not columns.text and not by_section and not columns_of("text", header):
            names = ", ".join(header)
            raise DataError(f"{self.path} has no column of reports; name it with --text, there are: {names}")

    def _cell(self, cells: Mapping[str, Any], column: str, role: str) -> str | None:
        """Return the text of the named column, or of the usual ones if `column` is ""; None if there is no text."""
        names = [column_named(column, cells)] if column else columns_of(role, cells)
        for name in names:
            if name is None or is_nothing(cells[name]):
                continue
            try:
                return text_value(cells[name])
            except DataError as e:
                raise DataError(f"{name} is a {type(cells[name]).__name__}") from e
        return None

    def _sections(self, cells: Mapping[str, Any]) -> dict[str, str]:
        """Return the model's sections if the table has columns for them; else the whole text as the first section."""
        columns = self.columns
        folded = {fold(name): name for name in cells}
        sections = [] if columns.text else [s for s in columns.sections if fold(s) in folded]
        if sections:
            return {s: self._cell(cells, folded[fold(s)], "") or "" for s in sections}
        text = self._cell(cells, columns.text, "text")
        has_column = column_named(columns.text, cells) if columns.text else columns_of("text", cells)
        if text is None and columns.needs_text and not has_column:
            raise DataError(f"no {columns.text or 'text'}")
        return {columns.sections[0]: text or ""}

    def _views(self, cells: Mapping[str, Any]) -> tuple[View, ...]:
        if not self.columns.needs_image:
            return ()
        columns = [column_named(self.columns.image, cells)] if self.columns.image else columns_of("image", cells)
        images = next((images for column in columns if column and (images := names_value(cells[column]))), [])
        return tuple(View(self._inside(image)) for image in images)

    def _labels(self, cells: Mapping[str, Any]) -> dict[str, float]:
        columns = self.columns
        if columns.label_list:
            name = column_named(columns.label_list, cells)
            if name is None or (cells[name] != "" and is_nothing(cells[name])):
                return {}  # not labelled; an empty list says that nothing is present
            names = set(names_value(cells[name]))
            return {name: float(name in names) for name in columns.labels}
        labels = {}
        for label in columns.labels:
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
