"""Words of a report shaded by where the model looked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from reportgen_cli.pages.shading import _placed, _salient, shade, shaded, shows_words
from reportgen_cli.pages.shared.origin import Origin

from reportgen_core import Attention, Report, compose
from reportgen_core.text.spec import EOS, Vocabulary

ORIGIN = Origin(model="tiny", digest="ab" * 32)
WORDS = ("the", "heart", "is", "enlarged", ".", "no", "effusion", ".")


@pytest.fixture
def report(tmp_path: Path) -> Report:
    Image.fromarray(np.full((90, 90), 120, np.uint8)).save(tmp_path / "a.png")
    words = torch.full((2, 8), 1 / 8)
    regions = torch.full((8, 4), 1 / 4)
    looked = Attention("word", regions=regions, words=words)
    return Report(
        "a", "", findings={"Cardiomegaly": 0.9}, attention=looked, views=(str(tmp_path / "a.png"),), words=WORDS
    )


def colour(picture: Image.Image) -> np.ndarray:
    """Where the picture, right of the radiograph, is coloured."""
    pixels = np.asarray(picture).astype(int)
    return (pixels.max(2) - pixels.min(2))[:, 480:] > 40


def looking_at(report: Report, row: int, word: int) -> Report:
    words = torch.full((2, 8), 1 / 8)
    words[row] = torch.eye(8)[word]
    return replace(report, attention=replace(report.attention, words=words))


def test_an_even_look_shades_no_word(report):
    assert not colour(shaded(report, (1, 2, 2), ORIGIN).image()).any()


def test_a_look_shades_its_word_in_the_text_and_in_its_row(report):
    found = []
    for row, word in ((0, 3), (1, 3), (1, 0)):
        coloured = colour(shaded(looking_at(report, row, word), (1, 2, 2), ORIGIN).image())
        lines = np.flatnonzero(coloured.any(1))
        bands = np.split(lines, np.flatnonzero(np.diff(lines) > 1) + 1)
        assert len(bands) == 2, "the whole text, and one row"
        found.append([(int(b[0]), int(np.flatnonzero(coloured[b].any(0))[0])) for b in bands])
    (whole, first), (again, second), (begin, _) = found
    assert whole == again and first[1] == second[1] and first[0] < second[0]
    assert begin[1] < whole[1]


def test_shades_are_plain_to_see_and_black_text_is_legible_on_all_of_them():
    assert shade(1.0, 4.0) is None and shade(0.2, 4.0) is None
    for times in np.linspace(1.2, 4, 8):
        red, green, blue, _ = shade(float(times), 4.0)
        assert max(red, green, blue) - min(red, green, blue) > 0.3, "a shade differs from white"
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
        assert (np.dot(linear, (0.2126, 0.7152, 0.0722)) + 0.05) / 0.05 > 4.5


def test_nearly_even_words_are_not_shaded(report):
    words = torch.full((2, 8), 1 / 8)
    words[0, 3], words[0, 4] = 0.15, 0.10  # 1.2 × uniform
    nearly = replace(report, attention=replace(report.attention, words=words))
    assert not colour(shaded(nearly, (1, 2, 2), ORIGIN).image()).any()


def test_words_that_do_not_fit_begin_a_line():
    places = _placed(("aa", "bbb", "c"), 72.0, 0.602 * 6)
    assert places == [(0.0, 0), (3.0, 0), (0.0, 1)]


def test_the_radiograph_has_the_look_of_the_salient_words(report):
    looked = looking_at(report, 0, 3).attention
    regions = torch.eye(4)[[0, 0, 0, 2, 0, 0, 0, 0]]
    found = _salient(replace(report, attention=replace(looked, regions=regions)), (1, 2, 2))
    saliency = np.array([1 / 8] * 3 + [1] + [1 / 8] * 4)
    np.testing.assert_allclose(found.ravel(), saliency @ regions.numpy() / saliency.sum() * 4)
    assert _salient(replace(report, attention=replace(looked, regions=None)), (1, 2, 2)) is None


def test_a_report_without_text_attention_has_no_such_picture(report):
    assert shows_words(report)
    assert not shows_words(replace(report, attention=None))
    assert not shows_words(replace(report, attention=Attention("word", regions=torch.ones(8, 4) / 4)))


def test_rg_report_writes_the_shaded_words_of_tienet(rg, report, tmp_path):
    options = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}
    small = {"hidden": 4, "embedding": 3, "transition": 3, "attention_units": 4}
    made = compose(
        encoder="resnet50", decoder="tienet", encoder_options=options, decoder_options=small,
        vocabulary=Vocabulary(WORDS[:5]), findings=("Cardiomegaly", "Effusion"),
    )  # fmt: skip
    with torch.no_grad():
        made.decoder.out.bias[EOS] = -9.0  # so that it writes
    folder = made.save(tmp_path / "igr")
    done = rg("report", tmp_path / "a.png", "--model", folder, "--out", tmp_path / "out", "--explain", "--all-pictures")
    assert done.code == 0, done.err
    with Image.open(tmp_path / "out" / "a.words.png") as picture:
        assert picture.width > 1000


def test_shaded_words_have_a_legend_in_times_of_an_even_weight(report) -> None:
    texts = [
        t.get_text() for axes in shaded(looking_at(report, 0, 3), (1, 2, 2), ORIGIN).figure.axes for t in axes.texts
    ]
    assert "words, × uniform: 1× is even, and not shaded" in texts
    assert {"1×", "2×"} <= set(texts)
