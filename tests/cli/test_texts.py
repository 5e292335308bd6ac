"""Files of texts by id, as people have them."""

import json
from pathlib import Path

import pytest

from reportgen_core import DataError
from reportgen_core.files.reports import read_texts

WANT = {"a": "Lungs are clear.", "b": 'No "effusion", seen.\nNew line.'}
ROWS = [{"id": k, "text": v} for k, v in WANT.items()]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.json", json.dumps(WANT)),
        ("t.json", json.dumps(ROWS)),
        ("t.json", json.dumps({k: {"model_prediction": v, "report": "another"} for k, v in WANT.items()})),
        ("t.jsonl", "\n".join(map(json.dumps, ROWS)) + "\n\n"),
        ("t.jsonl", "\n".join(json.dumps({"study": k, "prediction": v}) for k, v in WANT.items())),
        ("t.csv", 'id,text\na,Lungs are clear.\nb,"No ""effusion"", seen.\nNew line."\n'),
        ("t.tsv", 'id\ttext\na\tLungs are clear.\nb\t"No ""effusion"", seen.\nNew line."\n'),
        ("t.csv", '\ufeffid,text\na,Lungs are clear.\nb,"No ""effusion"", seen.\nNew line."\n'),
    ],
)
def test_every_format_gives_the_same_texts(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert read_texts(tmp_path / name) == WANT


def test_plain_text_is_one_report_or_one_a_line(tmp_path: Path) -> None:
    (tmp_path / "s1.txt").write_text("One.\nTwo.\n")
    assert read_texts(tmp_path / "s1.txt") == {"s1": "One.\nTwo.\n"}
    assert read_texts(tmp_path / "s1.txt", lines=True) == {"1": "One.", "2": "Two."}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("t.json", b'["\xe9"]', "line 1: not UTF-8 .byte 3"),
        ("t.json", b'{"a": ', "line 1: no JSON"),
        ("t.jsonl", b'{"id": "a", "text": "x"}\n{"id": ', "line 2: no JSON"),
        ("t.jsonl", b'{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}', "id 'a' occurs twice"),
        ("t.jsonl", b'{"id": "a", "words": "x"}', "line 1: no text; the columns are id, words"),
        ("t.json", b'["x"]', "row 1: wants fields for id and text, is a str"),
        ("t.json", b"3", "is a int"),
        ("t.csv", b"id,text\na\n", "line 2: 1 cells, the header has 2"),
        ("t.csv", b"", "holds no text"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=rf"{name.replace('.', '[.]')}: .*{says}"):
        read_texts(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: No such file"):
        read_texts(tmp_path / "none.csv")
