"""The page of a study in a real browser: choosing sentences and words, the look over the radiograph, shaded words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import Browser
from PIL import Image
from reportgen_cli.pages.explain_page import explain_study

from reportgen_core import Attention, Report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def image(tmp_path: Path) -> str:
    Image.fromarray(np.full((96, 96), 120, np.uint8)).save(tmp_path / "front.png")
    return str(tmp_path / "front.png")


def opened(browser: Browser, report: Report, folder: Path) -> Browser:
    explain_study(report, (1, 2, 2), folder, "s")
    browser.log.clear()
    browser.open("about:blank")
    browser.open((folder / "s.html").as_uri())
    assert browser.log == []
    return browser


def opacity(browser: Browser, x: float, y: float) -> int:
    """Of the look at a place of the radiograph, 0 to 255."""
    script = f"""(() => {{ const c = document.querySelector('.view canvas');
        return c.getContext('2d').getImageData(c.width * {x}, c.height * {y}, 1, 1).data[3] }})()"""
    return int(browser.run(script))


def test_a_chosen_sentence_shows_where_the_model_looked_and_at_which_tags(
    browser: Browser, image: str, tmp_path: Path
) -> None:
    looked = Attention(
        "sentence", torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0]]), torch.tensor([[0.9, 0.1], [0.2, 0.8]]),
        torch.tensor([0, 1]),
    )  # fmt: skip
    said = ("A nodule.", "The rest is clear.")
    report = Report("s", " ".join(said), said, attention=looked, attended_tags=("nodule", "normal"), views=(image,))
    page = opened(browser, report, tmp_path)
    assert opacity(page, 0.2, 0.2) > 120 and opacity(page, 0.8, 0.8) == 0
    assert page.run("document.querySelector('#tags-now td').textContent") == "nodule"
    page.run("document.querySelectorAll('#report button')[1].click()")
    assert opacity(page, 0.2, 0.2) == 0 and opacity(page, 0.8, 0.8) > 120
    assert page.run("document.querySelector('#tags-now td').textContent") == "normal"
    assert page.run("[...document.querySelectorAll('#strip tbody th')].map(t => t.textContent)") == list(said)
    page.run("document.querySelectorAll('#report button')[1].click()")
    assert opacity(page, 0.8, 0.8) == 0, "a second click shows the radiograph alone"


def test_words_can_be_chosen_and_are_shaded_where_the_model_read_them(
    browser: Browser, image: str, tmp_path: Path
) -> None:
    looked = Attention("word", torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0]]), words=torch.tensor([[0.1, 0.9]]))
    report = Report(
        "s", "left effusion.", ("left effusion.",), attention=looked, views=(image,), words=("left", "effusion"),
        rows=((0, 2),),
    )  # fmt: skip
    page = opened(browser, report, tmp_path)
    shades = page.run("[...document.querySelectorAll('#report button[data-word]')].map(b => b.style.background)")
    assert shades[0] == "rgba(254, 217, 118, 0)" and shades[1] != shades[0]
    assert opacity(page, 0.2, 0.2) == 0
    page.run("document.querySelectorAll('#report button[data-word]')[1].click()")
    assert opacity(page, 0.8, 0.8) > 120 and opacity(page, 0.2, 0.2) == 0
    page.run("document.querySelector('#report button[title]').click()")
    assert opacity(page, 0.2, 0.2) == opacity(page, 0.8, 0.8) > 60, "a sentence is the mean of its words"
