"""The clinical parts of the page in a real browser: downloads of every format, and the studies of an archive."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from fake_archive import FakeArchive, fake_archive
from gestures import desktop, faults, phone, scheme
from pydicom import dcmread
from radiographs import HEADER, radiograph
from serving import Served, served, serving
from serving_page import CHEST, DONE, drop, opened, report

from reportgen_core import load

pytestmark = pytest.mark.browser

SIZES = [(390, 844), (900, 1000), (1440, 900)]
ROW = "document.querySelectorAll('#list .study')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[FakeArchive]:
    with fake_archive() as found:
        found.add(
            radiograph(tmp_path / "a.dcm", "1.2.1", StudyDescription="Chest <b>PA</b>"),
            radiograph(tmp_path / "b.dcm", "1.2.2", StudyDate="20210304", StudyTime=""),
        )
        yield found


@pytest.fixture
def server(archive: FakeArchive, model: Path) -> Iterator[Served]:
    with serving(served(load(model), folder=model), archive=archive.url, seconds=60) as found:
        yield found


def pressed(browser: Browser, label: str, card: int = 0) -> tuple[str, bytes]:
    """Press a button of a card, and return the name and the content of the file that the browser then saves."""
    name, content = browser.run(
        f"""(async () => {{ const made = URL.createObjectURL, clicked = HTMLAnchorElement.prototype.click; let kept, name;
        URL.createObjectURL = (blob) => {{ kept = blob; return made.call(URL, blob); }};
        HTMLAnchorElement.prototype.click = function () {{ name = this.download; }};
        document.querySelectorAll('.card')[{card}].querySelector('[aria-label="Download {label}"]').click();
        for (let i = 0; i < 1200 && !name; i++) await new Promise(done => setTimeout(done, 20));
        URL.createObjectURL = made; HTMLAnchorElement.prototype.click = clicked;
        const bytes = new Uint8Array(await kept.arrayBuffer());
        return [name, btoa(String.fromCharCode(...bytes))]; }})()"""
    )
    return name, base64.b64decode(content)


def test_each_format_is_downloaded_by_its_button(browser: Browser, server: Served, tmp_path: Path) -> None:
    report(browser, server, ("one.dcm", (tmp_path / "a.dcm").read_bytes()))
    shown = browser.run("[...document.querySelectorAll('.sentences .text > span')].map(e => e.textContent).join(' ')")
    name, text = pressed(browser, "Text")
    assert name == "one.txt" and text.decode().startswith(shown) and "Not a medical device" in text.decode()
    name, values = pressed(browser, "JSON")
    assert name == "one.json" and json.loads(values)["text"] == shown
    name, document = pressed(browser, "DICOM SR")
    stored = dcmread(io.BytesIO(document))
    assert name == "one.dcm" and stored.Modality == "SR" and str(stored.PatientName) == HEADER["PatientName"]
    for label, end in (("FHIR R4B", ".fhir.json"), ("FHIR R5", ".fhir5.json")):
        name, resource = pressed(browser, label)
        assert name == f"one{end}" and json.loads(resource)["resourceType"] == "DiagnosticReport"
    assert browser.run("document.querySelector('.card .status').textContent") == "Downloaded one.fhir5.json."
    assert browser.log == []


def test_a_format_that_an_image_cannot_have_is_one_line(browser: Browser, server: Served) -> None:
    report(browser, server, CHEST)
    browser.run("""document.querySelector('[aria-label="Download DICOM SR"]').click()""")
    browser.wait("document.querySelector('.card .status').textContent.includes('wants DICOM files')")


def test_a_download_is_of_the_study_that_is_shown(browser: Browser, server: Served, tmp_path: Path) -> None:
    report(browser, server, *((f"{name}.dcm", (tmp_path / f"{name}.dcm").read_bytes()) for name in "ab"))
    browser.run("byId('studies').value = 'b'; byId('studies').dispatchEvent(new Event('change'))")
    drop(browser, CHEST)  # other files are chosen, and not reported yet
    name, document = pressed(browser, "DICOM SR")
    assert name == "b.dcm" and dcmread(io.BytesIO(document)).StudyInstanceUID == "1.2.2"


def test_a_study_of_the_archive_is_chosen_read_and_stored(
    browser: Browser, server: Served, archive: FakeArchive, model: Path, tmp_path: Path
) -> None:
    opened(browser, server)
    browser.wait(f"{ROW}.length === 2")
    rows = browser.run(f"[...{ROW}].map(row => [...row.children].map(e => e.textContent))")
    assert rows[0] == ["2021-03-04", "accession ACC-9, 1 file", "no report yet"]
    assert rows[1] == ["2020-03-04 10:15", "Chest <b>PA</b>, accession ACC-9, 1 file", "no report yet"]
    browser.run(f"{ROW}[1].focus()")
    browser.press("Enter")
    browser.wait(DONE)
    expected = load(model).report(tmp_path / "a.dcm")[0]
    shown = browser.run("[...document.querySelectorAll('.sentences .text > span')].map(e => e.textContent)")
    assert shown == list(expected.sentences) and browser.run("panes.length") == 1
    assert browser.run("byId('results-title').textContent") == "Report on 2020-03-04 10:15, Chest <b>PA</b>"
    name, document = pressed(browser, "DICOM SR")
    assert name == "1.2.1.dcm" and dcmread(io.BytesIO(document)).StudyInstanceUID == "1.2.1"
    for says in ("is stored in the archive", "has a report of this model already"):
        browser.run(
            "[...document.querySelectorAll('.card button')].find(b => b.textContent.startsWith('Store')).click()"
        )
        browser.wait(f"document.querySelector('.card .status').textContent.includes('{says}')")
    assert len(archive.stored) == 1
    browser.wait(f"{ROW}[1].textContent.endsWith('report stored')")
    browser.run("byId('waiting').click()")
    browser.wait(f"{ROW}.length === 1")
    assert browser.log == []


def test_an_archive_that_is_gone_is_one_line_and_uploads_go_on(
    browser: Browser, server: Served, archive: FakeArchive
) -> None:
    opened(browser, server)
    browser.wait(f"{ROW}.length === 2")
    archive.fault = (500, "text/plain", b"")
    browser.run(f"{ROW}[0].click()")
    browser.wait("!byId('failed').hidden")
    assert "answered 500" in browser.run("byId('failed').textContent")
    server.state.listing.forget()
    browser.run("byId('look').click()")
    browser.wait("byId('listed').textContent.includes('answered 500')")
    drop(browser, CHEST)
    browser.run("byId('go').click()")
    browser.wait(DONE)
    archive.fault = None
    browser.run("byId('look').click()")
    browser.wait(f"byId('listed').textContent.startsWith('2 of 2 studies') && {ROW}.length === 2")


def test_a_server_without_an_archive_shows_no_list(browser: Browser) -> None:
    with serving() as server:
        report(browser, server, CHEST)
        assert browser.run("byId('archive').hidden") and browser.run("byId('list').children.length") == 0
        assert not browser.run(
            "[...document.querySelectorAll('.card button')].some(b => b.textContent.startsWith('Store'))"
        )


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["light", "dark"])
def test_the_list_has_no_fault_of_access_and_fits(
    browser: Browser, server: Served, archive: FakeArchive, size: tuple[int, int], name: str
) -> None:
    (phone if size[0] < 700 else desktop)(browser, *size)
    scheme(browser, name)
    try:
        server.send("/v1/archive/store", [], {"archive": "1.2.2"})
        opened(browser, server)
        browser.wait(f"{ROW}.length === 2")
        assert browser.run("document.documentElement.scrollWidth") <= size[0] and faults(browser, bypass=True) == []
        browser.run(f"{ROW}[0].click()")
        browser.wait(DONE)
        assert browser.run("document.documentElement.scrollWidth") <= size[0] and faults(browser, bypass=True) == []
    finally:
        desktop(browser)
        scheme(browser, "light")
