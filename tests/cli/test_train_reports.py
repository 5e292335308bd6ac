"""`rg train` of a model that reads reports alone: no image, and labels from a column, a labeler, or MeSH."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reportgen_core import compose, load
from reportgen_core.text.spec import TextSpec

TEXTS = ("the heart is enlarged .", "no pleural effusion .", "small pleural effusion .", "the lungs are clear .")
MESH = (["Cardiomegaly/mild"], ["normal"], ["Pleural Effusion/left"], None)
LISTS = (["Cardiomegaly"], [], ["Effusion"], None)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "reports.jsonl"
    rows = [
        {"id": f"{i}", "findings": TEXTS[i % 4], "mesh": MESH[i % 4], "mine": LISTS[i % 4], "split": "train" if i < 8 else "val"}
        for i in range(12)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = {"hidden": 4, "embedding": 3, "attention_units": 4, "writes": False}
    made = compose(encoder="none", decoder="tienet", decoder_options=options, text=TextSpec(min_count=1))
    return made.save(tmp_path_factory.mktemp("composed") / "r")


COLUMN = ["--data-option", "labels=mine", "--data-option", "complete=true"]
SOURCES = [
    (COLUMN, ("Cardiomegaly", "Effusion")),
    (["--labels", "mesh", "--data-option", "tags=mesh"], 14),
    (["--labels", "chexpert-rules", "--label-option", "scheme=chestxray14"], ("Cardiomegaly", "Effusion", "No Finding", "normal")),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "names"), SOURCES, ids=["column", "mesh", "labeler"])
def test_reports_without_images_train_with_labels_from_anywhere(rg, table, composed, tmp_path, asked, names):
    out = tmp_path / "run"
    done = rg("train", composed, "--data", "table", "--data-root", table, *asked, "--epochs", 1, "--out", out)
    assert done.code == 0, done.err
    assert "8 studies to learn from, 4 held back" in done.err
    found = load(out / "best").findings
    assert len(found) == names if isinstance(names, int) else set(names) <= set(found)


def test_a_model_that_looks_at_images_leaves_such_rows_out(rg, table, tmp_path):
    options = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}
    small = {"hidden": 4, "embedding": 3, "transition": 3, "attention_units": 4, "writes": False}
    made = compose(encoder="resnet50", decoder="tienet", encoder_options=options, decoder_options=small)
    done = rg(
        "train", made.save(tmp_path / "ir"), "--data", "table", "--data-root", table, *COLUMN, "--out", tmp_path / "o"
    )
    assert done.code == 1
    assert "has no column of images" in done.err


def test_labels_that_nobody_has_are_one_line(rg, table, composed, tmp_path):
    asked = ["train", composed, "--data", "table", "--data-root", table, "--out", tmp_path / "run"]
    done = rg(*asked, "--labels", "mesh")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "labels from mesh: none of 8 studies has MeSH headings" in done.err
    done = rg(*asked, "--labels", "mehs")
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "no metric named 'mehs'" in done.err
