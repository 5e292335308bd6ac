"""Predictions and references in every shape people have them, and the files that are wrong."""

import json
from pathlib import Path

import pytest

from reportgen_core import DataError
from reportgen_core.files.reports import read_text_file

TEXTS = {"s1": ("Lungs clear.",), "s2": ("Heart big.",)}


def saved(tmp_path: Path, name: str, content: object) -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_our_own_lines_have_alternatives_and_views(tmp_path: Path) -> None:
    rows = [{"study": "s1", "text": "a", "alternatives": ["b", "c"], "views": ["x.png"]}, {"study": "s2", "text": ""}]
    found = read_text_file(saved(tmp_path, "p.jsonl", "\n".join(map(json.dumps, rows))), "prediction")
    assert found.texts == {"s1": ("a", "b", "c"), "s2": ("",)}
    assert found.images == {"s1": ("x.png",)}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", {"s1": "Lungs clear.", "s2": "Heart big."}),
        ("a.json", {"s1": ["Lungs clear."], "s2": ["Heart big."]}),
        ("a.json", {"s1": [{"image_id": 1, "caption": "Lungs clear."}], "s2": [{"caption": "Heart big."}]}),
        ("a.json", {"gts": {"s1": ["x"]}, "res": {"s1": ["Lungs clear."], "s2": ["Heart big."]}}),
        ("a.json", [{"id": "s1", "report": "Lungs clear."}, {"id": "s2", "report": "Heart big."}]),
        ("a.csv", "study_id,report\ns1,Lungs clear.\ns2,Heart big.\n"),
        ("a.csv", "example_id,prediction,target\ns1,Lungs clear.,x\ns2,Heart big.,y\n"),
        ("a.tsv", "id\ttext\ns1\tLungs clear.\ns2\tHeart big.\n"),
        (
            "a.json",
            {"s1": {"report": "x", "model_prediction": "Lungs clear."}, "s2": {"model_prediction": "Heart big."}},
        ),
    ],
)
def test_predictions_are_read_from(tmp_path: Path, name: str, content: object) -> None:
    assert read_text_file(saved(tmp_path, name, content), "prediction").texts == TEXTS


def test_one_file_can_hold_both_sides(tmp_path: Path) -> None:
    both = saved(tmp_path, "a.csv", "example_id,prediction,target\ns1,x,Lungs clear.\ns2,y,Heart big.\n")
    assert read_text_file(both, "reference").texts == TEXTS
    both = saved(tmp_path, "a.json", {"gts": {"s1": ["Lungs clear."], "s2": ["Heart big."]}, "res": {"s1": ["x"]}})
    assert read_text_file(both, "reference").texts == TEXTS


def test_sections_are_picked_in_the_order_asked_for(tmp_path: Path) -> None:
    rexrank = {"s1": {"report": "Findings: F. Impression: I.", "section_findings": "F.", "section_impression": "I."}}
    path = saved(tmp_path, "r.json", rexrank)
    assert read_text_file(path, "reference").texts == {"s1": ("F.",)}
    assert read_text_file(path, "reference", sections=("impression", "findings")).texts == {"s1": ("I. F.",)}
    studies = saved(tmp_path, "s.jsonl", json.dumps({"id": "s1", "sections": {"findings": "F.", "impression": "I."}}))
    assert read_text_file(studies, "reference", sections=("impression",)).texts == {"s1": ("I.",)}
    kaggle = saved(tmp_path, "k.csv", "uid,findings,impression\n7,F.,I.\n")
    assert read_text_file(kaggle, "reference", sections=("findings", "impression")).texts == {"7": ("F. I.",)}


def test_a_split_of_r2gens_annotation_is_read(tmp_path: Path) -> None:
    rows = {
        s: [{"id": s, "report": f"of {s}", "image_path": ["a/0.png"], "split": s}] for s in ("train", "val", "test")
    }
    path = saved(tmp_path, "annotation.json", rows)
    assert read_text_file(path, "reference", split="val").texts == {"val": ("of val",)}
    assert set(read_text_file(path, "reference").texts) == {"train", "val", "test"}


def test_text_lines_are_numbered_and_an_empty_line_is_an_empty_report(tmp_path: Path) -> None:
    path = saved(tmp_path, "hyp.txt", "Lungs clear.\n\nHeart \u2028big.\r\n")
    assert read_text_file(path, "prediction").texts == {"1": ("Lungs clear.",), "2": ("",), "3": ("Heart \u2028big.",)}


def test_a_headerless_column_is_read_like_text_lines(tmp_path: Path) -> None:
    path = saved(tmp_path, "res.csv", 'the lungs are clear .\n"heart, big"\n')
    assert read_text_file(path, "prediction").texts == {"1": ("the lungs are clear .",), "2": ("heart, big",)}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", '{"s1": "a", "s1": "b"}', "line 1: key 's1' occurs twice"),
        (
            "a.jsonl",
            '{"id": "s1", "text": "a"}\n{"id": "s1", "text": "b"}',
            r"id 's1' occurs twice \(line 1 and line 2\); give one prediction for each study",
        ),
        ("a.csv", "id,text\ns1,a\ns1,b\n", r"id 's1' occurs twice \(line 2 and line 3\)"),
        ("a.json", "{", "line 1: no JSON"),
        ("a.jsonl", '{"id": "s1", "text": "a"}\n{', "line 2: no JSON"),
        ("a.json", "3", "wants rows, or texts by id, is a int"),
        ("a.json", '[{"text": "a"}]', "row 1: no column of ids; the columns are text; usual names are id, study"),
        (
            "a.json",
            '[{"id": "a", "words": 3}]',
            "row 1: no prediction; the columns are id, words; usual names are prediction",
        ),
        ("a.json", '{"s1": true}', "key s1: wants a text, is a bool"),
        ("a.json", "{}", "holds no prediction"),
        ("a.txt", "", "holds no prediction"),
    ],
)
def test_a_wrong_file_is_named_with_the_place(tmp_path: Path, name: str, content: str, said: str) -> None:
    path = saved(tmp_path, name, content)
    with pytest.raises(DataError, match=f"^{path}: {said}"):
        read_text_file(path, "prediction")


def test_a_file_that_is_not_utf8_is_named_with_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"bar\ncaf\xe9")
    with pytest.raises(DataError, match=r"a\.txt: line 2: not UTF-8 \(byte 4 of the line\)"):
        read_text_file(path, "reference")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json: No such file"):
        read_text_file(tmp_path / "none.json", "reference")


def test_a_column_of_another_name_is_proposed_and_can_be_named(tmp_path: Path) -> None:
    path = saved(tmp_path, "a.csv", "case;answer;report\n7;Lungs clear.;Not this.\n")
    with pytest.raises(DataError) as error:
        read_text_file(path, "prediction")
    for part in ("columns are case, answer, report", "a semicolon separates", "--column id=case", "id, study, studyid"):
        assert part in str(error.value)
    named = {"id": "Case", "prediction": "answer"}
    assert read_text_file(path, "prediction", named=named).texts == {"7": ("Lungs clear.",)}
    assert read_text_file(path, "reference", named=named).texts == {"7": ("Not this.",)}
    with pytest.raises(DataError, match="line 2: no column 'anser'; it has case, answer, report"):
        read_text_file(path, "prediction", named={"prediction": "anser"})
    only = saved(tmp_path, "b.csv", "id,answer\n7,Lungs clear.\n")
    with pytest.raises(DataError, match=r"no prediction; the columns are id, answer .* --column prediction=answer"):
        read_text_file(only, "prediction")
