"""Attention pictures: colour where the model looked, grey elsewhere, and the text under it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from reportgen_cli.pages.pictures import MAX_WORDS, Panel, draw, enlarge, explain, overlay, save_picture
from reportgen_cli.pages.shared.drawing import PictureForm
from reportgen_cli.pages.shared.origin import Origin

from reportgen_core import Attention, ImageError, Report

ORIGIN = Origin(model="tiny", digest="abcdef0123456789", date="2026-01-02")
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
    explain(report(views, regions), (2, 2, 2), ORIGIN)
    assert [p.title for p in drawn] == ["front.png", "side.png", "sentence 1", "sentence 2"]
    assert drawn[2].weights is not None
    assert drawn[3].weights is not None
    assert drawn[2].image.mean() == pytest.approx(140 / 255, abs=0.01)
    assert drawn[2].weights.tolist() == [[0, 8], [0, 0]]  # one of eight regions: eight times an even look
    assert drawn[3].image.mean() == pytest.approx(90 / 255, abs=0.01)
    assert drawn[3].weights.tolist() == [[0, 0], [8, 0]]
    assert drawn[2].detail == "up to 8.0 × uniform; tags: no preferred tag: at most 1.0 × uniform"


def test_one_view_of_a_model_for_two_is_shown_alone(views: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Panel] = []
    monkeypatch.setattr("reportgen_cli.pages.pictures.draw", lambda panels, **_: drawn.extend(panels))
    regions = torch.zeros(1, 8)
    regions[0, 0] = 1
    explain(report(views[:1], regions), (2, 2, 2), ORIGIN)
    assert drawn[1].weights is not None
    assert drawn[1].weights.max() == 4  # shared among the four regions that there are


def test_a_report_without_attention_shows_the_radiograph(views: tuple[str, str]) -> None:
    picture = explain(Report("s", "text.", views=views), (2, 2, 2), ORIGIN).image()
    assert np.abs(redness(picture)).max() <= 2


def test_a_long_text_makes_the_picture_longer_not_wider() -> None:
    short = draw([Panel(GREY, looks(0, 0), "t", "word")], columns=1).image()
    long = draw([Panel(GREY, looks(0, 0), "t", "word " * 100)], columns=1).image()
    assert long.width == short.width
    assert long.height > short.height + 50


def test_a_file_that_is_gone_is_named(views: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"gone\.png"):
        explain(Report("s", "text.", views=(str(tmp_path / "gone.png"),)), (1, 2, 2), ORIGIN)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `explain` gives to `draw`."""
    given: dict[str, Any] = {}
    monkeypatch.setattr("reportgen_cli.pages.pictures.draw", lambda panels, **more: given.update(more, panels=panels))
    return given


def test_a_panel_of_a_word_has_the_word_of_its_row_not_of_the_text_cut_again(
    views: tuple[str, str], drawn: dict[str, Any]
) -> None:
    words = ("no", "pleural", "-", "effusion", ".", "large", "heart", ".")  # the text has five words, the report eight
    regions = torch.full((8, 4), 0.25)
    regions[3] = torch.tensor([0, 0, 0, 1.0])  # effusion
    regions[6] = torch.tensor([1.0, 0, 0, 0])  # heart
    said = ("no pleural-effusion.", "large heart.")
    given = Report(
        "s", " ".join(said), said, attention=Attention("word", regions), views=views[:1], words=words,
        rows=((0, 4), (5, 7)),
    )  # fmt: skip
    explain(given, (1, 2, 2), ORIGIN)
    assert [(p.title, p.text) for p in drawn["panels"][1:]] == [
        ("sentence 1", said[0]), ("sentence 2", said[1]), ("word 4", "effusion"), ("word 7", "heart"),
    ]  # fmt: skip
    for panel, row in zip(drawn["panels"][3:], (3, 6), strict=True):
        np.testing.assert_allclose(panel.weights.ravel(), regions[row] * 4)
    assert drawn["title"].startswith("2 of 2 sentences and 2 of 6 words are shown")


