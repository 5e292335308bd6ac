"""`rg data abnormal` as a user runs it: training beside plain classifiers, and labelling tables."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from plain_language import labelled
from reportgen_cli.commands.data.datasets import data

from reportgen_core import DataError, OptionError
from reportgen_core.registries import datasets, sentence_classifiers
from reportgen_core.sentences.classifiers import read_labelled, split_report
from reportgen_core.sentences.label_table import abnormal_sentences, label_table
from reportgen_core.sentences.parts import LabelledSentence
from reportgen_core.text.spec import TextSpec, sentence_words


def rg(*arguments: object) -> str:
    done = CliRunner().invoke(data, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def model(table: Path, tmp_path: Path) -> Path:
    rg("abnormal", table, "--train", "--classifier", "tfidf", "--out", tmp_path / "tfidf")
    return tmp_path / "tfidf"


def test_training_prints_the_score_beside_the_plain_ones_and_keeps_it(
    tiny_bert: Path, table: Path, tmp_path: Path
) -> None:
    bert = {"model": str(tiny_bert), "epochs": 2, "batch": 8, "device": "cpu"}
    options = f"--classifier-option=options={json.dumps({'bert': bert})}"
    lines = rg("abnormal", table, "--train", "--out", tmp_path / "vote", options).splitlines()
    assert lines[0] == "train 192 sentences (100 abnormal) of 48 reports; dev 48 sentences (28 abnormal) of 12 reports"
    assert [line.split()[0] for line in lines[1:]] == ["classifier", "vote", "tfidf", "words"]
    about = json.loads((tmp_path / "vote" / "classifier.json").read_text())["about"]
    assert f"{about['dev']['f1']:.4f}" == lines[2].split()[1]
    assert len(about["chosen"]["bert"]["F1 of held-out studies by epoch"]) == 2


def test_a_labelled_table_has_the_section_and_a_flag_a_sentence(model: Path, tmp_path: Path) -> None:
    rows = [{"id": "a", "findings": "No mass. There is edema", "age": 3}, {"id": "b", "findings": ""}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    rg("abnormal", tmp_path / "t.jsonl", "--model", model, "--out", tmp_path / "l.jsonl")
    first, second = map(json.loads, (tmp_path / "l.jsonl").read_text().splitlines())
    assert first == rows[0] | {"abnormal": "There is edema.", "sentence_abnormal": [False, True]}
    assert second == rows[1] | {"abnormal": "", "sentence_abnormal": []}
    rg("abnormal", tmp_path / "t.jsonl", "--model", model, "--out", tmp_path / "o.jsonl", "--only-abnormal")
    assert [json.loads(x)["id"] for x in (tmp_path / "o.jsonl").read_text().splitlines()] == ["a"]


def test_studies_that_were_built_are_read_again_with_their_abnormal_section(model: Path, tmp_path: Path) -> None:
    study = {
        "id": "a",
        "views": [{"path": "a.png"}],
        "sections": {"findings": "No mass. There is edema."},
        "extra": {"age": 3},
    }
    (tmp_path / "a.png").touch()
    (tmp_path / "t.jsonl").write_text(json.dumps(study))
    rg("abnormal", tmp_path / "t.jsonl", "--model", model, "--out", tmp_path / "l.jsonl")
    (read,) = datasets.create("table", tmp_path / "l.jsonl").read().studies
    assert read.text(["abnormal"]) == "There is edema."
    assert read.extra == {"age": 3, "sentence_abnormal": [False, True]}


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_flat_table_is_read_again_with_its_abnormal_section(suffix: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "t.csv").write_text("image,findings\na.png,No mass. There is edema.\n")
    out = tmp_path / f"l.{suffix}"
    rg("abnormal", tmp_path / "t.csv", "--model", model, "--out", out)
    (read,) = datasets.create("table", out).read().studies
    assert read.text(["abnormal"]) == "There is edema."
    assert read.extra["sentence_abnormal"] == [False, True]


def test_a_csv_stays_a_csv_with_two_columns_more(model: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('id,report,n\n1,"No mass.\nThere is edema.",5\n')
    rg("abnormal", tmp_path / "t.csv", "--model", model, "--out", tmp_path / "l.csv", "--text", "report")
    (row,) = csv.DictReader((tmp_path / "l.csv").open(newline=""))
    assert row == {
        "id": "1", "report": "No mass.\nThere is edema.", "n": "5", "abnormal": "There is edema.", "sentence_abnormal": "0|1",
    }  # fmt: skip


def test_normal_and_abnormal_are_counted_by_classifier_and_by_rule(model: Path, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps({"id": 1, "findings": "Mass is absent. No scar. There is edema."}))
    lines = rg("abnormal", tmp_path / "t.jsonl", "--model", model, "--out", tmp_path / "l.jsonl").splitlines()
    assert lines[1].split()[-3:] == ["2", "1", "0.6667"]
    assert lines[2].split() == ["words", "1", "2", "0.3333"]


def test_flags_are_as_many_as_the_sentences_a_decoder_sees() -> None:
    text = "1. Heart size 3.5 cm ... normal. -- 2. No effusion; dr. Who agrees. ?! Opacity.No mass.\n\nEnd"
    assert len(split_report(text)) == len(sentence_words(text, TextSpec()))


def test_a_table_longer_than_a_block_keeps_its_order(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"id": i, "text": f"mass {i}."}) + "\n" for i in range(1100)))
    summary = label_table(tmp_path / "t.jsonl", tmp_path / "l.jsonl", {"words": sentence_classifiers.create("words")})
    rows = [json.loads(x) for x in (tmp_path / "l.jsonl").read_text().splitlines()]
    assert [(r["id"], r["abnormal"]) for r in rows] == [(i, f"mass {i}.") for i in range(1100)]
    assert (summary.reports, summary.with_abnormal, summary.ratios[0].abnormal) == (1100, 1100, 1100)


def test_labels_may_be_a_row_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "study,sentence,abnormal,split\n1,a,1,train\n2,b,0,val\n3,c,true,test\n4,d,,train\n"
    )
    labelled = read_labelled(tmp_path / "t.csv")
    assert labelled.train == (LabelledSentence("a", True, "1"),)
    assert labelled.dev == (LabelledSentence("b", False, "2"),)


@pytest.mark.parametrize("nested", [False, True])
def test_a_labelled_table_teaches_again_what_it_says(nested: bool, tmp_path: Path) -> None:
    text, flags = {"findings": "No mass. There is edema."}, {"sentence_abnormal": [False, True]}
    row = {"id": 4, "split": "train", **({"sections": text, "extra": flags} if nested else text | flags)}
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {"id": 5, "split": "val"}))
    labelled = read_labelled(tmp_path / "t.jsonl")
    assert [(s.text, s.abnormal) for s in labelled.train] == [("No mass", False), ("There is edema", True)]
    assert {s.study for s in labelled.dev} == {"5"}
    with pytest.raises(
        DataError, match=r"t\.jsonl: line 1: (sentence_abnormal needs a true or false|no impression and no text)"
    ):
        read_labelled(tmp_path / "t.jsonl", sections=["impression"])


def test_without_a_split_a_tenth_of_the_reports_is_held_out(tmp_path: Path) -> None:
    rows = [{"study": s.study, "sentence": s.text, "abnormal": s.abnormal} for s in labelled()]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    both = read_labelled(tmp_path / "t.jsonl")
    assert both.drawn and len({s.study for s in both.dev}) == 6
    assert len(both.train) + len(both.dev) == 240


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('{"id": 1, "text": "x"}', "has no labelled sentences: no field 'sentence_abnormal'"),
        ('{"sentence": "x", "abnormal": true}', "all 1 labelled sentences are abnormal"),
        (
            '{"sentence_abnormal": {"sents": ["a", "b"], "abnormal": [true]}}',
            "line 1: sentence_abnormal needs a true or false",
        ),
        ('{"sentence": "x", "abnormal": "perhaps"}', "line 1: abnormal is true or false, not 'perhaps'"),
        ("{", "line 1: no JSON"),
        ("[1]", "line 1: wants an object, is a list"),
    ],
)
def test_a_table_that_cannot_teach_says_why(tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    with pytest.raises(DataError, match=why):
        read_labelled(tmp_path / "t.jsonl")


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv", "txt"])
def test_a_file_that_is_not_utf8_is_named_with_line_and_byte(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.{suffix}"
    path.write_bytes(b'{"text": "a"}\n' + b"x\xe9\n")
    with pytest.raises(
        DataError, match=rf"t\.{suffix}: line 2: not UTF-8 \(byte 2 of the line\); save the file as UTF-8"
    ):
        abnormal_sentences(path)


def test_what_is_asked_must_fit_together(model: Path, table: Path, tmp_path: Path) -> None:
    for arguments, why in (
        ((), "wants --train, to learn from labels, or --model DIR"),
        (("--train", "--model", model), "not both"),
        (("--model", model, "--classifier-option", "epochs=2"), "belong to --train"),
    ):
        with pytest.raises(OptionError, match=why):
            rg("abnormal", table, "--out", tmp_path / "x.jsonl", *arguments)
    with pytest.raises(OptionError, match="is the table itself"):
        rg("abnormal", table, "--model", model, "--out", table)
    with pytest.raises(OptionError, match=r"a table is written as \.jsonl, \.csv, \.tsv"):
        rg("abnormal", table, "--model", model, "--out", tmp_path / "x.xlsx")


def test_a_row_without_a_text_is_named_and_nothing_half_written_stays(model: Path, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"id": 1, "findings": "x"}\n{"id": 2, "note": "y"}\n')
    with pytest.raises(DataError, match=r"t\.jsonl: line 2: no findings and no text; there are: id, note"):
        rg("abnormal", tmp_path / "t.jsonl", "--model", model, "--out", tmp_path / "l.jsonl")
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["reports.jsonl", "t.jsonl"]
