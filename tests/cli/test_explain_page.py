"""The page of a study in a real browser: sentences and words, the attention over the radiograph, shaded words, and its
use by keyboard, by touch, by screen reader and on paper."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import Browser
from gestures import desktop, faults, pages_of, paper, phone, pinch, printed, scheme, tap, visible
from PIL import Image
from reportgen_cli.pages.explain_page import explain_study, write_index
from reportgen_cli.pages.shared.origin import Origin

from reportgen_core import Attention, Report

pytestmark = pytest.mark.browser
ORIGIN = Origin(model="tiny", digest="abcdef0123456789", date="2026-01-02")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def image(tmp_path: Path) -> str:
    Image.fromarray(np.full((96, 96), 120, np.uint8)).save(tmp_path / "front.png")
    return str(tmp_path / "front.png")


def opened(browser: Browser, report: Report, folder: Path) -> Browser:
    explain_study(report, (1, 2, 2), folder, "s", ORIGIN)
    browser.log.clear()
    browser.open("about:blank")
    browser.open((folder / "s.html").as_uri())
    browser.wait("document.documentElement.dataset.ready")
    assert browser.log == []
    return browser


def by_sentence(image: str, tags: int = 2) -> Report:
    """Three sentences: at the upper left, at the lower right, and nowhere in particular."""
    regions = torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0], [0.25] * 4])
    shares = torch.full((3, tags), 0.1 / (tags - 1))
    shares[0, 0] = shares[1, 1] = shares[2, 0] = 0.9
    said = ("A nodule.", "The rest is clear.", "No change.")
    names = ("nodule", "normal", *(f"a tag with a very long name, number {i}" for i in range(tags - 2)))
    attention = Attention("sentence", regions, shares, torch.arange(tags))
    return Report("s", " ".join(said), said, attention=attention, attended_tags=names, views=(image,))


def by_word(image: str) -> Report:
    attention = Attention("word", torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 1.0]]), words=torch.tensor([[0.1, 0.9]]))
    return Report(
        "s", "left effusion.", ("left effusion.",), attention=attention, views=(image,), words=("left", "effusion"),
        rows=((0, 2),), findings={"Effusion": 0.9},
    )  # fmt: skip


def redness(browser: Browser, x: float, y: float, canvas: int = 0) -> int:
    """How much redder than blue a place of the picture is, 0..255."""
    script = f"""(() => {{ const c = document.querySelectorAll('.view canvas')[{canvas}];
        const d = c.getContext('2d').getImageData(c.width * {x}, c.height * {y}, 1, 1).data; return d[0] - d[2] }})()"""
    return int(browser.run(script))


def text(browser: Browser, selector: str) -> str:
    return str(browser.run(f"document.querySelector({json.dumps(selector)}).textContent"))


def test_a_chosen_sentence_shows_its_place_and_its_tags(browser: Browser, image: str, tmp_path: Path) -> None:
    page = opened(browser, by_sentence(image), tmp_path)
    assert redness(page, 0.2, 0.2) > 40 and redness(page, 0.8, 0.8) == 0
    assert text(page, "#now tbody th") == "nodule" and text(page, "#now tr td:last-child") == "1.8×"
    page.run("document.querySelectorAll('#report .sentence')[1].click()")
    assert redness(page, 0.2, 0.2) == 0 and redness(page, 0.8, 0.8) > 40
    assert text(page, "#now tbody th") == "normal"
    assert page.run("document.querySelectorAll('#report .sentence')[1].getAttribute('aria-pressed')") == "true"
    page.run("document.querySelectorAll('#report .sentence')[1].click()")
    assert redness(page, 0.8, 0.8) == 0, "a second click shows the radiograph alone"


def test_an_even_attention_is_not_coloured_and_said_to_prefer_no_place(
    browser: Browser, image: str, tmp_path: Path
) -> None:
    page = opened(browser, by_sentence(image), tmp_path)
    assert page.run("[...document.querySelectorAll('.mark b')].map(b => b.textContent)") == ["4.0×", "4.0×", "even"]
    page.run("document.querySelectorAll('#report .sentence')[2].click()")
    assert max(redness(page, x, y) for x in (0.2, 0.8) for y in (0.2, 0.8)) == 0
    assert "no preferred place, at most 1.0 × uniform" in text(page, "#said")


def test_words_can_be_chosen_and_are_shaded_with_a_legend(browser: Browser, image: str, tmp_path: Path) -> None:
    page = opened(browser, by_word(image), tmp_path)
    shades = page.run("[...document.querySelectorAll('#report .word')].map(b => b.style.background)")
    assert shades[0] == "" and shades[1].startswith("rgb(")
    assert text(page, ".wordscale .swatches") == "1 × or less2 ×"
    assert redness(page, 0.2, 0.2) == 0
    page.run("document.querySelectorAll('#report .word')[1].click()")
    assert redness(page, 0.8, 0.8) > 40 and redness(page, 0.2, 0.2) == 0
    page.run("document.querySelector('#report .sentence').click()")
    assert redness(page, 0.2, 0.2) == redness(page, 0.8, 0.8) > 20, "a sentence is the mean of its words"


def test_the_keyboard_alone_steps_through_sentences_and_changes_the_picture(
    browser: Browser, image: str, tmp_path: Path
) -> None:
    page = opened(browser, by_sentence(image), tmp_path)
    page.press("ArrowDown")
    assert redness(page, 0.8, 0.8) > 40 and page.run("document.activeElement.textContent").endswith(
        "The rest is clear."
    )
    assert text(page, "#live").startswith("Sentence 2 of 3: up to 4.0 × uniform")
    page.press("o")
    assert redness(page, 0.8, 0.8) == 0 and page.run("tools.o.getAttribute('aria-pressed')") == "false"
    page.press("o")
    page.press("b")
    assert page.run("[...document.querySelectorAll('.view')].filter(v => !v.hidden).length") == 2
    assert redness(page, 0.8, 0.8) > 40 and redness(page, 0.8, 0.8, canvas=1) == 0
    before = page.run("panes[0].grey[0]")
    page.press("i")
    assert (
        page.run("document.querySelector('canvas').getContext('2d').getImageData(2, 2, 1, 1).data[0]") == 255 - before
    )
    page.press("c")
    assert redness(page, 0.75, 0.45) < -40 or redness(page, 0.5, 0.75) < -40 or page.run(
        "[...document.querySelector('canvas').getContext('2d').getImageData(0, 0, 640, 640).data].some((v, i, all) => "
        "i % 4 === 0 && v === 53 && all[i + 2] === 255)"
    ), "a contour is drawn"  # fmt: skip
    page.press("+")
    assert page.run("panes[0].zoom.look.scale") == pytest.approx(1.4)
    page.press("r")
    assert page.run("panes[0].zoom.look.scale") == 1
    page.press("Escape")
    assert (
        redness(page, 0.8, 0.8) == 0
        and page.run("document.querySelectorAll('[aria-pressed=true].sentence').length") == 0
    )


def test_left_and_right_step_through_the_words(browser: Browser, image: str, tmp_path: Path) -> None:
    page = opened(browser, by_word(image), tmp_path)
    page.press("ArrowDown")
    for key, chosen in (
        ("ArrowRight", "left"),
        ("ArrowRight", "effusion"),
        ("ArrowRight", "effusion"),
        ("ArrowLeft", "left"),
    ):
        page.press(key)
        assert text(page, "#report [aria-pressed=true]") == chosen
    assert page.run("document.querySelectorAll('#report [tabindex=\"0\"]').length") == 1, "one stop of the Tab key"


def test_tab_reaches_every_control(browser: Browser, image: str, tmp_path: Path) -> None:
    page = opened(browser, by_sentence(image), tmp_path)
    reached = set()
    for _ in range(16):
        page.press("Tab")
        reached.add(
            page.run(
                "document.activeElement.id || document.activeElement.className || document.activeElement.firstChild.textContent"
            )
        )
    assert {"Overlay", "Contour", "Original", "Invert", "slider-opacity", "slider-threshold", "sentence"} <= reached


def test_a_threshold_hides_what_is_below_it(browser: Browser, image: str, tmp_path: Path) -> None:
    page = opened(browser, by_sentence(image), tmp_path)
    assert redness(page, 0.45, 0.2) > 0
    page.run("(s => { s.value = 3.5; s.dispatchEvent(new Event('input')) })(byId('slider-threshold'))")
    assert redness(page, 0.45, 0.2) == 0 and redness(page, 0.1, 0.1) > 40


@pytest.mark.parametrize("tags", [2, 40])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390)])
def test_a_phone_shows_image_and_sentences_without_moving_sideways(
    browser: Browser, image: str, tmp_path: Path, tags: int, width: int, height: int
) -> None:
    phone(browser, width, height)
    try:
        page = opened(browser, by_sentence(image, tags), tmp_path)
        assert page.run("document.documentElement.scrollWidth") == width
        assert page.run("innerWidth") == width
        assert len(visible(page, ".view canvas")) == 1 and visible(page, "#report .sentence")
        assert all(high >= 43.5 and wide >= 44 for wide, high in visible(page, ".tools button"))
        if width < height:
            assert page.run("document.querySelector('.viewer').offsetHeight / innerHeight") == pytest.approx(
                0.45, abs=0.01
            )
        tap(page, "#report li:nth-child(2) .sentence")
        page.wait("document.querySelector('#report li:nth-child(2) .sentence').getAttribute('aria-pressed') === 'true'")
        assert redness(page, 0.8, 0.8) > 40
        tap(page, ".tools button")
        page.wait("!picture.overlay")
        pinch(page, ".view", 60, 120)
        assert page.run("panes[0].zoom.look.scale") == pytest.approx(2, rel=0.1)
    finally:
        desktop(browser)


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_no_fault_in_either_scheme(browser: Browser, image: str, tmp_path: Path, colours: str) -> None:
    scheme(browser, colours)
    try:
        for make in (by_sentence, by_word):
            assert faults(opened(browser, make(image), tmp_path)) == []
        card = explain_study(by_sentence(image), (1, 2, 2), tmp_path, "t", ORIGIN)
        browser.open(write_index([card, card], tmp_path, ORIGIN).as_uri())
        assert faults(browser) == []
    finally:
        scheme(browser, "light")


def test_on_paper_nothing_is_cut_and_the_warning_and_the_model_stay(
    browser: Browser, image: str, tmp_path: Path
) -> None:
    page = opened(browser, by_sentence(image, 40), tmp_path)
    assert paper(page) == []
    shown = page.run("document.body.innerText")
    assert page.run("document.querySelector('.view canvas').getBoundingClientRect().height") > 300
    page.send("Emulation.setEmulatedMedia", media="")
    for said in (
        "Not a medical device",
        "Attention is not proof",
        "Model tiny",
        "A nodule.",
        "No change.",
        "number 37",
    ):
        assert said in shown
    assert "Adjust" not in shown
    assert 1 <= pages_of(printed(page)) <= 4


def test_views_are_shown_together_or_one_by_one(browser: Browser, image: str, tmp_path: Path) -> None:
    regions = torch.zeros(1, 8)
    regions[0, 7] = 1.0  # the second view's lower right
    two = Report("s", "a.", ("a.",), attention=Attention("sentence", regions), views=(image, image))
    explain_study(two, (2, 2, 2), tmp_path, "s", ORIGIN)
    browser.open((tmp_path / "s.html").as_uri())
    browser.wait("document.documentElement.dataset.ready")
    assert redness(browser, 0.8, 0.8, canvas=2) > 40 and redness(browser, 0.8, 0.8, canvas=0) == 0
    shown = "[...document.querySelectorAll('.view')].map(v => +!v.hidden).join('')"
    for boxes in ("1010", "1000", "0010", "1010"):
        assert browser.run(shown) == boxes
        browser.press("v")
    browser.press("b")
    assert browser.run(shown) == "1100", "the original next to the one view that is shown"


def test_a_phone_shows_the_view_of_the_chosen_sentence_until_the_reader_chooses_one(
    browser: Browser, image: str, tmp_path: Path
) -> None:
    regions = torch.zeros(2, 8)
    regions[0, 7] = regions[1, 0] = 1.0  # the second view's lower right, and the first view's upper left
    two = Report("s", "a. b.", ("a.", "b."), attention=Attention("sentence", regions), views=(image, image))
    explain_study(two, (2, 2, 2), tmp_path, "s", ORIGIN)
    phone(browser)
    try:
        browser.open((tmp_path / "s.html").as_uri())
        browser.wait("document.documentElement.dataset.ready")
        view = "[[...document.querySelectorAll('.view')].map(v => +!v.hidden).join(''), tools.v.firstChild.textContent].join(' ')"
        assert browser.run(view) == "0010 View 2 of 2"
        tap(browser, "#report li:nth-child(2) .sentence")
        browser.wait(f"{view} === '1000 View 1 of 2'")
        browser.run("tools.v.click()")
        assert browser.run(view) == "0010 View 2 of 2"
        tap(browser, "#report li:nth-child(1) .sentence")
        tap(browser, "#report li:nth-child(2) .sentence")
        assert browser.run(view) == "0010 View 2 of 2", "the reader chose it"
    finally:
        desktop(browser)


def test_the_index_finds_studies_by_name_and_words(browser: Browser, image: str, tmp_path: Path) -> None:
    cards = [explain_study(by_sentence(image), (1, 2, 2), tmp_path, "s", ORIGIN)]
    cards.append(explain_study(by_word(image), (1, 2, 2), tmp_path, "other", ORIGIN))
    browser.open(write_index(cards, tmp_path, ORIGIN).as_uri())
    assert browser.run("document.querySelectorAll('#cards li').length") == 2
    browser.run("byId('find').focus()")
    browser.write("effusion left")
    assert browser.run("[...document.querySelectorAll('#cards li')].filter(li => !li.hidden).length") == 1
    assert text(browser, "#count") == "1 of 2"
    assert browser.run("document.querySelectorAll('#cards a')[1].getAttribute('href')") == "other.html"
