"""What the jobs of the commands write, with an engine in this process, is what the commands write without one."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from reportgen_core import OptionError
from reportgen_core.annotation.thresholds import Thresholds, save_thresholds
from reportgen_core.registries import sentence_classifiers
from reportgen_core.sentences.parts import LabelledSentence
from reportgen_core.testing.parts import FINDINGS, tiny_model

WINDOW = 8  # rows of a block of `rg annotate`, and of a window of the local run


def rows(folder: Path) -> str:
    return "".join(p.read_text() for p in sorted(folder.glob("part-*.jsonl")))


@pytest.fixture(scope="module")
def tienet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(tiny_model("none", "tienet").save(tmp_path_factory.mktemp("models") / "tienet-r"))


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of 30 reports of uneven length, one of them a row that cannot be read, in two splits."""
    monkeypatch.setattr("reportgen_core.annotation.findings.WINDOW", WINDOW)
    path = tmp_path / "archive.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("text", "split"))
        for n in range(30):
            text = " ".join(f"word{(n * k) % 9 + 1}{'.' if k % 3 else ''}" for k in range(n % 7))
            writer.writerow((text, "train" if n % 3 else "test") if n != 11 else (text, "train", "more"))
    return path


@pytest.mark.parametrize("more", [[], ["--explain"], ["--split", "train"], ["--batch-size", "3"]])
def test_annotations_are_those_of_the_local_run(more, rg, in_process, archive, tienet, tmp_path) -> None:
    local = rg("annotate", archive, "--model", tienet, "--json", *more)
    done = rg("annotate", archive, "--model", tienet, "--engine", "ray", "--out", tmp_path / "out", *more)
    assert rows(tmp_path / "out") == local.out
    assert local.code == done.code == 1
    assert [line for line in done.err.splitlines() if "line 13" in line] == ["rg: line 13: 3 cells, the header has 2"]
    assert json.loads(local.out.splitlines()[0])["id"] in ("2", "3")  # rows without an id are known by their lines


def test_images_of_rows_are_read_next_to_the_table_wherever_the_worker_is(
    rg, in_process, tmp_path, monkeypatch
) -> None:
    from PIL import Image

    model = tiny_model("densenet121", "tienet").save(tmp_path / "tienet-ir")
    Image.new("L", (40, 40), 90).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text("id,image,text\na,a.png,word1\nb,gone.png,word2\n")
    monkeypatch.chdir(tmp_path)
    local = rg("annotate", "t.csv", "--model", model, "--json")
    done = rg("annotate", "t.csv", "--model", model, "--engine", "ray", "--out", "out")
    assert rows(tmp_path / "out") == local.out != ""
    assert json.loads((tmp_path / "out" / "_bad-000000.jsonl").read_text())["line"] == 3
    assert done.code == local.code == 1


def test_another_model_or_other_thresholds_are_another_run(rg, in_process, archive, tienet, tmp_path) -> None:
    model = shutil.copytree(tienet, tmp_path / "model")
    command = ["annotate", archive, "--model", model, "--engine", "ray", "--out", tmp_path / "out"]
    rg(*command)
    save_thresholds(model, Thresholds({FINDINGS[0]: 0.1}))
    done = rg(*command, "--resume")
    assert done.code == 1 and "another model" in done.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engine", "ray"], "--engine ray writes parts, as JSON lines or Parquet: --out DIR"),
        (["--engine", "ray", "--out", "x.csv"], "--engine ray writes parts, as JSON lines or Parquet: --out DIR"),
        (["--engine", "ray", "--tune"], "--tune and --evaluate need all rows in one place"),
        (["--out", "."], "--out . is written as"),
        (["--gpus-per-worker", "1"], "--gpus-per-worker belongs to --engine ray"),
    ],
)
def test_options_that_annotate_cannot_join_are_one_line(arguments, says, rg, archive, tienet) -> None:
    done = rg("annotate", archive, "--model", tienet, *arguments)
    assert done.code == 1 and done.err.count("\n") == 1
    assert says in done.err or arguments == ["--out", "."]


