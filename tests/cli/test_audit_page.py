"""The page of an audit in a real browser: filters, linked words, the keyboard, a phone's width, print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from reportgen_cli.audits.option import audit_studies
from reportgen_cli.audits.page import audit_page
from reportgen_cli.pages.shared.origin import Origin

from reportgen_core import evaluate

pytestmark = pytest.mark.browser

REFERENCES = {
    "a": "Small left effusion. No pneumothorax.",
    "ab": "Heart size is normal. Nodule in the right upper lobe.",
    "c": "The lungs are clear. The ribs were counted.",
}
REPORTS = {
    "a": "Large right effusion. No pneumothorax.",
    "ab": "Cardiomegaly. Nodule in the right upper lobe. <img src=x>",
    "c": "Kein Erguss. Das Herz ist nicht vergrößert und die Lunge ist frei.",
}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("audit") / "audit.html"
    options = {"protocol": "raw", "metrics": ("errors",), "resamples": 20, "baselines": False}
    evaluation = evaluate(REPORTS, REFERENCES, **options)
    path.write_text(audit_page(evaluation, audit_studies(evaluation), Origin()), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def shown(browser: Browser, address: str) -> Browser:
    browser.log.clear()
    browser.open("about:blank")
    browser.open(address)
    return browser


def cards(browser: Browser) -> list[str]:
    return browser.run("[...document.querySelectorAll('.card')].map((c) => c.dataset.id)")


def test_the_page_opens_without_a_complaint_and_shows_texts_as_text(shown: Browser) -> None:
    assert cards(shown) == ["a", "ab", "c"]
    assert shown.run("document.querySelectorAll('#list img').length") == 0
    assert "not audited" in shown.run("document.querySelector('[data-id=c]').textContent")
    assert shown.log == []


def test_a_kind_filters_the_studies_and_stays_in_the_address(shown: Browser) -> None:
    shown.run("document.querySelector('[data-kind=\"wrong side\"]').focus()")
    shown.press("Enter")
    assert cards(shown) == ["a"]
    shown.reload()
    assert cards(shown) == ["a"]
    assert shown.run("document.querySelector('[data-kind=\"wrong side\"]').getAttribute('aria-pressed')") == "true"


def test_an_example_shows_its_study_alone(shown: Browser) -> None:
    shown.run("document.querySelector('[data-study=a]').click()")
    assert cards(shown) == ["a"]
    assert shown.run("document.activeElement.dataset.id") == "a"


def test_the_words_that_belong_together_are_framed_in_both_texts(shown: Browser) -> None:
    shown.run("document.querySelector('[data-id=a] .mark').focus()")
    linked = shown.run("[...document.querySelectorAll('.mark.linked')].map((m) => m.firstChild.textContent)")
    assert linked == ["effusion", "effusion"]
    shown.press("ArrowRight")
    label = shown.run("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("pneumothorax: agreed")


@pytest.mark.parametrize("width", [390, 900, 1440])
def test_nothing_is_wider_than_the_page(shown: Browser, width: int) -> None:
    shown.send("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
    try:
        assert shown.run("document.documentElement.scrollWidth") == width
    finally:
        shown.send("Emulation.setDeviceMetricsOverride", width=1440, height=900, deviceScaleFactor=1, mobile=False)
