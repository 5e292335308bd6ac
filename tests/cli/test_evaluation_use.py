"""The page of an evaluation or a comparison, used by keyboard alone, by touch, on paper, at three widths, and by axe-core."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser
from gestures import desktop, faults, pages_of, paper, phone, printed, scheme, tap
from PIL import Image
from reportgen_cli.pages.evaluation_page import comparison_page, page

from reportgen_core import evaluate
from reportgen_core.scoring.comparison import compare_evaluations
from reportgen_core.scoring.evaluation_folder import load_evaluation, save_evaluation

pytestmark = pytest.mark.browser

REFERENCES = {
    f"s{i:02d}": t
    for i, t in enumerate(["The lungs are clear.", "There is a small left effusion.", "Cardiomegaly."] * 8)
}
FIRST = {id: "The lungs are clear." for id in REFERENCES} | {"s01": "There is a left effusion.", "s03": "Cardiomegaly."}
SECOND = {id: "There is a small left effusion." for id in REFERENCES}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def folder(rg: Callable[..., Any], tmp_path: Path) -> Path:
    """A folder with two evaluations, their comparison and images."""
    (tmp_path / "images").mkdir()
    for i, id in enumerate(REFERENCES):
        Image.fromarray(np.full((700, 600), 40 + 5 * i, np.uint8)).save(tmp_path / "images" / f"{id}.png")
    rows = [{"id": id, "report": t, "image_path": f"{id}.png"} for id, t in REFERENCES.items()]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, texts in (("first", FIRST), ("second", SECOND)):
        (tmp_path / "p.json").write_text(json.dumps(texts))
        how = ("--protocol", "raw", "--metrics", "bleu,rouge-l,chexpert-rules", "--resamples", 20, "--name", name)
        files = (
            "--predictions",
            tmp_path / "p.json",
            "--references",
            tmp_path / "r.jsonl",
            "--training",
            tmp_path / "r.jsonl",
        )
        assert rg("eval", *files, *how, "--images", tmp_path / "images", "--out", tmp_path / name).code == 0
    both = ("compare", tmp_path / "first", tmp_path / "second", "--rounds", 50)
    assert rg(*both, "--out", tmp_path / "both", "--images", tmp_path / "images").code == 0
    return tmp_path


@pytest.fixture(params=["first/report.html", "both/comparison.html"])
def shown(browser: Browser, folder: Path, request: pytest.FixtureRequest) -> Browser:
    return opened(browser, folder / request.param)


def opened(browser: Browser, path: Path) -> Browser:
    desktop(browser)
    browser.send("Emulation.setEmulatedMedia", media="", features=[])
    browser.log.clear()
    browser.open("about:blank")
    browser.open(path.as_uri())
    return browser


def tab_to(browser: Browser, selector: str) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(120):
        if browser.run(f"document.activeElement.matches({selector!r})"):
            return
        browser.press("Tab")
    raise AssertionError(f"Tab never reaches {selector}")


def test_axe_finds_nothing_in_light_and_dark_and_in_the_dialog(shown: Browser) -> None:
    for name in ("light", "dark"):
        scheme(shown, name)
        assert faults(shown) == []
    shown.run("open(0)")
    assert faults(shown) == []


@pytest.mark.parametrize("width", [390, 900, 1440])
def test_no_width_scrolls_the_whole_page_sideways(shown: Browser, width: int) -> None:
    (phone if width < 500 else desktop)(shown, width)
    shown.wait(f"innerWidth === {width}")
    assert shown.run("document.documentElement.scrollWidth") <= width
    assert shown.log == []


def test_the_page_works_by_keyboard_alone(browser: Browser, folder: Path) -> None:
    opened(browser, folder / "both" / "comparison.html")
    browser.press("Tab")
    assert browser.run("document.activeElement.className") == "skip"
    tab_to(browser, ".picker summary")
    browser.press("Enter")
    tab_to(browser, "[data-shows]")
    number = browser.run("document.activeElement.dataset.shows")
    browser.press(" ")
    assert (
        browser.run(f"[...document.querySelectorAll('.scores [data-column=\"{number}\"]')].every(c => c.hidden)")
        is True
    )
    tab_to(browser, "#search")
    browser.write("s01")
    assert browser.run("document.querySelectorAll('#body tr').length") == 1
    tab_to(browser, "[data-open]")
    browser.press("Enter")
    assert browser.run("document.getElementById('study').open") is True
    assert browser.run("document.getElementById('study-body').innerText").count("effusion") == 3
    assert "s01" in browser.run("document.getElementById('live').textContent")
    browser.press("Escape")
    browser.wait("!document.getElementById('study').open")
    assert browser.run("document.activeElement.dataset.open") == "0"


def test_arrows_go_from_study_to_study(browser: Browser, folder: Path) -> None:
    opened(browser, folder / "both" / "comparison.html")
    browser.run("open(0)")
    browser.press("ArrowRight")
    assert browser.run("document.getElementById('study-title').textContent") == "Study s01"
    browser.press("ArrowLeft")
    assert browser.run("document.getElementById('study-title').textContent") == "Study s00"


def test_a_finger_opens_a_study_with_a_large_image_and_the_texts_of_all_systems(browser: Browser, folder: Path) -> None:
    opened(browser, folder / "both" / "comparison.html")
    phone(browser)
    tap(browser, "#body tr:nth-child(2) .picture button")
    browser.wait("document.getElementById('study').open && document.querySelector('#study img').naturalHeight === 512")
    texts = browser.run("[...document.querySelectorAll('#study h3')].map(h => h.textContent)")
    assert texts == ["Reference", "first", "second"]
    tap(browser, "#close")
    browser.wait("!document.getElementById('study').open")


def test_studies_are_cards_on_a_phone_and_rows_on_a_desktop(browser: Browser, folder: Path) -> None:
    opened(browser, folder / "first" / "report.html")
    assert browser.run("getComputedStyle(document.querySelector('#body tr')).display") == "table-row"
    phone(browser)
    browser.wait("getComputedStyle(document.querySelector('#body tr')).display === 'flex'")
    small = browser.run(
        "[...document.querySelectorAll('main button, main select')].filter(e => e.checkVisibility() && "
        "e.getBoundingClientRect().height < 24).map(e => e.outerHTML.slice(0, 80))"
    )
    assert small == []  # WCAG 2.2, 2.5.8: targets of 24 pixels


def test_the_header_and_the_first_column_stay_while_the_table_scrolls(browser: Browser, folder: Path) -> None:
    opened(browser, folder / "first" / "report.html")
    desktop(browser, 600, 300)
    where = "['thead th', '.scores tbody th[scope=row]'].map(s => document.querySelector('#scores ' + s).getBoundingClientRect())"
    box = "document.getElementById('scores')"
    assert browser.run(f"{box}.tabIndex") == 0
    assert browser.run(f"{box}.parentElement.dataset.more") == "right"
    browser.run(f"{box}.scrollTo(200, 100)")
    browser.wait(f"{box}.parentElement.dataset.more.includes('left')")
    left = browser.run(f"({where}).map(r => Math.round(r.left - {box}.getBoundingClientRect().left))")
    assert left == [1, 1]  # behind a border of one pixel
    assert browser.run(f"Math.round(({where})[0].top - {box}.getBoundingClientRect().top)") <= 1


def test_paper_has_the_warning_all_columns_and_all_tables(browser: Browser, folder: Path) -> None:
    opened(browser, folder / "first" / "report.html")
    assert paper(browser) == []
    assert browser.run("document.querySelector('.notice').checkVisibility()") is True
    assert 1 < pages_of(printed(browser)) < 20


def test_the_button_copies_what_was_scored_and_how(browser: Browser, folder: Path) -> None:
    opened(browser, folder / "both" / "comparison.html")
    browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    browser.run("document.getElementById('cite').click()")
    browser.wait("document.getElementById('cite').textContent === 'Copied'")
    copied = browser.run("window.copied")
    assert copied.startswith("first and second, 24 studies. reportgen ")
    assert "protocol raw 1" in copied and "seed 0" in copied


def test_another_system_can_be_chosen_for_rows_and_order(browser: Browser, folder: Path) -> None:
    opened(browser, folder / "both" / "comparison.html")
    browser.run("go({system: '1', search: 's01'})")
    assert browser.run("document.querySelectorAll('#body .text')[1].textContent") == SECOND["s01"]


@pytest.fixture(scope="module", params=[1, 2])
def curves(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of one system with probabilities, and that of two."""
    folder, draw = tmp_path_factory.mktemp("curves"), np.random.default_rng(0)
    gold = (draw.random(24) < 0.4).astype(float).tolist()
    runs = []
    for k in range(request.param):
        values = (0.3 * np.array(gold) + 0.7 * draw.random(24)).tolist()
        names = ("Pleural Effusion", "Enlarged Cardiomediastinum", "Edema")
        pairs = {name: list(zip(values, gold, strict=True)) for name in names}
        pairs["Hernia"] = [(v, float(i == 0)) for i, v in enumerate(values)]
        base = evaluate(
            FIRST, REFERENCES, protocol="raw", metrics=("rouge-l",), resamples=50, name=f"system-{k}.data_v1"
        )
        points = ((0.2, 0.3, 40), (0.6, 0.5, 56))
        one = replace(base, probabilities={"findings": pairs}, curves={"findings": points})
        save_evaluation(one, folder / str(k))
        runs.append(load_evaluation(folder / str(k)))
    if request.param == 1:
        html = page(one)
    else:
        html = comparison_page(runs, compare_evaluations(runs, rounds=50), [folder / str(k) for k in range(2)])
    (folder / "page.html").write_text(html, encoding="utf-8")
    return folder / "page.html"


