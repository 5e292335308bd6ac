"""Reading XML and archives that others made: what is too large or too clever is refused."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from reportgen_plugins.datasets.iu import openi

from reportgen_core import DataError

REPORT = b"""<?xml version="1.0"?><eCitation><uId id="CXR7"/><ccLicense>byncnd</ccLicense>
<AbstractText Label="FINDINGS"> Clear &amp; dry. </AbstractText><AbstractText Label="IMPRESSION"></AbstractText>
<MeSH><major>Opacity/lung</major><automatic>Opacity</automatic><automatic>opacity</automatic></MeSH>
<parentImage id="CXR7_IM-1-1001"/><parentImage id="../../etc"/></eCitation>"""


def archive(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_a_report_is_read_as_written() -> None:
    study = openi.parse("7.xml", REPORT)
    assert (study.id, study.sections, study.tags) == ("CXR7", {"findings": "Clear & dry."}, ("opacity",))
    assert study.extra == {"mesh": ["Opacity/lung"], "normal": False, "licence": "byncnd"}
    assert [v.path.name for v in study.views] == ["CXR7_IM-1-1001"]  # an id that is a path is none


def test_entities_are_refused_before_they_expand() -> None:
    laughs = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><eCitation><uId id="CXR1"/>&b;</eCitation>'
    with pytest.raises(DataError, match=r"1\.xml declares a document type"):
        openi.parse("1.xml", laughs)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"<eCitation>", "no well-formed XML"),
        (b"", "no well-formed XML"),
        (b"<eCitation/>", "no uId"),
        (b'<e><uId id="../x"/></e>', "no uId"),
        (b"<a>" + b" " * openi.MAX_REPORT, "more than"),
    ],
)
def test_what_is_no_report_names_its_file(data: bytes, problem: str) -> None:
    with pytest.raises(DataError, match=rf"7\.xml .*{problem}"):
        openi.parse("7.xml", data)


def test_an_archive_is_read_in_place_whatever_its_members_are_called(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.tgz", ("../../7.xml", REPORT), ("notes.txt", b"no"))
    assert [s.id for s in openi.studies(path)] == ["CXR7"]
    assert [p.name for p in tmp_path.iterdir()] == ["x.tgz"]


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openi._Bounded, "left", 4096)
    with pytest.raises(DataError, match="unpacks to more than"):
        list(openi.studies(archive(tmp_path / "x.tgz", ("7.xml", REPORT), ("bomb.bin", bytes(10**6)))))


@pytest.mark.parametrize(
    "data",
    [b"", b"no gzip", gzip.compress(b"no tar" * 999, mtime=0), b"\x1f\x8b\x08\x00broken"],
    ids=["empty", "plain text", "gzip without a tar", "cut gzip"],
)
def test_a_file_that_is_no_archive_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "NLMCXR_reports.tgz"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"NLMCXR_reports\.tgz cannot be read as a gzipped tar"):
        list(openi.studies(path))


def test_a_cut_archive_is_an_error_and_no_shorter_dataset(tmp_path: Path) -> None:
    whole = archive(tmp_path / "x.tgz", ("7.xml", REPORT), ("8.xml", REPORT.replace(b"CXR7", b"CXR8")))
    whole.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(DataError, match="cannot be read"):
        list(openi.studies(whole))


def test_two_reports_of_one_id_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two reports CXR7"):
        list(openi.studies(archive(tmp_path / "x.tgz", ("7.xml", REPORT), ("8.xml", REPORT))))
