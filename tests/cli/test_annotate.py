"""`rg annotate`: tables in, labels out, thresholds, bad rows by line."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reportgen_core import Model
from reportgen_core.annotation.thresholds import load_thresholds
from reportgen_core.testing.parts import FINDINGS, tiny_model

REPORTS = {"a": "word1 word2. word3.", "b": "", "c": "word4 word5 word6 word7."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny tienet-r with random weights; a test that writes into it takes a copy."""
    return tiny_model("none", "tienet").save(tmp_path_factory.mktemp("models") / "tienet-r")


def table(path: Path, rows: list[list[object]], head: tuple[str, ...] = ("id", "text")) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def test_a_table_of_reports_gets_a_row_of_probabilities_for_each(rg, folder, tmp_path):
    done = rg("annotate", table(tmp_path / "t.csv", [*map(list, REPORTS.items())]), "--model", folder)
    assert done.code == 0, done.err
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [r["id"] for r in rows] == ["a", "b", "c"]
    assert set(rows[0]) == {"id", *FINDINGS, "labels", "note"}
    for row in rows:
        assert row["labels"].split("|") == ([n for n in FINDINGS if float(row[n]) >= 0.5] or [""])
    assert rows[1]["note"] == "the report has no words"
    assert "has no thresholds: 0.5 is taken" in done.err and "3 rows annotated" in done.err


def test_csv_tsv_and_json_lines_say_the_same(rg, folder, tmp_path):
    said = []
    table(tmp_path / "t.csv", [*map(list, REPORTS.items())])
    (tmp_path / "t.tsv").write_text("id\ttext\n" + "".join(f"{k}\t{v}\n" for k, v in REPORTS.items()))
    (tmp_path / "t.jsonl").write_text("".join(json.dumps({"id": k, "findings": v}) + "\n" for k, v in REPORTS.items()))
    for name in ("t.csv", "t.tsv", "t.jsonl"):
        done = rg("annotate", tmp_path / name, "--model", folder, "--json")
        assert done.code == 0, done.err
        said.append([json.loads(line) for line in done.out.splitlines()])
    assert said[0] == said[1] == said[2]
    assert list(said[0][0]) == ["id", "findings", "labels", "note"]


def test_columns_are_named_and_ids_may_be_lines(rg, folder, tmp_path):
    file = table(tmp_path / "t.csv", [["word1", 7], ["word2", 8]], ("befund", "nr"))
    done = rg("annotate", file, "--model", folder, "--text", "befund", "--json")
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["2", "3"]
    done = rg("annotate", file, "--model", folder, "--text", "befund", "--id", "nr", "--json")
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["7", "8"]


BROKEN = [
    ("t.csv", b"id,text\na,word1\nb,word2,more\nc,word3\n", "line 3: 3 cells, the header has 2"),
    ("t.csv", b"id,text\na,word1\nb,\xff\xfe\nc,word3\n", "line 3: not UTF-8"),
    ("t.csv", b'id,text\na,word1\nb,"wo"rd2\nc,word3\n', "line 3: a quote is not closed"),
    ("t.jsonl", b'{"id": "a", "text": "word1"}\n{"id": \n{"id": "c", "text": "word3"}\n', "line 2: no JSON"),
    ("t.jsonl", b'{"id": "a", "text": "word1"}\n[1]\n{"id": "c", "text": "word3"}\n', "line 2: wants an object, is a list"),
    ("t.jsonl", b'{"id": "a", "text": "word1"}\n{"id": "b"}\n{"id": "c", "text": "word3"}\n', "line 2: no text"),
    ("t.jsonl", b'{"id": "a", "text": "word1"}\n{"text": {}}\n{"id": "c", "text": "word3"}\n', "line 2: text is a dict"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "says"), BROKEN, ids=[says for _, _, says in BROKEN])
def test_a_row_that_does_not_parse_is_named_and_the_rest_goes_on(name, body, says, rg, folder, tmp_path):
    (tmp_path / name).write_bytes(body)
    done = rg("annotate", tmp_path / name, "--model", folder, "--json")
    assert done.code == 1
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["a", "c"]
    assert says in done.err and "2 rows annotated\n1 rows could not be read" in done.err


def test_many_bad_rows_are_counted_and_not_all_named(rg, folder, tmp_path):
    (tmp_path / "t.jsonl").write_text('{"text": "word1"}\n' + "no\n" * 50)
    done = rg("annotate", tmp_path / "t.jsonl", "--model", folder)
    assert done.err.count("no JSON") == 20 and "1 rows annotated\n50 rows could not be read" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--text", "txt"], "has no column 'txt'; did you mean 'text'"),
        (["--id", "uid"], "has no column 'uid'; did you mean 'id'"),
        (["--tune"], "has no column 'Cardiomegaly'"),
        (["--tune", "--labels", "lables"], "has no column 'lables'"),
        (["--labels", "text"], "neither is asked for"),
        (["--out", "x.txt"], "written as .csv or .jsonl"),
        (["--explain"], "--explain needs JSON lines"),
    ],
    ids=" ".join,
)
def test_what_is_asked_wrongly_is_one_line(arguments, says, rg, folder, tmp_path):
    done = rg("annotate", table(tmp_path / "t.csv", [["a", "word1"]]), "--model", folder, *arguments)
    assert done.code == 1 and says in done.err and "Traceback" not in done.err


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("t.txt", "word1", "known are .csv, .tsv, .xlsx, .jsonl, .ndjson"),
        ("t.csv", "", "is empty"),
        ("t.csv", "id,befund\na,word1\n", "no column of reports; name it with --text, there are: id, befund"),
    ],
)
def test_what_is_no_table_of_reports_says_so(name, body, says, rg, folder, tmp_path):
    (tmp_path / name).write_text(body)
    done = rg("annotate", tmp_path / name, "--model", folder)
    assert done.code == 1 and says in done.err


