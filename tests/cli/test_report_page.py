"""The page of an evaluation in a real browser: sorting, filtering, marked words, and texts that try to be markup."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from PIL import Image
from reportgen_cli.pages.evaluation_page import page
from reportgen_cli.pages.study_rows import ImageFolder, picture

from reportgen_core import evaluate
from reportgen_core.scoring.baselines import BaselineData
from reportgen_core.scoring.evaluation import Evaluation
from reportgen_core.scoring.scorecard import System
from reportgen_core.types import ScoreLine

NASTY = "The lungs </script><script>window.caught = true</script> are <b>clear</b> &amp; $title ${data}"
REFERENCES = {f"s{i}": f"The lungs are clear in case {i}." for i in range(120)} | {
    "s2": "There is a small left effusion.",
    "s10": "Cardiomegaly is seen.",
}
PREDICTIONS = {id: "The lungs are clear." for id in REFERENCES} | {
    "s1": NASTY,
    "s2": "No effusion.",
    "s3": REFERENCES["s3"],
}


pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    folder = tmp_path_factory.mktemp("images")
    Image.fromarray(np.full((300, 200), 90, np.uint8)).save(folder / "s1.png")
    background = BaselineData({"t": REFERENCES["s3"], "u": "Other."})
    how = {"protocol": "raw", "metrics": ("bleu", "rouge-l", "chexpert-rules"), "resamples": 20}
    return evaluate(
        PREDICTIONS, REFERENCES, background=background, images={"s1": ["s1.png"], "s2": ["../x.png"]}, **how
    ), folder  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def address(made: tuple[Evaluation, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(*made), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def shown(browser: Browser, address: str) -> Browser:
    browser.log.clear()
    browser.open("about:blank")
    browser.open(address)
    return browser


def ids(browser: Browser) -> list[str]:
    found: list[str] = browser.run("[...document.querySelectorAll('#body .id')].map(c => c.firstChild.textContent)")
    return found


def click(browser: Browser, selector: str) -> None:
    browser.run(f"document.querySelector({selector!r}).click()")


def test_the_page_opens_without_a_complaint_and_asks_the_net_for_nothing(shown: Browser) -> None:
    assert shown.log == []
    assert shown.run("performance.getEntriesByType('resource').length") == 0
    assert shown.run("document.title") == "reports, 120 studies"
    assert "protocol raw 1" in shown.run("document.body.innerText")
    assert shown.run("document.getElementById('count').textContent") == "1-50 of 120 studies"


def test_a_score_sorts_both_ways_by_its_header(shown: Browser) -> None:
    values = (
        "[...document.querySelectorAll('#body tr')].map(r => Number(r.querySelectorAll('td.number')[4].textContent))"
    )
    click(shown, "[data-sort='rouge-l']")
    up = shown.run(values)
    assert up == sorted(up)
    click(shown, "[data-sort='rouge-l']")
    down = shown.run(values)
    assert down == sorted(down, reverse=True)
    assert ids(shown)[0] == "s3"
    assert shown.run("document.querySelector('th[aria-sort=descending]').innerText").startswith("ROUGE-L")


def test_studies_sort_by_number_and_not_by_letter(shown: Browser) -> None:
    click(shown, "[data-sort='id']")
    assert ids(shown)[:4] == ["s0", "s1", "s2", "s3"]


def test_typing_filters_by_text(shown: Browser) -> None:
    shown.run("document.getElementById('search').focus()")
    shown.write("cardioMEGALY")
    assert ids(shown) == ["s10"]
    shown.write("zzz")
    assert ids(shown) == []
    assert shown.run("document.getElementById('count').textContent") == "no study fits"


@pytest.mark.parametrize(
    ("select", "value", "want"),
    [
        ("subset", "seen in training", ["s3"]),
        ("differ", "Pleural Effusion", ["s2"]),
        ("differ", "Cardiomegaly", ["s10"]),
    ],
)
def test_a_choice_filters(shown: Browser, select: str, value: str, want: list[str]) -> None:
    shown.run(
        f"(e => {{ e.value = {value!r}; e.dispatchEvent(new Event('change')); }})(document.getElementById({select!r}))"
    )
    assert ids(shown) == want


def test_a_missed_finding_is_a_chip_that_says_both_sides(shown: Browser) -> None:
    shown.run("go({search: 's2', differ: 'Pleural Effusion'})")
    chip = "document.querySelector('#body .chip.missed')"
    assert shown.run(f"{chip}.textContent") == "− missed: Pleural Effusion, absent, reference present"
    assert shown.run(f"{chip}.title") == "absent, reference present"


def test_pages_turn(shown: Browser) -> None:
    click(shown, "#on")
    assert shown.run("document.getElementById('count').textContent") == "51-100 of 120 studies"
    click(shown, "#on")
    assert len(ids(shown)) == 20
    assert shown.run("document.getElementById('on').disabled") is True


def test_the_address_keeps_the_choice(browser: Browser, address: str) -> None:
    browser.open("about:blank")
    browser.open(address + "#sort=bleu-4&way=descending&subset=seen+in+training")
    assert ids(browser) == ["s3"]
    assert browser.run("document.getElementById('subset').value") == "seen in training"


def test_words_in_common_are_marked_on_both_sides(shown: Browser) -> None:
    shown.run("go({search: 'small left'})")
    marks = "[...document.querySelectorAll('#body tr:first-child td.text')].map(c => [...c.querySelectorAll('mark')].map(m => m.textContent))"
    assert shown.run(marks) == [["effusion"], ["effusion"]]


def test_texts_are_shown_as_they_are_and_never_run(shown: Browser) -> None:
    shown.run("go({search: 'caught'})")
    assert shown.run("document.querySelectorAll('#body td.text')[1].textContent") == NASTY
    assert shown.run("window.caught") is None
    assert shown.log == []


def test_the_thumbnail_is_inside_the_page(shown: Browser) -> None:
    shown.run("go({search: 'caught'})")
    shown.wait("document.images[0].complete && document.images[0].naturalHeight === 300")
    assert shown.run("document.images[0].src").startswith("data:image/jpeg;base64,")


def test_no_image_outside_the_folder_is_shown(made: tuple[Evaluation, Path]) -> None:
    _, folder = made
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(folder.parent / "outside.png")
    assert picture(["../outside.png"], ImageFolder(folder)) == ""
    assert picture([str(folder.parent / "outside.png")], ImageFolder(folder)) == ""
    (folder / "broken.png").write_bytes(b"no image")
    assert picture(["broken.png", "s1.png"], ImageFolder(folder)).startswith("data:image/jpeg")


def test_a_page_of_very_wide_tables_is_no_wider_than_its_window(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """The widest case: the metrics of a model with tags, findings and boxes, intervals, baselines, a failed metric."""
    names = [f"bleu-{k}" for k in range(1, 5)] + ["meteor", "rouge-l", "cider", "normality difference"]
    names += [f"chexpert-rules {part} f1" for part in ("micro-14", "macro-14")]
    names += ["tags recall@5", "tags recall@10", "tags recall@20", "tags micro f1", "findings mean auc"]
    names += [
        "findings weighted-mean auc",
        "pointing hit",
        "pointing centre",
        "pointing by chance",
        "pointing mentioned",
    ]
    lines = tuple(ScoreLine(n, 0.4567, 0.1234, 0.5678, metric=n.partition(" ")[0].split("-")[0]) for n in names)
    classes = [f"{c} {w}" for c in ("micro-14", "Enlarged Cardiomediastinum") for w in ("f1", "precision", "recall")]
    many = tuple(ScoreLine(f"rules {c}", 0.5, 0.1, 0.9, metric="rules") for c in classes)
    rows = ("resnet10t-cvse.phantom_v3", "constant (validation)", "most frequent", "random", "nearest image")
    systems = [System(r, lines + many, {}) for r in (*rows, "constant by findings (validation)", "gold tags (oracle)")]
    base = evaluate({"a": "x"}, {"a": "x"}, protocol="raw", metrics=("rouge-l",), resamples=0)
    wide = replace(base, systems=tuple(systems), problems={"judge": "ConnectionRefusedError: " + "no answer " * 40})
    (tmp_path / "report.html").write_text(page(wide))
    with Browser(tmp_path_factory.mktemp("wide"), size=(1400, 900)) as window:
        window.open((tmp_path / "report.html").as_uri())
        assert window.run("document.documentElement.scrollWidth") <= 1400
        scores = "document.getElementById('scores')"
        if window.run(f"{scores}.scrollWidth > {scores}.clientWidth"):  # what is cut has a cue and the keyboard
            assert window.run(f"{scores}.parentElement.dataset.more") == "right"
            assert window.run(f"{scores}.tabIndex") == 0
