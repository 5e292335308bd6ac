"""Read the rows of an Excel workbook (.xlsx) as the cells of a CSV would be. openpyxl reads it, and is imported here.

The first sheet that is not empty is read. If there are others, their names are in a note.
"""

from __future__ import annotations

import datetime
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError

MAX_BYTES = 2**30  # of an unpacked workbook: a small file may unpack to a very large one


def sheet_rows(path: Path, on_note: Callable[[str], None] | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield (row number, cells) of the first sheet with rows, each row as long as the first. Formulas are their values.

    Raises DataError for a file that is no workbook.
    """
    try:
        import openpyxl
    except ImportError as e:
        raise DataError(f"{path}: Excel tables need openpyxl ({e}); pip install openpyxl, or save it as .csv") from e
    _check_size(path)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError, zipfile.BadZipFile) as e:
        raise DataError(f"{path}: cannot be read as an Excel workbook: {e}") from e
    try:
        sheets = [sheet for sheet in book.worksheets if _has_cells(sheet)]
        if not sheets:
            return
        if len(sheets) > 1 and on_note:
            others = ", ".join(repr(sheet.title) for sheet in sheets[1:])
            on_note(f"{path}: the sheet {sheets[0].title!r} is read; not read: {others}")
        width = 0
        for number, row in enumerate(sheets[0].iter_rows(values_only=True), 1):
            cells = [_text(value) for value in row]
            while cells and not cells[-1]:
                cells.pop()
            if not width and not cells:
                continue  # empty rows over the header
            width = width or len(cells)
            yield number, cells + [""] * (width - len(cells))
    finally:
        book.close()


def _check_size(path: Path) -> None:
    """Raise DataError for a file that is no zip archive, or that unpacks to more than MAX_BYTES."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
    except FileNotFoundError as e:
        raise DataError(f"{path}: there is no such file") from e
    except (OSError, zipfile.BadZipFile) as e:
        raise DataError(f"{path}: this is no Excel workbook (.xlsx): {e}; save it again, or as .csv") from e
    if size > MAX_BYTES:
        raise DataError(f"{path}: the workbook unpacks to {size:,} bytes, more than {MAX_BYTES:,}; save it as .csv")


def _has_cells(sheet: Any) -> bool:
    return any(value is not None for row in sheet.iter_rows(max_row=20, values_only=True) for value in row)


def _text(value: object) -> str:
    """Return a cell as its text: 3.0 as "3", a date as 2024-05-01, an empty cell as ""."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.date | datetime.datetime | datetime.time):
        return value.isoformat()
    return str(value).strip()
