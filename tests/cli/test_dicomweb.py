"""Archives: studies out of a real Orthanc, reports into it, each once, whoever is killed in between."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from orthanc import STUDIES, Orthanc, filled, free_port, one_each, service
from radiographs import HEADER
from reportgen_cli.dicomweb import archive as archives
from reportgen_cli.dicomweb.archive import Address, addresses

from reportgen_core import OptionError, load


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    with filled(tmp_path) as running:
        yield running


def worker(archive: Orthanc, model: Path, *more: str) -> subprocess.Popen[str]:
    """Start a worker in a process of its own."""
    command = [sys.executable, "-m", "reportgen_cli", "report", archive.address, "--store", "--model", str(model)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [*command, "--batch-size", "1", "--device", "cpu", *more],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


@service
def test_all_studies_of_an_archive_are_reported_once(rg, archive: Orthanc, model: Path, tmp_path: Path) -> None:
    done = rg("report", archive.address, "--store", "--model", model, "--precision", "fp32")
    assert done.code == 0, done.err
    assert done.err.splitlines()[-1] == "5 studies: 5 stored, 0 there before"
    reports = one_each(archive)
    for uid in STUDIES[1:]:
        text = load(model).report([tmp_path / "sent" / f"{uid}.dcm"], precision="fp32")[0].text
        findings = next(i for i in reports[uid].ContentSequence if i.ValueType == "CONTAINER")
        said = [i.TextValue for i in findings.ContentSequence if i.ConceptNameCodeSequence[0].CodeMeaning == "Finding"]
        assert " ".join(said).startswith(text)
        assert str(reports[uid].PatientName) == HEADER["PatientName"]
    again = rg("report", archive.address, "--store", "--model", model)
    assert again.err.splitlines()[-1] == "5 studies: 0 stored, 5 there before"
    one_each(archive)


@service
def test_a_study_of_an_archive_is_reported_as_files_are(rg, archive: Orthanc, model: Path, tmp_path: Path) -> None:
    done = rg("report", f"{archive.address}/studies/{STUDIES[1]}", "--model", model, "--precision", "fp32", "--json")
    assert done.code == 0, done.err
    assert load(model).report([tmp_path / "sent" / f"{STUDIES[1]}.dcm"], precision="fp32")[0].text in done.out
    assert not any(archive.reports().values())


@service
def test_what_an_archive_does_not_have_is_one_line(rg, archive: Orthanc, model: Path) -> None:
    none = rg("report", f"{archive.address}/studies/1.2.9", "--model", model)
    assert none.code == 1 and "study 1.2.9 of" in none.err and "has no radiograph" in none.err
    gone = rg("report", f"{archive.address.replace('dicom-web', 'dicom')}", "--store", "--model", model)
    assert gone.code == 1 and "was to list its studies and answered 404" in gone.err
    assert "Traceback" not in none.err + gone.err


@service
def test_after_a_killed_worker_nothing_is_lost_and_nothing_doubled(rg, archive: Orthanc, model: Path) -> None:
    first = worker(archive, model)
    assert first.stdout is not None
    assert "report stored" in first.stdout.readline()
    first.kill()
    first.communicate()
    before = sum(map(len, archive.reports().values()))
    assert 1 <= before <= len(STUDIES)
    done = rg("report", archive.address, "--store", "--model", model)
    assert done.code == 0, done.err
    one_each(archive)


@service
def test_two_workers_on_one_archive_double_nothing(archive: Orthanc, model: Path) -> None:
    both = [worker(archive, model), worker(archive, model)]
    ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    one_each(archive)


@service
def test_after_a_killed_archive_nothing_is_lost_and_nothing_doubled(
    rg, archive: Orthanc, model: Path, monkeypatch
) -> None:
    monkeypatch.setattr(archives, "ATTEMPTS", 1)
    stored: list[str] = []
    store = archives.Archive.store

    def crash(self: archives.Archive, study: str, instance: str, content: bytes) -> None:
        store(self, study, instance, content)
        stored.append(study)
        if len(stored) == 2:
            archive.kill()

    monkeypatch.setattr(archives.Archive, "store", crash)
    done = rg("report", archive.address, "--store", "--model", model, "--batch-size", "1")
    assert done.code == 1 and "does not answer" in done.err and "Traceback" not in done.err
    archive.start()
    assert {uid for uid, files in archive.reports().items() if files} == set(stored)
    assert rg("report", archive.address, "--store", "--model", model).code == 0
    one_each(archive)


def test_an_address_names_an_archive_or_a_study() -> None:
    whole, one = "dicomweb:http://pacs:8042/dicom-web", "dicomweb:https://pacs/rs/studies/1.2.3"
    assert addresses([Path(whole)]) == [Address("http://pacs:8042/dicom-web")]
    assert addresses([Path(one)]) == [Address("https://pacs/rs", "1.2.3")]
    assert addresses([Path("chest.png")]) == []


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (["dicomweb:pacs"], "is no address; it is written dicomweb:https://HOST/ROOT"),
        (["dicomweb:http://pacs/rs/studies/x"], "names no study"),
        (["dicomweb:http://me:secret@pacs/rs"], "no user or password"),
        (["dicomweb:http://pacs/rs", "a.png"], "report them one after the other"),
    ],
)
def test_a_wrong_address_is_one_line(images: list[str], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        addresses([Path(image) for image in images])


def test_an_archive_that_does_not_answer_is_one_line(rg, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ATTEMPTS", 1)
    done = rg("report", f"dicomweb:http://127.0.0.1:{free_port()}/rs", "--store", "--model", model)
    assert done.code == 1 and "was to list its studies, and does not answer" in done.err
    assert "Traceback" not in done.err


def test_a_whole_archive_is_reported_only_to_be_stored(rg, model: Path) -> None:
    done = rg("report", "dicomweb:http://127.0.0.1:1/rs", "--model", model)
    assert done.code == 1 and "is a whole archive; --store reports it all" in done.err
