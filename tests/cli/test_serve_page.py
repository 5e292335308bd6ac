"""The page of `rg serve` in a real browser: drop a file, read, edit, download, several models, a broken file, a CT."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from gestures import desktop, faults, phone, scheme
from serving import Served, Waits, dicom, served, serving
from serving_page import CHEST, DONE, downloads, drop, opened, report

from reportgen_core import load

pytestmark = pytest.mark.browser

SIZES = [(390, 844), (900, 1000), (1440, 900)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(scope="module")
def edits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("edits")


@pytest.fixture(scope="module")
def server(model: Path, edits: Path) -> Any:
    reporter = Waits()
    reporter.go.set()
    with serving(served(load(model), folder=model), served(reporter, name="takes-texts"), edits=edits) as found:
        yield found


def test_a_dropped_file_gets_the_report_of_the_python_call(
    browser: Browser, server: Served, model: Path, tmp_path: Path
) -> None:
    path = tmp_path / CHEST[0]
    path.write_bytes(CHEST[1])
    report(browser, server, CHEST)
    expected = load(model).report(path)[0]
    shown = browser.run("[...document.querySelectorAll('.sentences .text > span')].map(e => e.textContent)")
    assert shown == list(expected.sentences)
    assert browser.run("document.querySelector('.card .notice').textContent") == expected.note
    assert browser.run("document.querySelectorAll('.shares tbody tr').length") == len(expected.findings)
    assert "Not a medical device" in browser.run("document.querySelector('.band').textContent")
    assert browser.log == []


def test_keys_change_window_zoom_place_and_tones(browser: Browser, server: Served) -> None:
    report(browser, server, CHEST)
    pixels = "panes[0].canvas.toDataURL()"
    before = browser.run(pixels)
    browser.press("i")
    assert browser.run("tools.I.getAttribute('aria-pressed')") == "true" and browser.run(pixels) != before
    browser.press("i")
    assert browser.run(pixels) == before
    browser.press("+")
    assert browser.run("panes[0].canvas.style.transform").endswith("scale(1.4)")
    browser.run("byId('views').focus()")
    browser.press("ArrowLeft")
    assert "8%" in browser.run("panes[0].canvas.style.transform")
    browser.press("w")
    browser.press("ArrowDown")
    assert browser.run("tones.level") == pytest.approx(0.55) and browser.run(pixels) != before
    browser.press("r")
    assert browser.run("[tones.level, tones.width]") == [0.5, 1] and browser.run("panes[0].zoom.look.scale") == 1


def test_arrows_choose_sentences_and_show_where_the_model_looked(browser: Browser, server: Served) -> None:
    report(browser, server, CHEST)
    browser.wait("picture.sentence === 0")
    browser.run("document.activeElement.blur()")
    last = browser.run("document.querySelectorAll('.sentences .text').length") - 1
    browser.press("ArrowDown")
    browser.wait(f"picture.sentence === {min(1, last)}")
    assert browser.run("byId('shown').textContent").startswith(f"tiny, sentence {min(1, last) + 1}: ")
    browser.run("picture.values.regions = picture.values.regions.map(row => row.map((_, i) => i ? 0 : 9)); draw(); 0")
    assert "up to 9.0 ×" in browser.run("byId('shown').textContent")
    overlaid = browser.run("panes[0].canvas.toDataURL()")
    browser.press("o")
    assert browser.run("panes[0].canvas.toDataURL()") != overlaid


def test_a_correction_is_saved_and_downloaded(browser: Browser, server: Served, edits: Path) -> None:
    report(browser, server, CHEST)
    browser.run("document.querySelector('.flag').click()")
    browser.run("document.querySelector('.edit').open = true")
    browser.run("document.querySelector('.edit textarea').value = ''; document.querySelector('.edit textarea').focus()")
    browser.write("The heart is normal. <b>No</b> effusion.")
    browser.run("document.querySelector('.edit button').click()")
    browser.wait("document.querySelector('.card .status').textContent.startsWith('Saved')")
    (row,) = map(json.loads, (edits / "tiny.jsonl").read_text().splitlines())
    assert (row["reference"], row["wrong"], row["study"]) == ("The heart is normal. <b>No</b> effusion.", [1], "chest")
    values = json.loads(
        downloads(
            browser, "[...document.querySelectorAll('.card button')].find(b => b.textContent.includes('JSON')).click()"
        )
    )
    assert values["corrected"] == row["reference"] and values["text"] == row["prediction"] and values["wrong"] == [1]
    text = downloads(
        browser, "[...document.querySelectorAll('.card button')].find(b => b.textContent === 'Text').click()"
    )
    assert text.startswith(row["reference"] + "\n") and "Not a medical device" in text and "corrected by hand" in text


def test_without_a_folder_for_corrections_the_page_downloads_them(browser: Browser) -> None:
    with serving() as server:
        report(browser, server, CHEST)
        line = downloads(browser, "document.querySelector('.edit button').click()")
    assert json.loads(line)["study"] == "chest"


def test_several_models_stand_side_by_side_and_texts_go_to_those_that_take_them(
    browser: Browser, server: Served
) -> None:
    opened(browser, server)
    assert browser.run("byId('context').hidden")
    drop(browser, CHEST)
    browser.run("byId('model-1').click()")
    assert not browser.run("byId('context').hidden") and browser.run("byId('of-age').hidden")
    browser.run(
        """(() => { const given = new DataTransfer(); given.items.add(new File([files[0]], 'old.png'));
        byId('input-prior_images').files = given.files;
        byId('input-indication').value = 'cough <i>'; byId('go').click(); })()"""
    )
    browser.wait(DONE)
    assert browser.run("[...document.querySelectorAll('.card h3')].map(e => e.textContent)") == ["tiny", "takes-texts"]
    left, right = browser.run("[...document.querySelectorAll('.card')].map(e => e.getBoundingClientRect().x)")
    assert left < right or browser.run("innerWidth") < 1400
    assert browser.run("document.querySelectorAll('.edit textarea')[1].value") == "Heart normal. cough <i> 1 prior"
    assert browser.run("document.querySelectorAll('.card i').length") == 0


def test_a_broken_file_is_named_and_the_page_goes_on(browser: Browser, server: Served) -> None:
    opened(browser, server)
    drop(browser, ("broken.png", b"no image"))
    browser.run("byId('go').click()")
    browser.wait("!byId('failed').hidden")
    assert browser.run("byId('failed').textContent").startswith("cannot read broken.png: ")
    drop(browser, ("broken.png", b"no image"), CHEST)
    browser.run("byId('go').click()")
    browser.wait(DONE)
    assert browser.run("[...byId('studies').options].map(o => o.value)") == ["broken", "chest"]
    assert browser.run("byId('studies').value") == "chest" and not browser.run("byId('room').hidden")
    browser.run("byId('studies').value = 'broken'; byId('studies').dispatchEvent(new Event('change'))")
    browser.wait("byId('room').hidden")
    assert browser.run("document.querySelector('.card .notice').textContent").startswith("cannot read broken.png: ")


def test_a_ct_has_the_note_of_the_gate_in_plain_sight(browser: Browser, server: Served) -> None:
    report(browser, server, ("slice.dcm", dicom("CT")))
    note = browser.run("document.querySelector('.card .notice').textContent")
    assert "CT" in note and browser.run("document.querySelector('.card .notice').checkVisibility()")
    assert "DOE" not in browser.run("document.body.textContent")


def test_the_sample_is_one_click_away(browser: Browser, server: Served) -> None:
    opened(browser, server)
    browser.run("byId('sample').click()")
    browser.wait("!byId('go').disabled")
    browser.press("Enter")
    browser.wait(DONE)
    assert "Hannover" in browser.run("byId('where').textContent")


def test_a_token_in_the_address_reaches_the_server_only_as_a_header(browser: Browser) -> None:
    with serving(token="t" * 20) as server:
        opened(browser, server, "#token=" + "t" * 20)
        assert browser.run("models.length") == 1
        browser.open("about:blank")
        browser.open(server.url)
        browser.wait("!byId('failed').hidden")
        assert "wants a token" in browser.run("byId('failed').textContent")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["light", "dark"])
def test_the_page_has_no_fault_of_access_and_fits(
    browser: Browser, server: Served, size: tuple[int, int], name: str
) -> None:
    (phone if size[0] < 700 else desktop)(browser, *size)
    scheme(browser, name)
    try:
        report(browser, server, CHEST, all_models=True)
        assert browser.run("document.documentElement.scrollWidth") <= size[0]
        assert faults(browser, bypass=True) == []
        browser.open(server.url + "docs")
        browser.wait("document.documentElement.dataset.ready === 'yes'")
        assert browser.run("document.documentElement.scrollWidth") <= size[0]
        assert faults(browser, bypass=True) == []
    finally:
        desktop(browser)
        scheme(browser, "light")


def test_the_page_can_be_used_by_keyboard_alone(browser: Browser, server: Served, tmp_path: Path) -> None:
    report(browser, server, CHEST)
    reached = set()
    browser.run("document.activeElement.blur()")
    for _ in range(60):
        browser.press("Tab")
        reached.add(browser.run("document.activeElement.id || document.activeElement.className"))
    assert {"files", "sample", "model-0", "go", "views", "text", "flag"} <= reached
