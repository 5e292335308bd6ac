"""Attention pictures: colour where the model looked, grey elsewhere, and the text under it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from reportgen_cli.pages.pictures import Panel, draw, enlarge, explain, overlay

from reportgen_core import Attention, ImageError, Report

GREY = np.full((120, 120), 0.5, np.float32)


def redness(picture: Image.Image) -> np.ndarray:
    """How much redder than blue each pixel is, -255..255."""
    pixels = np.asarray(picture).astype(int)
    return pixels[..., 0] - pixels[..., 2]


def radiograph(picture: Image.Image) -> tuple[slice, slice]:
    """Rows and columns of the picture that hold its first radiograph: what is neither white nor text."""
    pixels = np.asarray(picture.convert("L"))
    grey = (pixels > 60) & (pixels < 240)
    rows, columns = np.flatnonzero(grey.mean(1) > 0.6), np.flatnonzero(grey.mean(0) > 0.6)
    rows = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)[0]  # the first stretch: the scale is below
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def looks(row: int, column: int, size: int = 4) -> np.ndarray:
    weights = np.zeros((size, size))
    weights[row, column] = 1
    return weights


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 3), (3, 0), (3, 3)])
def test_the_place_that_was_looked_at_is_coloured(row: int, column: int) -> None:
    picture = overlay(GREY, looks(row, column), "a sentence.")
    red = redness(picture)[radiograph(picture)]
    height, width = red.shape
    quarters = [[red[: height // 2, : width // 2], red[: height // 2, width // 2 :]], [red[height // 2 :, : width // 2], red[height // 2 :, width // 2 :]]]  # fmt: skip
    means = np.array([[q.mean() for q in side] for side in quarters])
    assert np.unravel_index(means.argmax(), (2, 2)) == (row // 3, column // 3)
    assert means.max() > 10
    assert np.sort(means.ravel())[-2] < 3


def test_an_even_look_leaves_the_radiograph_grey() -> None:
    picture = overlay(GREY, np.full((4, 4), 1 / 16), "a sentence.")
    assert np.abs(redness(picture)[radiograph(picture)]).max() <= 2


def test_enlarging_keeps_the_mean_and_is_never_negative() -> None:
    look = np.random.default_rng(0).random((7, 7)).astype(np.float32)
    smooth = enlarge(look, (140, 210))
    assert smooth.shape == (140, 210)
    assert smooth.min() >= 0
    assert smooth.mean() == pytest.approx(look.mean(), rel=0.02)  # bicubic spreads each cell over its neighbours
    assert np.unravel_index(enlarge(looks(1, 5, 7), (70, 70)).argmax(), (70, 70)) == pytest.approx((15, 55), abs=1)


@pytest.fixture
def views(tmp_path: Path) -> tuple[str, str]:
    paths = []
    for name, grey in (("front", 140), ("side", 90)):
        Image.fromarray(np.full((96, 80), grey, np.uint8)).save(tmp_path / f"{name}.png")
        paths.append(str(tmp_path / f"{name}.png"))
    return paths[0], paths[1]


def report(views: tuple[str, ...], regions: torch.Tensor) -> Report:
    sentences = tuple(f"sentence {i}." for i in range(len(regions)))
    tags = torch.full((len(regions), 2), 0.5)
    looked = Attention("sentence", regions, tags, torch.tensor([0, 1]))
    return Report("s", " ".join(sentences), sentences, attention=looked, attended_tags=("a", "b"), views=views)


def test_a_picture_has_a_panel_a_view_and_a_sentence(views: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Panel] = []
    monkeypatch.setattr("reportgen_cli.pages.pictures.draw", lambda panels, **_: drawn.extend(panels))
    regions = torch.zeros(2, 8)
    regions[0, 1] = 1  # the front's upper right
    regions[1, 6] = 1  # the side's lower left
    explain(report(views, regions), (2, 2, 2))
    assert [p.title for p in drawn] == ["front.png", "side.png", "sentence 1", "sentence 2"]
    assert drawn[2].weights is not None
    assert drawn[3].weights is not None
    assert drawn[2].image.mean() == pytest.approx(140 / 255, abs=0.01)
    assert drawn[2].weights.tolist() == [[0, 8], [0, 0]]  # one of eight regions: eight times an even look
    assert drawn[3].image.mean() == pytest.approx(90 / 255, abs=0.01)
    assert drawn[3].weights.tolist() == [[0, 0], [8, 0]]
    assert drawn[2].detail == "looks at tags: b 0.50, a 0.50"


def test_one_view_of_a_model_for_two_is_shown_alone(views: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Panel] = []
    monkeypatch.setattr("reportgen_cli.pages.pictures.draw", lambda panels, **_: drawn.extend(panels))
    regions = torch.zeros(1, 8)
    regions[0, 0] = 1
    explain(report(views[:1], regions), (2, 2, 2))
    assert drawn[1].weights is not None
    assert drawn[1].weights.max() == 4  # shared among the four regions that there are


def test_a_report_without_attention_shows_the_radiograph(views: tuple[str, str]) -> None:
    picture = explain(Report("s", "text.", views=views), (2, 2, 2))
    assert np.abs(redness(picture)).max() <= 2


def test_a_long_text_makes_the_picture_longer_not_wider() -> None:
    short = draw([Panel(GREY, looks(0, 0), "t", "word")], columns=1)
    long = draw([Panel(GREY, looks(0, 0), "t", "word " * 100)], columns=1)
    assert long.width == short.width
    assert long.height > short.height + 50


def test_a_file_that_is_gone_is_named(views: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png"):
        explain(Report("s", "text.", views=(str(tmp_path / "gone.png"),)), (1, 2, 2))
