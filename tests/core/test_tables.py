"""What a cell says, which column is which, and the names in docs/reference/tables.md."""

import csv
import json
import re
from pathlib import Path

import pytest

from reportgen_core import DataError
from reportgen_core.files.cells import id_value, names_value, number_value, split_name, text_value
from reportgen_core.files.reports import read_text_file, read_texts
from reportgen_core.files.tables import COLUMNS, columns_of, id_of, scan_rows, table_rows


@pytest.mark.parametrize("value", [None, float("nan"), "", "  ", "nan", "NaN", "null", "NULL", "<NA>"])
def test_nothing_is_no_text_no_id_and_no_number(value: object) -> None:
    assert text_value(value) is id_value(value) is number_value(value) is None
    assert (names_value(value), split_name(value)) == ([], "")


@pytest.mark.parametrize(
    ("value", "id"),
    [(0, "0"), (7.0, "7"), ("7.0", "7"), ("-12.00", "-12"), (" a ", "a"), ("007", "007"), ("1e5", "1e5"), ("007.0", "007.0"),
     ("1.5", "1.5"), (1.5, "1.5"), ("0.0", "0"), ("None", "None"), (50414267.0, "50414267"), (1e300, "1e+300")],
)  # fmt: skip
def test_an_id_is_the_text_that_people_mean(value: object, id: str) -> None:
    assert id_value(value) == id


@pytest.mark.parametrize("value", [True, [1], {"a": 1}, float("inf")])
def test_what_is_neither_text_nor_number_is_refused(value: object) -> None:
    with pytest.raises(DataError, match="wants a text, is a"):
        text_value(value)


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("a|b", ["a", "b"]),
        ("['a', 'b c']", ["a", "b c"]),
        ('["it\'s", ""]', ["it's"]),
        ("['a' 'b']", ["a", "b"]),
        ("[]", []),
        ("['normal']", ["normal"]),
        ("[see note]", ["[see note]"]),
        (["a", None, 3], ["a", "3"]),
    ],
)
def test_a_list_in_a_cell_is_a_list(cell: object, names: list[str]) -> None:
    assert names_value(cell) == names


def test_columns_are_known_by_their_usual_names() -> None:
    assert columns_of("image", ["Finding Labels", "Image Index"]) == ("Image Index",)
    assert columns_of("id", ["ImageID", "StudyID"]) == ("StudyID", "ImageID")
    assert id_of({"image_id": 5, "id": 10, "caption": "x"}) == "5"
    assert id_of({"id": "", "study": 0}) == "0"
    assert id_of({"id": None, "name": "x"}) is None


def test_the_page_has_the_names_that_are_read() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "tables.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (\w+) \| (.+) \|$", page.split("<!-- columns -->")[1].split("<!-- end -->")[0], re.MULTILINE
    )
    assert {part: tuple(names.split(", ")) for part, names in rows[1:]} == dict(COLUMNS)


def test_every_bad_row_is_counted_and_the_others_are_there(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b'id,text\na,x\nb,"y"z\nc,\xe9\nd,1,2\ne,w\n')
    assert [getattr(row, "why", "") and row.line for row in scan_rows(path)] == ["", 3, 4, 5, ""]
    with pytest.raises(DataError, match=r"t\.csv: line 3: .*; and 2 more rows$"):
        list(table_rows(path))


def test_a_row_of_several_lines_is_named_by_the_line_it_begins_on(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,text\na,"x\ny\nz"\nb,"1\n2",3\n')
    assert [(row.line, hasattr(row, "why")) for row in scan_rows(path)] == [(2, False), (5, True)]


def test_an_empty_prediction_is_not_made_of_the_reference(tmp_path: Path) -> None:
    rows = [{"id": "a", "prediction": None, "report": "Clear."}, {"id": "b", "prediction": "", "report": "Clear."}]
    (tmp_path / "t.json").write_text(json.dumps(rows))
    notes: list[str] = []
    assert read_text_file(tmp_path / "t.json", "prediction", on_note=notes.append).texts == {"a": ("",), "b": ("",)}
    assert notes == [f"{tmp_path / 't.json'}: 2 of 2 have no text (row 1, row 2)"]
    assert read_text_file(tmp_path / "t.json", "reference").texts == {"a": ("Clear.",), "b": ("Clear.",)}


def test_cocos_captions_are_several_references_of_an_image(tmp_path: Path) -> None:
    rows = [{"image_id": 1, "id": 7, "caption": "A."}, {"image_id": 2, "id": 8, "caption": "C."}]
    rows.append({"image_id": 1, "id": 9, "caption": "B."})
    for value in (rows, {"images": [{"id": 1}, {"id": 2}], "annotations": rows}):
        (tmp_path / "t.json").write_text(json.dumps(value))
        assert read_text_file(tmp_path / "t.json", "reference").texts == {"1": ("A.", "B."), "2": ("C.",)}
        with pytest.raises(DataError, match="id '1' occurs twice"):
            read_texts(tmp_path / "t.json")


def test_the_split_of_a_row_is_known_by_its_other_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,text,Split\na,x,Validate\nb,y,TRAIN\nc,z,\n")
    assert set(read_text_file(tmp_path / "t.csv", "prediction", split="val").texts) == {"a", "c"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"a": "x",\n"b": {"a": 1},\n"a": "y"}', "line 3: key 'a' occurs twice"),
        ('{"a": "x",\n"b": ' + "[" * 5000, "line 2: no JSON: nested too deeply"),
        ('{"a": "x",\n"b": }', "line 2: no JSON: Expecting value"),
        ('{"a": "caf\udce9"}', r"line 1: not UTF-8 \(byte 11 of the line\)"),
    ],
)
def test_a_json_file_is_refused_by_its_line(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=rf"t\.json: {says}"):
        read_texts(tmp_path / "t.json")


def test_the_first_line_that_excel_writes_for_itself_says_the_delimiter(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\nid;report\na;x, y\n")
    assert list(table_rows(tmp_path / "t.csv")) == [("line 3", {"id": "a", "report": "x, y"})]


def test_a_header_may_be_long_and_must_have_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"id,{'x' * 200_000}\na,1\n")
    assert len(list(table_rows(tmp_path / "t.csv"))) == 1
    (tmp_path / "t.csv").write_text(",,\n1,2,3\n")
    with pytest.raises(DataError, match=r"t\.csv: line 1: names no column"):
        list(table_rows(tmp_path / "t.csv"))
    assert csv.field_size_limit() == 131_072
