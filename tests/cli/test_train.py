"""`rg train`: a dataset of files on disk becomes a run, and a run goes on where it stopped."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from reportgen_cli.commands.train import settings_of
from reportgen_cli.render import _epoch

from reportgen_core import OptionError, compose, load
from reportgen_core.text.spec import TextSpec
from reportgen_core.training.lock import lock_run
from reportgen_core.training.settings import TrainSettings


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six studies: dark ones are normal, bright ones have an effusion."""
    folder = tmp_path_factory.mktemp("data")
    rows = ["image,findings,tags,split"]
    for i in range(6):
        Image.fromarray(np.full((70, 64), 30 + 150 * (i % 2), np.uint8)).save(folder / f"{i}.png")
        said = (
            ("the lungs are clear . no effusion .", "normal") if i % 2 == 0 else ("there is an effusion .", "effusion")
        )
        rows.append(f"{i}.png,{said[0]},{said[1]},{'train' if i < 4 else 'val'}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model without words."""
    small = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}
    head = {"hidden": 16, "embedding": 16, "tags_used": 2}
    made = compose(encoder="resnet50", decoder="hier-lstm", encoder_options=small, decoder_options=head)
    return made.save(tmp_path_factory.mktemp("composed") / "m")


def test_a_run_learns_writes_its_best_and_goes_on(rg, data: Path, composed: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = ["train", composed, "--data", "table", "--data-root", data, "--set", "batch_size=2", "--out", run]
    done = rg(*asked, "--epochs", 2)
    assert (done.code, done.out) == (0, f"{run / 'best'}\n")
    assert "4 studies to learn from, 2 held back" in done.err
    assert "epoch 2 of 2, training loss" in done.err
    assert load(run / "best").tags == ("effusion", "normal")
    again = rg(*asked, "--epochs", 3)
    assert again.code == 1
    assert "holds a run; --resume goes on with it" in again.err
    more = rg(*asked, "--epochs", 3, "--resume")
    assert more.code == 0
    assert "epoch 3 of 3" in more.err
    assert "epoch 2 of" not in more.err
    epochs = [r for r in map(json.loads, (run / "log.jsonl").read_text().splitlines()) if r["kind"] == "epoch"]
    assert [r["epoch"] for r in epochs] == [0, 1, 2]


def test_a_second_training_in_a_folder_is_one_line(rg, data: Path, composed: Path, tmp_path: Path) -> None:
    run, taken, end = tmp_path / "run", threading.Event(), threading.Event()

    def first() -> None:
        with lock_run(run):
            taken.set()
            end.wait()

    thread = threading.Thread(target=first)
    thread.start()
    taken.wait()
    for resume in ([], ["--resume"]):
        done = rg("train", composed, "--data", "table", "--data-root", data, "--out", run, *resume)
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert done.err.startswith(f"rg: cannot train in {run}: ") and "trains there" in done.err
    end.set()
    thread.join()
    assert not run.exists()


def test_a_run_resumed_with_other_data_says_so_first(rg, data: Path, composed: Path, tmp_path: Path) -> None:
    run = [
        "train",
        composed,
        "--data",
        "table",
        "--data-root",
        data,
        "--set",
        "batch_size=2",
        "--out",
        tmp_path / "run",
    ]
    rg(*run, "--epochs", 1)
    done = rg(*run, "--epochs", 2, "--resume", "--train-split", "val", "--val-split", "train")
    lines = done.err.splitlines()
    place = next(i for i, line in enumerate(lines) if "was started with 4 training studies, now 2" in line)
    assert done.code == 0 and lines[place].startswith("note: ")
    assert place < next(i for i, line in enumerate(lines) if line.startswith("epoch 2 of 2"))


def test_reports_that_the_limits_cut_are_counted(rg, data: Path, tmp_path: Path) -> None:
    small = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}
    made = compose(encoder="resnet50", decoder="lstm", encoder_options=small, text=TextSpec(max_sentences=1))
    folder = made.save(tmp_path / "m")
    done = rg("train", folder, "--data", "table", "--data-root", data, "--epochs", 1, "--out", tmp_path / "run")
    assert done.code == 0
    assert "2 of 4 reports to learn from are longer than 1 sentences of 30 words, and are cut" in done.err


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["--set", "epoch=3"], "training has no setting 'epoch'; did you mean 'epochs'?"),
        (["--set", "optimizer=adamm"], "training has no optimizer='adamm'; there are: adam, adamw, sgd"),
        (["--data-option", "colum=x"], "dataset 'table' has no option 'colum'"),
        (["--data", "tabel"], "no dataset named 'tabel'; did you mean 'table'?"),
        (["--train-split", "training"], "table has no studies in split 'training'; there are: 'train', 'val'"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(rg, data: Path, composed: Path, asked: list[str], says: str) -> None:
    done = rg("train", composed, "--data", "table", "--data-root", data, *asked)
    assert done.code == 1
    assert says in done.err
    assert done.err.count("\n") == 1


def test_without_a_model_and_a_preset_there_is_nothing_to_train(rg, data: Path) -> None:
    done = rg("train", "--data", "table", "--data-root", data)
    assert done.code == 1
    assert "train needs MODEL" in done.err


def test_settings_come_from_the_preset_then_from_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    from reportgen_zoo.reproduce import preset

    found = replace(preset.load_preset("jing-coattention"), train={"lr": 0.25, "epochs": 7})
    monkeypatch.setattr(preset, "load_preset", lambda name: found)
    assert settings_of("x", {"batch_size": 3}, None) == TrainSettings(lr=0.25, epochs=7, batch_size=3)
    assert settings_of("x", {"lr": 0.5}, 9) == TrainSettings(lr=0.5, epochs=9)
    with pytest.raises(OptionError):
        settings_of(None, {"learning_rate": 1}, None)


def test_the_help_has_every_setting_with_its_default(rg) -> None:
    page = rg("train", "--help").out
    for name in TrainSettings.__slots__:
        assert f"  {name}=" in page


def test_an_epoch_is_one_line() -> None:
    record = {"epoch": 0, "epochs": 3, "train_loss": 2.0, "val_loss": 1.5, "perplexity": 4.25, "best": True}
    assert _epoch(record) == (
        "epoch 1 of 3, training loss 2.0000, validation loss 1.5000, perplexity 4.2500, the best so far"
    )


def test_a_first_try_needs_two_names_a_table_and_a_limit(rg, data: Path, tmp_path: Path) -> None:
    done = rg(
        "train", "-e", "ResNet18", "-d", "lstm", "--data", data / "table.csv", "--limit", 2, "--epochs", 1,
        "--batch-size", 2, "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "2 studies to learn from, 2 held back" in done.err
    settings = json.loads((tmp_path / "run/best/config.json").read_text())
    assert (settings["encoder"]["name"], settings["decoder"]["name"]) == ("resnet18", "lstm")


def test_a_model_and_parts_are_too_much(rg, data: Path, composed: Path) -> None:
    done = rg("train", composed, "--encoder", "resnet18", "--data", data / "table.csv")
    assert done.code == 1 and "make a new model, and MODEL" in done.err


def test_a_table_without_images_is_refused_before_the_model(rg, tmp_path: Path, monkeypatch, composed: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("id,report\na,Heart normal.\n")
    monkeypatch.setattr("reportgen_cli.commands.train.starting_model", None)  # calling it would raise a TypeError
    for n, model in enumerate(([composed], ["--encoder", "resnet18", "--decoder", "lstm"], ["--preset", "lrcn"])):
        done = rg("train", *model, "--data", "table", "--data-root", table, "--out", tmp_path / f"run-{n}")
        assert done.code == 1 and "a.csv has no column of images" in done.err, done.err


def test_parts_of_a_new_model_take_options(rg, data: Path, tmp_path: Path) -> None:
    done = rg(
        "train", "--encoder", "resnet18", "--encoder-option", "sise=64", "--decoder", "lstm", "--data", "table",
        "--data-root", data, "--out", tmp_path / "run",
    )  # fmt: skip
    assert done.code == 1 and "no option 'sise'; did you mean 'size'" in done.err, done.err
