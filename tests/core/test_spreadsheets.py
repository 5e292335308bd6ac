"""Excel workbooks are read as CSV is, by the same rules."""

from __future__ import annotations

import datetime
import zipfile
from pathlib import Path

import openpyxl
import pytest

from reportgen_core import DataError
from reportgen_core.files.tables import table_rows


def workbook(path: Path, *sheets: tuple[str, list[list[object]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


ROWS = [["id", "image", "Report", None], [1, "a.png", "Normal.", None], [2.0, "b.png", None, None]]


def test_a_sheet_is_read_as_a_csv_of_the_same_cells(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,image,Report\n1,a.png,Normal.\n2,b.png,\n", encoding="utf-8")
    path = workbook(tmp_path / "t.xlsx", ("Sheet", ROWS))
    assert list(table_rows(path)) == list(table_rows(tmp_path / "t.csv"))


def test_dates_truth_values_and_numbers_are_texts(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 5, 1)
    path = workbook(tmp_path / "t.xlsx", ("S", [["id", "day", "ok", "share"], ["x", day, True, 0.25]]))
    assert list(table_rows(path)) == [("line 2", {"id": "x", "day": "2024-05-01", "ok": "True", "share": "0.25"})]


def test_the_first_sheet_with_cells_is_read_and_the_others_are_named(tmp_path: Path) -> None:
    notes: list[str] = []
    path = workbook(tmp_path / "t.xlsx", ("Empty", []), ("Data", ROWS), ("Legend", [["x"]]))
    assert len(list(table_rows(path, on_note=notes.append))) == 2
    assert notes == [f"{path}: the sheet 'Data' is read; not read: 'Legend'"]


def test_empty_rows_over_and_under_the_table_are_passed_over(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", ("S", [[None], *ROWS, [None, None], ["3", "c.png"]]))
    assert [place for place, _ in table_rows(path)] == ["line 3", "line 4", "line 6"]


@pytest.mark.parametrize("content", [b"", b"id,report\n1,x\n", b"PK\x03\x04broken"])
def test_what_is_no_workbook_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.xlsx").write_bytes(content)
    with pytest.raises(DataError, match=r"t\.xlsx: this is no Excel workbook"):
        list(table_rows(tmp_path / "t.xlsx"))


def test_another_archive_is_one_line(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.xlsx", "w") as archive:
        archive.writestr("a.txt", "x")
    with pytest.raises(DataError, match="cannot be read as an Excel workbook"):
        list(table_rows(tmp_path / "t.xlsx"))


def test_an_old_workbook_is_told_how_to_be_saved(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"save the Excel file as \.xlsx or \.csv"):
        list(table_rows(tmp_path / "t.xls"))