def test_curves_pass_axe_fit_every_width_and_paper_and_keep_numbers_off_the_lines(
    browser: Browser, curves: Path
) -> None:
    opened(browser, curves)
    assert browser.run("document.querySelectorAll('.plot svg[role=img]').length") in (5, 6)
    for colours in ("light", "dark"):
        scheme(browser, colours)
        assert faults(browser) == []
    for width in (390, 844, 900, 1280, 1440):
        desktop(browser, width, 800)
        assert browser.run("document.documentElement.scrollWidth") == width
        over = """[...document.querySelectorAll('.plot')].flatMap(p => { const f = p.querySelector('.frame').getBoundingClientRect();
          return [...p.querySelectorAll('text, figcaption, .numbers')].map(t => t.getBoundingClientRect()).filter(r =>
            r.right > f.left + 2 && r.left < f.right - 2 && r.bottom > f.top + 2 && r.top < f.bottom - 2) }).length"""
        assert browser.run(over) == 0, width
    assert paper(browser) == []
    assert pages_of(printed(browser)) >= 1


def test_the_points_of_a_reliability_curve_open_by_keyboard_and_by_touch(browser: Browser, curves: Path) -> None:
    opened(browser, curves)
    tab_to(browser, ".plot summary")
    browser.press("Enter")
    browser.wait("document.querySelector('.plot details').open")
    assert browser.run("document.querySelector('.bins tbody').innerText.split(/\\s+/)[2]") == "40"
    phone(browser)
    tap(browser, ".plot summary")
    browser.wait("!document.querySelector('.plot details').open")
    desktop(browser)
