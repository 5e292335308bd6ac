"""The page of a reading study in a real browser: keys, undo, going on after a reload, and what it does not hold."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from gestures import centre, desktop, faults, pages_of, paper, phone, pinch, printed, scheme, tap, touch, visible
from reading import reading
from reportgen_cli.study.answers import read_answers
from reportgen_cli.study.folder import read_study
from reportgen_cli.study.serve import Server
from test_study_serve import serving

pytestmark = pytest.mark.browser

SHOWN = "!document.getElementById('reading').hidden && [...document.images].every(i => i.complete && i.naturalWidth)"
SIZES = [(390, 844), (844, 390), (900, 1000), (1280, 720), (1440, 900)]
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
    browser.wait("!busy && (screen === 'end' || performance.now() - since > 320)")
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


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("rubric", ["densenet-lstm", "cvse"])
def test_every_grade_is_in_sight_and_44_pixels_high_at_every_size(
    browser: Browser, tmp_path: Path, width: int, height: int, rubric: str
) -> None:
    study, _ = reading(tmp_path, count=1, views=2, rubric=rubric)
    phone(browser, width, height)
    try:
        with serving(study) as server:
            begin(browser, server)
            grades = visible(browser, "#grades button")
            assert len(grades) == len(study.rubric.grades)
            assert all(high >= 44 and wide >= 44 for wide, high in grades)
            tools = visible(browser, "#tools button")
            assert len(tools) == 7 and all(high >= 43.5 and wide >= 44 for wide, high in tools)
            assert browser.run("[document.documentElement.scrollWidth, innerWidth]") == [width, width]
            assert browser.run("byId('views').offsetHeight") >= 0.25 * height
            assert browser.run("byId('scroll').clientHeight") >= 44
    finally:
        desktop(browser)


def test_fingers_alone_read_a_study(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1, views=2)
    phone(browser)
    try:
        with serving(study) as server:
            browser.open(server.url)
            browser.wait("study")
            tap(browser, "#name")
            browser.write("anna")
            tap(browser, "#begin")
            browser.wait(READY)
            view = "[boxes.map(b => +b.hidden).join(''), tools.v.firstChild.textContent].join(' ')"
            assert browser.run(view) == "01 View 1 of 2", "a telephone is too narrow for two"
            pinch(browser, ".view", 50, 150)
            assert browser.run("looks[0].look.scale") == pytest.approx(3, rel=0.05)
            assert browser.run("looks[1].look.scale") == 1
            left, above = browser.run("[looks[0].look.x + .03, looks[0].look.y]")
            x, y = centre(browser, ".view")
            touch(browser, [(x, y)], [(x + 15, y)], [(x + 30, y + 20)])
            browser.wait(f"looks[0].look.x > {left} && looks[0].look.y > {above}")
            tap(browser, "#tools button:nth-child(3)")
            browser.wait("grey.drag")
            touch(browser, [(x, y)], [(x - 40, y)], [(x - 80, y + 40)])
            assert browser.run("grey.width") < 0.8 and browser.run("grey.level") > 0.55
            assert float(browser.run("document.querySelector('#window feFuncR').getAttribute('slope')")) > 1.2
            tap(browser, "#tools button:nth-child(7)")
            browser.wait("looks[0].look.scale === 1 && grey.width === 1")
            tap(browser, "#tools button:nth-child(2)")
            browser.wait("grey.invert")
            tap(browser, "#tools button:nth-child(4)")
            browser.wait(f"{view} === '10 View 2 of 2'")
            tap(browser, "#tools button:nth-child(4)")
            browser.wait(f"{view} === '00 All views'")
            browser.wait("performance.now() - since > 320")
            tap(browser, "#grades button[data-score='4']")
            browser.wait("byId('bar').value === 1 && byId('said').textContent === '4 saved.'")
            tap(browser, "#undo-now")
            browser.wait("byId('bar').value === 0 && document.querySelector('.before').dataset.score === '4'")
            for done in (1, 2):
                browser.wait("!busy && performance.now() - since > 320")
                tap(browser, "#grades button[data-score='2']")
                browser.wait(f"byId('bar').value === {done} && !busy")
            browser.wait("!byId('end').hidden")
    finally:
        desktop(browser)
    assert [a.score for a in read_answers(study.answers_of("anna")).values()] == [2, 2]


def test_a_practice_case_saves_nothing(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        browser.open(server.url)
        browser.wait("study")
        browser.run("byId('try').click()")
        browser.wait(READY + " && practice")
        assert "Practice" in browser.run("byId('count').textContent") and "CC BY" in browser.run(
            "byId('practice-note').textContent"
        )
        browser.press("4")
        browser.wait("screen === 'start' && byId('refused').textContent.includes('your 4 would be saved')")
        browser.write("anna")
        browser.press("Enter")
        browser.wait(READY + " && !practice")
    assert study.readers() == []


def test_the_start_says_how_many_cases_and_minutes_and_shows_the_scale(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=4)
    with serving(study) as server:
        browser.open(server.url)
        browser.wait("study")
        facts = browser.run("byId('start').innerText")
    for said in ("8", "about 6 minutes, at 45 seconds a case", "Major conditions are missed or wrong."):
        assert said in facts


def test_at_the_end_each_score_can_be_seen_and_changed_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        begin(browser, server)
        press(browser, "5", 1)
        press(browser, "4", 2)
        browser.wait("screen === 'end' && !busy")
        rows = "[...document.querySelectorAll('#scores tbody tr')].map(r => [...r.cells].slice(0, 2).map(c => c.textContent).join(' '))"
        assert browser.run(rows) == ["Case 1 5", "Case 2 4"]
        browser.run("document.querySelector('#scores tbody button').focus()")
        browser.press("Enter")
        browser.wait(READY)
        assert browser.run("document.querySelector('.before').dataset.score") == "5"
        browser.press("1")
        browser.wait("screen === 'end' && !busy")
        assert browser.run(rows) == ["Case 2 4", "Case 1 1"]
    assert {a.score for a in read_answers(study.answers_of("anna")).values()} == {4, 1}


def test_the_next_report_is_announced_with_its_number(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        begin(browser, server)
        press(browser, "3", 1)
        said = browser.run("byId('live').textContent")
        assert said == "3 saved. Case 2 of 2. Report: " + browser.run("now.text")
        assert browser.run("document.activeElement.id") == "report-title"


def test_arrow_keys_move_or_change_the_grey_values(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        begin(browser, server)
        browser.press("+")
        browser.press("ArrowRight")
        assert browser.run("looks[0].look.x") < 0 and browser.run("grey.width") == 1
        browser.press("w")
        browser.press("ArrowLeft")
        browser.press("ArrowDown")
        assert browser.run("grey.width") < 1 and browser.run("grey.level") > 0.5
        browser.press("r")
        assert browser.run("[grey.width, grey.level, looks[0].look.scale]") == [1, 0.5, 1]


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_no_fault_on_any_screen(browser: Browser, tmp_path: Path, colours: str) -> None:
    study, _ = reading(tmp_path, count=1)
    scheme(browser, colours)
    try:
        with serving(study) as server:
            browser.open(server.url)
            browser.wait("study")
            assert faults(browser, bypass=True) == []
            begin(browser, server)
            assert faults(browser, bypass=True) == []
            press(browser, "5", 1)
            press(browser, "4", 2)
            browser.wait("screen === 'end' && !busy")
            assert faults(browser, bypass=True) == []
    finally:
        scheme(browser, "light")


def test_a_case_and_the_scores_can_be_printed(browser: Browser, tmp_path: Path) -> None:
    study, _ = reading(tmp_path, count=1)
    with serving(study) as server:
        begin(browser, server)
        for _ in range(2):
            assert paper(browser) == []
            assert "Not a medical device" in browser.run("document.body.innerText")
            browser.send("Emulation.setEmulatedMedia", media="")
            assert pages_of(printed(browser)) in (1, 2)
            press(browser, "5", browser.run("byId('bar').value") + 1)
