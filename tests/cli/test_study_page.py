"""The page of a reading study in a real browser: keys, undo, going on after a reload, and what it does not hold."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from reading import reading
from reportgen_cli.study.answers import read_answers
from reportgen_cli.study.folder import read_study
from reportgen_cli.study.serve import Server
from test_study_serve import serving

pytestmark = pytest.mark.browser

SHOWN = "!document.getElementById('reading').hidden && [...document.images].every(i => i.complete && i.naturalWidth)"
READY = f"{SHOWN} && !busy && performance.now() - since > 320"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def begin(browser: Browser, server: Server, name: str = "anna") -> None:
    browser.log.clear()
    browser.open(server.url)
    browser.wait("study && document.activeElement.id === 'name'")
    browser.write(name)
    browser.press("Enter")
    browser.wait(READY)


def press(browser: Browser, key: str, done: int) -> None:
    """A key, and the wait until so many cases are read."""
    browser.wait("!busy && performance.now() - since > 320")
    browser.press(key)
    browser.wait(f"document.getElementById('bar').value === {done} && !busy")


def test_a_reader_scores_all_with_keys_and_is_thanked(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=2, views=2)
    with serving(study) as server:
        begin(browser, server)
        assert browser.run("document.images.length") == 2
        for i, key in enumerate("5431", 1):
            press(browser, key, i)
        browser.wait("document.body.innerText.includes('All read')")
    assert [a.score for a in read_answers(study.answers_of("anna")).values()] == [5, 4, 3, 1]
    assert [c for c in read_answers(study.answers_of("anna"))] == [c.id for c in study.order("anna")]
    assert browser.log == []


def test_u_takes_back_and_keys_of_the_scale_alone_score(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=2)
    with serving(study) as server:
        begin(browser, server)
        for key in ("6", "0", "x", "i", "+", "r", "v"):
            browser.press(key)
        press(browser, "2", 1)
        first = browser.run("now.id")
        press(browser, "u", 0)
        assert browser.run("document.querySelector('.before').dataset.score") == "2"
        assert browser.run("now.id") != first
        press(browser, "4", 1)
        assert browser.run("now.id") == first
    assert [a.score for a in read_answers(study.answers_of("anna")).values()] == [4]


def test_a_reload_and_a_new_server_go_on_where_the_reader_was(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=2)
    with serving(study) as server:
        begin(browser, server)
        press(browser, "3", 1)
        browser.reload()
        browser.wait("document.body.innerText.includes('Welcome back: 1 are read')")
    with serving(study) as server:
        begin(browser, server)
        assert browser.run("document.getElementById('count').textContent") == "1 of 4 read"


def test_a_comment_is_kept_and_its_digits_are_no_scores(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        begin(browser, server)
        browser.press("c")
        browser.wait("document.activeElement.id === 'comment'")
        browser.press("5")
        browser.write(" ribs <b>counted</b>")
        browser.press("Escape")
        press(browser, "4", 1)
    (answer,) = read_answers(study.answers_of("anna")).values()
    assert (answer.score, answer.comment) == (4, "5 ribs <b>counted</b>")


def test_a_dead_server_is_said_and_the_answer_is_not_lost_from_sight(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        begin(browser, server)
        case = browser.run("now.id")
    browser.press("5")
    browser.wait("document.getElementById('said').textContent.startsWith('Not kept')")
    assert browser.run("now.id") == case
    assert study.readers() == []


def test_a_name_that_is_no_word_is_not_taken(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        browser.open(server.url + "#..%2Fanna")
        browser.wait("document.getElementById('refused').textContent.includes('a name is 1 to 40')")
    assert study.readers() == []


def test_markup_in_a_report_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    path = study.root / "study.json"
    path.write_text(path.read_text().replace("clear", "<img src=x onerror=document.title='broken'>"))
    study = read_study(study.root)
    with serving(study) as server:
        begin(browser, server)
        assert "<img" in browser.run("document.getElementById('text').textContent")
        assert browser.run("document.title") == "Reading study"


def test_the_page_holds_no_key(browser: Browser, tmp_path: Path) -> None:
    study, key = reading(tmp_path)
    with serving(study) as server:
        begin(browser, server)
        held = browser.run("document.documentElement.outerHTML + JSON.stringify([study, now])")
    assert not any(word in held for word in ("patient", "secret-name", '"human"', '"model"', study.key_sha256))
    assert len(key.cases) == 12


def test_ten_grades_have_ten_keys(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1, rubric="cvse")
    with serving(study) as server:
        begin(browser, server)
        press(browser, "0", 1)
        press(browser, "1", 2)
    assert [a.score for a in read_answers(study.answers_of("anna")).values()] == [10, 1]