def test_words_without_rows_of_sentences_are_no_captions_of_sentences(
    views: tuple[str, str], drawn: dict[str, Any]
) -> None:
    regions = torch.eye(4)
    given = Report(
        "s", "a b. c d.", ("a b.", "c d."), attention=Attention("word", regions), views=views[:1],
        words=("a", "b", "c", "d"),
    )  # fmt: skip
    explain(given, (1, 2, 2), ORIGIN)
    assert [p.text for p in drawn["panels"][1:]] == ["a", "b", "c", "d"]


def test_only_words_above_the_threshold_are_drawn_and_at_most_a_dozen(
    views: tuple[str, str], drawn: dict[str, Any]
) -> None:
    words = tuple(f"w{i}" for i in range(40))
    regions = torch.full((40, 4), 0.25)
    for i in range(20):  # the later, the more pointed
        share = 0.4 + 0.02 * i
        regions[i] = torch.tensor([share, *[(1 - share) / 3] * 3])
    given = Report(
        "s", "", ("all.",), attention=Attention("word", regions), views=views[:1], words=words, rows=((0, 40),)
    )
    explain(given, (1, 2, 2), ORIGIN)
    assert [p.text for p in drawn["panels"][2:]] == list(words[20 - MAX_WORDS : 20])
    assert "1 of 1 sentences and 12 of 40 words are shown" in drawn["title"]


def test_an_even_attention_has_no_colour_and_says_that_it_prefers_no_place(
    views: tuple[str, str], drawn: dict[str, Any]
) -> None:
    regions = torch.tensor([[0.3, 0.25, 0.25, 0.2], [0.7, 0.1, 0.1, 0.1]])
    explain(report(views[:1], regions), (1, 2, 2), ORIGIN)
    even, pointed = drawn["panels"][1:]
    assert even.weights is None and pointed.weights is not None
    assert even.detail.startswith("no preferred place: at most 1.2 × uniform")
    assert pointed.detail.startswith("up to 2.8 × uniform")


def test_a_picture_names_its_model_hash_date_and_purpose(views: tuple[str, str], tmp_path: Path) -> None:
    foot = "For research. Not a medical device. · Model tiny · sha256 abcdef012345"
    texts: list[str] = []
    from matplotlib.figure import Figure

    with pytest.MonkeyPatch.context() as patch:
        write = Figure.text
        patch.setattr(Figure, "text", lambda self, x, y, s, **how: texts.append(s) or write(self, x, y, s, **how))
        picture = explain(report(views, torch.eye(8)[:2]), (2, 2, 2), ORIGIN)
    assert foot in " ".join(" ".join(texts).split())
    save_picture(picture, tmp_path / "a.png", ORIGIN)
    with Image.open(tmp_path / "a.png") as saved:
        assert saved.info["Description"] == ORIGIN.text() and ORIGIN.text().endswith("2026-01-02")


def test_a_picture_of_300_dots_an_inch_has_more_of_them_and_the_same_layout(tmp_path: Path) -> None:
    drawing = draw([Panel(GREY, looks(0, 0), "t", "word")], columns=1)
    usual, fine = drawing.image(), drawing.image(300)
    assert fine.width / usual.width == pytest.approx(300 / 130, rel=0.01)
    small = np.asarray(fine.resize(usual.size, Image.Resampling.BOX).convert("L"), float)
    assert np.abs(small - np.asarray(usual.convert("L"), float)).mean() < 4
    save_picture(drawing, tmp_path / "a.png", ORIGIN, PictureForm("png", 300))
    with Image.open(tmp_path / "a.png") as saved:
        assert saved.info["dpi"] == pytest.approx((300, 300), abs=0.1) and saved.size == fine.size


def test_an_svg_has_its_origin_lines_instead_of_letters_and_the_same_bytes_again(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        save_picture(
            draw([Panel(GREY, looks(0, 0), "t", "word")], columns=1), tmp_path / name, ORIGIN, PictureForm("svg")
        )
    first = (tmp_path / "a.svg").read_bytes()
    assert first == (tmp_path / "b.svg").read_bytes()
    assert b"For research. Not a medical device." in first and b"<image " in first and b"<dc:date>" not in first


def test_radiographs_have_enough_pixels_for_a_fine_picture() -> None:
    assert (PictureForm().side, PictureForm("svg").side, PictureForm("png", 600).side) == (640, 1440, 2880)