def test_a_column_that_is_not_there_is_said_before_a_worker_starts(rg, in_process, archive, tienet, tmp_path) -> None:
    done = rg("annotate", archive, "--model", tienet, "--text", "befund", "--engine", "ray", "--out", tmp_path / "out")
    assert done.code == 1 and f"{archive} has no column 'befund'" in done.err and not in_process.began


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of words by tf-idf."""
    sentences = [
        LabelledSentence(text, abnormal, f"s{n}")
        for n in range(8)
        for text, abnormal in ((f"No edema number {n}", False), (f"There is edema number {n}", True))
    ]
    made = sentence_classifiers.create("tfidf")
    made.fit(sentences, sentences)
    folder = tmp_path_factory.mktemp("models") / "tfidf"
    made.save(folder)
    return folder


@pytest.mark.parametrize("more", [[], ["--only-abnormal"]])
def test_abnormal_sentences_are_those_of_the_local_run(more, rg, in_process, classifier, tmp_path) -> None:
    table = tmp_path / "t.jsonl"
    texts = ["No edema. There is edema.", "No mass.", "", "There is a mass. No edema.", "There is edema."]
    table.write_text("".join(json.dumps({"id": f"s{n}", "findings": t, "age": n}) + "\n" for n, t in enumerate(texts)))
    local = rg("data", "abnormal", table, "--model", classifier, "--out", tmp_path / "l.jsonl", "--json", *more)
    command = ["--engine", "ray", "--out", tmp_path / "out", "--batch-size", 2, "--json", *more]
    done = rg("data", "abnormal", table, "--model", classifier, *command)
    assert local.code == done.code == 0, done.err
    assert rows(tmp_path / "out") == (tmp_path / "l.jsonl").read_text() != ""
    assert json.loads(done.out) == json.loads(local.out)


def test_a_row_without_a_text_is_a_bad_row_of_its_own(rg, in_process, classifier, tmp_path) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text('{"id": "a", "findings": "No edema."}\n{"id": "b"}\n{"id": \n{"id": "c", "findings": "Edema."}\n')
    done = rg("data", "abnormal", table, "--model", classifier, "--engine", "ray", "--out", tmp_path / "out")
    assert done.code == 1
    assert "rg: line 2: no findings and no text" in done.err and "rg: line 3: no JSON" in done.err
    assert [json.loads(line)["id"] for line in rows(tmp_path / "out").splitlines()] == ["a", "c"]
    done = rg("data", "abnormal", table, "--model", classifier, "--engine", "ray", "--out", tmp_path / "o.parquet")
    assert done.code == 1 and "writes rows with the columns of the table" in done.err


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Nine images in two folders, of which one cannot be read and two share a name, and a file without an image."""
    from PIL import Image

    for n in range(9):
        path = tmp_path / "images" / "ab"[n % 2] / f"{'same' if n < 2 else f'x{n}'}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").rotate(17 * n).resize((48, 40 + n)).save(path)
    (tmp_path / "images" / "b" / "bad.png").write_bytes(b"no image")
    (tmp_path / "images" / "notes.md").touch()
    return tmp_path / "images"


@pytest.mark.parametrize("more", [[], ["--paths", "--attention", "--n-best", "2"], ["--strict"]])
def test_reports_are_the_lines_of_the_local_run(more, rg, in_process, images, model, tmp_path) -> None:
    more = ["--batch-size", 2, "--model", model, *more]
    local = rg("report", images, "--out", tmp_path / "local", *more)
    done = rg("report", images, "--engine", "ray", "--out", tmp_path / "out", *more)
    assert rows(tmp_path / "out") == (tmp_path / "local" / "reports.jsonl").read_text()
    assert local.code == done.code == 1
    last = local.err.splitlines()[-1]
    assert last in done.err and "1 could not be read" in last
    assert "1 other file without an image, not read: notes.md" in done.err


def test_reports_are_written_in_blocks_and_a_changed_tree_is_another_input(
    rg, in_process, images, model, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("reportgen_cli.engines.jobs.reporting.BLOCK", 4)
    command = ["report", images, "--engine", "ray", "--out", tmp_path / "out", "--model", model, "--batch-size", 2]
    in_process.ends_after = 1
    first = rg(*command)
    assert first.code == 1 and "2 of 3 parts are missing" in first.err
    in_process.ends_after = None
    second = rg(*command, "--resume")
    assert "1 of 3 parts are there" in second.err and len(rows(tmp_path / "out").splitlines()) == 10
    (images / "a" / "new.png").write_bytes((images / "a" / "x2.png").read_bytes())
    third = rg(*command, "--resume")
    assert third.code == 1 and "another input (sha256" in third.err.splitlines()[-1]
    assert len((tmp_path / "out" / "_input.jsonl").read_text().splitlines()) == 10  # of the run that is there


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--engine", "ray"], "workers write parts into a folder; name it with --out DIR"),
        (["--engine", "ray", "--out", "x", "--explain"], "--explain: workers write the lines of reports.jsonl alone"),
        (["--engine", "ray", "--out", "x", "--study"], "--study: workers write the lines of reports.jsonl alone"),
        (["--engine", "ray", "--out", "x", "--indication", "a"], "--indication: workers write the lines"),
        (["--device", "cuda:0,cuda:7", "--out", "x"], "--device cuda:0: torch finds no such device here"),
        (["--device", "cuda:0"], "--device cuda:0: torch finds no such device here"),
        (["--resume"], "--resume belongs to --engine ray"),
    ],
)
def test_what_workers_do_not_write_is_one_line(arguments, says, rg, images, model, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    done = rg("report", images, "--model", model, *arguments)
    assert done.code == 1 and says in done.err and done.err.count("\n") == 1


def test_two_gpus_are_two_workers_with_a_gpu_each(rg, images, model, tmp_path, monkeypatch) -> None:
    made = []

    def engine(options, workers, log, devices):
        made.append((options.engine, options.gpus_per_worker, workers, devices))
        raise OptionError("enough")

    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setattr("reportgen_cli.engines.jobs.reporting.RayEngine", engine)
    rg("report", images, "--model", model, "--device", "cuda:1,cuda:3", "--out", tmp_path / "out")
    assert made == [("ray", 1.0, 2, (1, 3))]