def test_a_model_that_does_not_annotate_says_which_does(rg, model, tmp_path):
    done = rg("annotate", table(tmp_path / "t.csv", [["a", "word1"]]), "--model", model)
    assert done.code == 1 and "hier-lstm reads no findings off reports or images" in done.err


def test_a_file_appears_whole_or_not_at_all(rg, folder, tmp_path, monkeypatch):
    file = table(tmp_path / "t.csv", [["a", "word1"]])
    assert rg("annotate", file, "--model", folder, "--out", tmp_path / "out.csv").code == 0
    before = (tmp_path / "out.csv").read_text()
    assert before.startswith("id,") and before.count("\n") == 2

    def broken(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reportgen_cli.commands.annotate.write_annotations", broken)
    assert rg("annotate", file, "--model", folder, "--out", tmp_path / "out.csv").code == 1
    assert (tmp_path / "out.csv").read_text() == before
    assert not list(tmp_path.glob(".*part"))


@pytest.mark.parametrize("kind", ["columns", "list"])
def test_thresholds_are_chosen_kept_and_used(kind, rg, tmp_path):
    folder = tiny_model("none", "tienet").save(tmp_path / "tienet-r")
    reports = [f"word{i % 20} word{i * 7 % 20} word{i * 3 % 20}." for i in range(24)]
    plain = table(tmp_path / "t.csv", [[i, text] for i, text in enumerate(reports)])
    first = rg("annotate", plain, "--model", folder)
    scores = [float(r[FINDINGS[0]]) for r in csv.DictReader(io.StringIO(first.out))]
    cut = sorted(scores)[16]  # label the eight likeliest: some threshold finds exactly them
    if kind == "columns":
        rows = [[i, text, int(p >= cut), "", 0] for i, (text, p) in enumerate(zip(reports, scores, strict=True))]
        file, more = table(tmp_path / "val.csv", rows, ("id", "text", *FINDINGS)), []
    else:
        rows = [
            [i, t, FINDINGS[0] if p >= cut else "other"] for i, (t, p) in enumerate(zip(reports, scores, strict=True))
        ]
        for row in rows[:1]:
            row[2] += f"|{FINDINGS[1]}"
        file, more = table(tmp_path / "val.csv", rows, ("id", "text", "gold")), ["--labels", "gold"]
    done = rg("annotate", file, "--model", folder, "--tune", *more)
    assert done.code == 0, done.err
    assert load_thresholds(folder, FINDINGS).of(FINDINGS[0]) == pytest.approx((cut + sorted(scores)[15]) / 2, abs=1e-5)
    assert "1.000" in done.out and str(folder / "thresholds.json") in done.err
    again = rg("annotate", plain, "--model", folder)
    labels = [FINDINGS[0] in r["labels"].split("|") for r in csv.DictReader(io.StringIO(again.out))]
    assert labels == [p >= cut for p in scores] and "thresholds of val.csv" in again.err


def test_findings_are_judged_by_a_tables_labels_with_curves(rg, folder, tmp_path):
    reports = [f"word{i % 20} word{i * 7 % 20} word{i * 3 % 20}." for i in range(30)]
    rows = [[i, text, int(i % 3 == 0), 0, -1 if i else 1, "test" if i else "val"] for i, text in enumerate(reports)]
    file = table(tmp_path / "gold.csv", rows, ("id", "text", *FINDINGS, "split"))
    done = rg(
        "annotate", file, "--model", folder, "--evaluate", tmp_path / "scores", "--resamples", 50, "--split", "test"
    )
    assert done.code == 0, done.err
    values = json.loads((tmp_path / "scores" / "findings.json").read_text())
    said = {line["name"]: line["value"] for line in values["lines"]}
    plain = rg("annotate", file, "--model", folder, "--split", "test")
    scores = {int(r["id"]): float(r[FINDINGS[0]]) for r in csv.DictReader(io.StringIO(plain.out))}
    there, not_there = [p for i, p in scores.items() if i % 3 == 0], [p for i, p in scores.items() if i % 3]
    pairs = [(a > b) + (a == b) / 2 for a in there for b in not_there]
    assert said[f"findings {FINDINGS[0]} auc"] == pytest.approx(sum(pairs) / len(pairs), abs=1e-4)
    assert (values["studies"], said["findings mean auc"]) == (29, said[f"findings {FINDINGS[0]} auc"])
    assert f"left out of the means: {FINDINGS[1]}, which no study has as a positive" in done.out
    assert (tmp_path / "scores" / "roc.png").read_bytes().startswith(b"\x89PNG")
    assert b"left out of the means" in (tmp_path / "scores" / "roc.svg").read_bytes()


def test_what_rg_data_build_wrote_is_read_as_it_stands(rg, folder, tmp_path):
    rows = [
        {"id": f"s{i}", "split": "test" if i else "train", "sections": {"findings": f"word{i}."},
         "labels": {FINDINGS[0]: i % 2, "other": 1}, "views": [{"path": f"{i}.png", "projection": "frontal"}]}
        for i in range(5)
    ]  # fmt: skip
    (tmp_path / "studies.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, {**rows[1], "views": 3}]))
    done = rg("annotate", tmp_path / "studies.jsonl", "--model", folder, "--split", "test")
    assert [r["id"] for r in csv.DictReader(io.StringIO(done.out))] == ["s1", "s2", "s3", "s4"]
    assert done.code == 1 and "line 6: study 's1' is not written as a study" in done.err
    done = rg("annotate", tmp_path / "studies.jsonl", "--model", folder, "--evaluate", tmp_path / "scores")
    assert FINDINGS[0] in done.out and "mean auc" in done.out


def test_a_label_that_is_no_label_makes_its_row_bad(rg, tmp_path):
    folder = tiny_model("none", "tienet").save(tmp_path / "tienet-r")
    rows = [["a", "word1", 1, 0, 0], ["b", "word2", 0, 0, "maybe"], ["c", "word3 word4", 0, 1, 0]]
    done = rg("annotate", table(tmp_path / "v.csv", rows, ("id", "text", *FINDINGS)), "--model", folder, "--tune")
    assert done.code == 1 and "chosen on 2 studies" in done.err
    assert f"line 3: {FINDINGS[2]} is 'maybe'" in done.err


def test_thresholds_that_cannot_be_chosen_leave_those_that_are_there(rg, tmp_path):
    folder = tiny_model("none", "tienet").save(tmp_path / "tienet-r")
    good = table(tmp_path / "good.csv", [["a", "word1", FINDINGS[0]], ["b", "word2", ""]], ("id", "text", "labels"))
    assert rg("annotate", good, "--model", folder, "--tune", "--labels", "labels").code == 0
    before = (folder / "thresholds.json").read_bytes()
    wrong = table(tmp_path / "wrong.csv", [["a", "word1", 1], ["b", "word2", 0]], ("id", "text", "Foo"))
    done = rg("annotate", wrong, "--model", folder, "--tune", "--labels", "Foo")
    assert done.code == 1 and "wrong.csv: none of the model's findings is there in some of 2 rows" in done.err
    assert (folder / "thresholds.json").read_bytes() == before


def test_images_with_reports_are_read_from_the_folder_of_images_alone(rg, tmp_path):
    from PIL import Image

    made: Model = tiny_model("densenet121", "tienet")
    folder = made.save(tmp_path / "tienet-ir")
    (tmp_path / "images").mkdir()
    Image.new("L", (64, 64), 120).save(tmp_path / "images" / "a.png")
    Image.new("L", (64, 64), 120).save(tmp_path / "secret.png")
    rows = [["a", "word1", "a.png"], ["b", "word1", "../secret.png"], ["c", "word1", ""], ["d", "word1", "gone.png"]]
    file = table(tmp_path / "t.csv", rows, ("id", "text", "image"))
    done = rg("annotate", file, "--model", folder, "--images", tmp_path / "images", "--json")
    assert done.code == 1
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == ["a"]
    assert "line 3: image" in done.err and "lies outside" in done.err
    assert "line 4: no image" in done.err and "gone.png" in done.err


def test_a_model_that_reads_no_reports_asks_for_none(rg, tmp_path):
    from PIL import Image

    tiny_model("densenet121", "chestxray8").save(tmp_path / "model")
    Image.new("L", (64, 64), 90).save(tmp_path / "a.png")
    (tmp_path / "t.jsonl").write_text(json.dumps({"image": "a.png", "patient": 7}) + "\n")
    done = rg("annotate", tmp_path / "t.jsonl", "--model", tmp_path / "model", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["findings"]


def test_an_explained_row_has_its_words_and_their_looks(rg, folder, tmp_path):
    done = rg("annotate", table(tmp_path / "t.csv", [["a", "word1 word2."]]), "--model", folder, "--json", "--explain")
    words = json.loads(done.out)["words"]
    assert [w for w, _ in words] == ["word1", "word2", "."]
    assert all(0 <= look <= 1 for _, look in words) and sum(look for _, look in words) >= 0.999


def test_the_help_is_quick(tmp_path):
    code = "import sys; sys.argv = ['rg', 'annotate', '--help']\nfrom reportgen_cli.main import main\ntry: main()\nexcept SystemExit: print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.endswith("False False\n")
