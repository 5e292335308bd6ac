"""`rg board`: one page from evaluation folders, read as text and used in a browser."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from gestures import desktop, faults, pages_of, paper, phone, printed, scheme, tap

REFERENCES = {f"s{i}": t for i, t in enumerate(["The lungs are clear.", "A small left effusion.", "Cardiomegaly."] * 4)}
SYSTEMS = {
    "first": {id: t.replace("small", "large") for id, t in REFERENCES.items()},
    "second": dict.fromkeys(REFERENCES, "A small left effusion."),
    "third": {id: t if id < "s4" else "Clear." for id, t in REFERENCES.items()},
}
NAME = "<img src=x onerror=alert(1)>\u202e</script>"
FOLDER = "javascript:alert(1) %2e&\"'#?"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def folder(rg: Callable[..., Any], tmp_path: Path) -> Path:
    """A folder with three evaluations; the third has a hostile name, in a folder with a hostile name."""
    rows = [{"id": id, "report": t} for id, t in REFERENCES.items()]
    (tmp_path / "r.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, texts in SYSTEMS.items():
        (tmp_path / "p.json").write_text(json.dumps(texts))
        how = ("--protocol", "raw", "--metrics", "bleu,rouge-l,chexpert-rules", "--resamples", 20)
        files = [
            x
            for o, n in (("predictions", "p.json"), ("references", "r.jsonl"), ("training", "r.jsonl"))
            for x in (f"--{o}", tmp_path / n)
        ]
        called, place = (NAME, FOLDER) if name == "third" else (name, name)
        assert rg("eval", *files, *how, "--name", called, "--out", tmp_path / "runs" / place).code == 0
    return tmp_path


def made(rg: Callable[..., Any], folder: Path, *more: Path) -> Path:
    runs = sorted((folder / "runs").iterdir())
    rg("board", *runs, *more, "--out", folder / "pages" / "board.html")
    return folder / "pages" / "board.html"


def opened(browser: Browser, path: Path, hash: str = "") -> Browser:
    desktop(browser)
    browser.send("Emulation.setEmulatedMedia", media="", features=[])
    browser.log.clear()
    browser.open("about:blank")
    browser.open(path.as_uri() + hash)
    return browser


NAMES = (
    "[...document.querySelectorAll('#body tr')].filter(r => !r.hidden).map(r => r.querySelector('.name').textContent)"
)


@pytest.mark.browser
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_and_no_width_scrolls_the_page_sideways(
    rg: Any, browser: Browser, folder: Path, colours: str
) -> None:
    page = made(rg, folder, folder / "missing")
    for width in (390, 900, 1440):
        opened(browser, page)
        (phone if width < 500 else desktop)(browser, width)
        scheme(browser, colours)
        browser.wait(f"innerWidth === {width}")
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert faults(browser) == []
    assert browser.log == []


@pytest.mark.browser
def test_a_click_sorts_best_first_and_the_address_keeps_the_order(rg: Any, browser: Browser, folder: Path) -> None:
    page = made(rg, folder)
    opened(browser, page)
    browser.run("document.querySelector('[data-sort=\"4\"] button').click()")
    values = browser.run("[...document.querySelectorAll('#body tr')].map(r => Number(r.cells[5].dataset.value))")
    assert values == sorted(values, reverse=True)
    assert browser.run("document.querySelector('[data-sort=\"4\"]').getAttribute('aria-sort')") == "descending"
    assert "sorted by ROUGE-L, descending" in browser.run("document.getElementById('count').textContent")
    browser.reload()
    assert browser.run("document.querySelector('[data-sort=\"4\"]').getAttribute('aria-sort')") == "descending"
    browser.run("document.querySelector('[data-sort=\"4\"] button').click()")
    assert browser.run(
        "[...document.querySelectorAll('#body tr')].map(r => Number(r.cells[5].dataset.value))"
    ) == sorted(values)


@pytest.mark.browser
def test_rows_without_a_score_come_last_whichever_way(rg: Any, browser: Browser, folder: Path) -> None:
    page = made(rg, folder, folder / "missing")
    for way in ("ascending", "descending"):
        opened(browser, page, f"#sort=0&way={way}")
        assert browser.run(NAMES)[-1] == "missing"


@pytest.mark.browser
def test_text_and_kind_filter_by_keyboard_alone(rg: Any, browser: Browser, folder: Path) -> None:
    opened(browser, made(rg, folder))
    browser.press("Tab")
    assert browser.run("document.activeElement.className") == "skip"
    browser.press("Tab")
    assert browser.run("document.activeElement.id") == "search"
    browser.write("SECO")
    assert browser.run(NAMES) == ["second"]
    for _ in range(4):
        browser.press("Backspace")
    browser.press("Tab")
    assert browser.run("document.activeElement.id") == "kind"
    browser.press("s")  # the first choice that begins so
    assert sorted(browser.run(NAMES)) == sorted([NAME.replace("\u202e", "\\u202e"), "first", "second"])
    assert browser.run("document.getElementById('count').textContent").startswith("3 of ")
    for _ in range(6):
        browser.press("Tab")
        if browser.run("document.activeElement.matches('[data-sort] button')"):
            break
    browser.press("Enter")
    assert browser.run("document.activeElement.parentElement.getAttribute('aria-sort')") == "ascending"


@pytest.mark.browser
def test_a_row_leads_to_its_own_page_whatever_its_folder_is_called(rg: Any, browser: Browser, folder: Path) -> None:
    page = made(rg, folder)
    for name, title in (("first", "first, 12 studies"), ("onerror", "<img src=x onerror=alert(1)>")):
        opened(browser, page)
        phone(browser)
        browser.run(
            f"[...document.querySelectorAll('.name a')].find(a => a.textContent.includes('{name}')).id = 'here'"
        )
        before = browser.loads
        tap(browser, "#here")
        while browser.loads == before:
            browser._next(30)
        assert browser.run("location.pathname").endswith("/report.html")
        assert browser.run("document.title").startswith(title)
    assert browser.log == []


@pytest.mark.browser
def test_hostile_names_are_shown_as_text(rg: Any, browser: Browser, folder: Path) -> None:
    opened(browser, made(rg, folder))
    assert NAME.replace("\u202e", "\\u202e") in browser.run(NAMES)
    assert browser.run("document.images.length") == 0
    schemes = set(browser.run("[...document.querySelectorAll('main a')].map(a => a.protocol)"))
    assert schemes == {"file:"}


@pytest.mark.browser
def test_paper_has_all_rows_and_the_way_the_numbers_were_computed(rg: Any, browser: Browser, folder: Path) -> None:
    opened(browser, made(rg, folder))
    assert paper(browser) == []
    assert 0 < pages_of(printed(browser)) < 6


def test_the_page_loads_nothing_and_is_whole_without_scripts(rg: Any, folder: Path) -> None:
    text = made(rg, folder).read_text("utf-8")
    assert "default-src 'none'" in text and "connect-src" not in text and "<img src=x" not in text
    assert "\u202e" not in text and text.count("</script>") == 3
    assert 'href="./../runs/javascript%3Aalert%281%29%20%252e%26%22%27%23%3F/report.html"' in text
    assert text.count('data-kind="system"') == 3 and 'data-kind="baseline"' in text
    assert ("protocol raw 1" in text and "0.000–" in text) or "–1.000" in text


def test_a_broken_folder_is_named_on_stderr_and_on_the_page_and_the_code_is_one(rg: Any, folder: Path) -> None:
    (folder / "cut").mkdir()
    (folder / "cut" / "scores.json").write_text('{"format": 1, "card": "<script>')
    done = rg("board", folder / "runs" / "first", folder / "cut", "--out", folder / "b.html")
    assert done.code == 1 and f"rg: {folder / 'cut'}: " in done.err and "is no JSON" in done.err
    text = (folder / "b.html").read_text("utf-8")
    assert "One folder cannot be read" in text and 'data-kind="broken"' in text and 'data-kind="system"' in text


def test_unlike_runs_are_refused_in_one_line(rg: Any, folder: Path) -> None:
    predictions, references = folder / "p.json", folder / "r.jsonl"
    how = ("--protocol", "tokens", "--metrics", "bleu,rouge-l", "--resamples", 20, "--no-baselines")
    assert (
        rg("eval", "--predictions", predictions, "--references", references, *how, "--out", folder / "other").code == 0
    )
    done = rg("board", folder / "runs" / "first", folder / "other", "--out", folder / "b.html")
    assert done.code == 1 and done.err.count("\n") == 1
    assert (
        f"on one board with {folder / 'runs' / 'first'}: {folder / 'other'}: protocol: raw 1 against tokens 1"
        in done.err
    )
    assert not (folder / "b.html").exists()
