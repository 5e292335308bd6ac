"""The picture of a training run: ticks at whole epochs, the score that selects, and the epoch of the best model."""

import json
from pathlib import Path

from PIL import Image

from reportgen_core.training.log import _whole_epochs, draw_curves


def drawn(folder: Path, **score: float) -> str:
    steps = [{"kind": "step", "epoch": e, "at": e + 0.5, "loss": 3.0 - e} for e in range(3)]
    epochs = [
        {"kind": "epoch", "epoch": e, "train_loss": 3.0 - e, "val_loss": 3.5 - e, "best": e == 1, "score": 3.5 - e}
        | score
        for e in range(3)
    ]
    (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in [*steps, *epochs]))
    draw_curves(folder / "log.jsonl", folder / "curves.svg")
    return (folder / "curves.svg").read_text()


def test_ticks_are_at_whole_epochs() -> None:
    assert _whole_epochs(3) == [0, 1, 2, 3]
    assert _whole_epochs(50) == [*range(0, 51, 5)]


def test_another_score_than_the_loss_has_a_panel_of_its_own(tmp_path: Path) -> None:
    assert "<!-- score that selects -->" in drawn(tmp_path, score=0.2)
    assert "<!-- score that selects -->" not in drawn(tmp_path)


def test_the_best_epoch_is_named_and_the_picture_has_no_time(tmp_path: Path) -> None:
    first = drawn(tmp_path)
    assert "<!-- best, epoch 2 -->" in first
    assert drawn(tmp_path) == first


def test_a_log_without_validation_is_drawn_too(tmp_path: Path) -> None:
    rows = [{"kind": "epoch", "epoch": 0, "train_loss": 1.0, "best": True}]
    (tmp_path / "log.jsonl").write_text(json.dumps(rows[0]) + "\n")
    draw_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.size == (2400, 1350)  # 8 by 4.5 inches at 300 dots an inch, which print wants
