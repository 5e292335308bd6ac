"""The server and an archive: it lists, reports, stores each report once, and outlives every fault of the archive."""

from __future__ import annotations

import datetime
import io
import ipaddress
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fake_archive import FakeArchive, fake_archive
from orthanc import free_port
from pydicom import dcmread
from radiographs import HEADER, radiograph
from reportgen_cli.dicomweb import archive as archives
from reportgen_cli.dicomweb.archive import Archive
from reportgen_cli.dicomweb.login import LOGIN, TOKEN
from reportgen_cli.dicomweb.stored import StoredReports
from reportgen_cli.dicomweb.watch import Watch
from reportgen_cli.dicomweb.worker import Worker
from reportgen_cli.pages.shared.origin import Origin
from serving import Served, served, serving

from reportgen_core import GenerationSettings, OptionError, Report, Reporter, Study
from reportgen_core.models.reporters.context import Takes

ORIGIN = Origin(model="tiny", digest="ab" * 32)


class Counts(Reporter):
    """A reporter that writes how many views a study has, and nothing for a study whose UID ends in 13."""

    takes = Takes(most_views=2)

    def iter_reports(self, studies: Sequence[Study], settings: GenerationSettings) -> Iterator[Report]:
        for study in studies:
            text = "" if study.id.endswith(".13") else f"{len(study.views)} views."
            yield Report(study.id, text, (text,), views=tuple(str(view.path) for view in study.views))


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[FakeArchive]:
    """An archive with a study of one view, a later one of two views, and a CT."""
    with fake_archive() as found:
        found.add(
            radiograph(tmp_path / "a.dcm", "1.2.1", StudyDescription="Chest"),
            radiograph(tmp_path / "b.dcm", "1.2.2", StudyDate="20210304"),
            radiograph(tmp_path / "c.dcm", "1.2.2", 2, StudyDate="20210304", ViewPosition="LL"),
            radiograph(tmp_path / "ct.dcm", "1.2.9", modality="CT"),
        )
        yield found


@pytest.fixture
def server(archive: FakeArchive) -> Iterator[Served]:
    with serving(served(Counts()), archive=archive.url) as found:
        yield found


def reports(archive: FakeArchive) -> StoredReports:
    return StoredReports(Archive(archive.url, "the archive", 1, 5.0), ORIGIN)


def watch(archive: FakeArchive, told: list[str] | None = None) -> Watch:
    """Return a watch whose thread is not started: a test lets it look."""
    lines = told if told is not None else []
    write = Counts()
    return Watch(
        reports(archive), lambda studies: write.iter_reports(studies, GenerationSettings()), 0.05,
        lambda counts: lines.append(str(dict(counts))), lines.append,
    )  # fmt: skip


def test_the_list_has_the_newest_study_first_and_no_patient(server: Served, archive: FakeArchive) -> None:
    answer = server.ask("GET", "/v1/archive")
    assert answer.status == 200
    rows = answer.json["studies"]
    assert [(row["study"], row["date"], row["files"], row["state"]) for row in rows] == [
        ("1.2.2", "20210304", 2, "waiting"),
        ("1.2.1", "20200304", 1, "waiting"),
    ]
    assert rows[1]["description"] == "Chest" and rows[0]["accession"] == HEADER["AccessionNumber"]
    for name in ("PatientName", "PatientID", "PatientBirthDate", "ReferringPhysicianName"):
        assert HEADER[name] not in answer.body.decode()
    assert len(server.ask("GET", "/v1/archive?limit=1").json["studies"]) == 1


def test_a_study_of_the_archive_is_reported_as_its_files_are(server: Served, tmp_path: Path) -> None:
    sent = [("images", name, (tmp_path / name).read_bytes()) for name in ("b.dcm", "c.dcm")]
    (uploaded,) = server.send("/v1/reports", sent).json["reports"]
    (fetched,) = server.send("/v1/reports", [], {"archive": "1.2.2"}).json["reports"]
    assert fetched["text"] == uploaded["text"] == "2 views." and fetched["study"] == "1.2.2"
    document = dcmread(io.BytesIO(server.send("/v1/reports", [], {"archive": "1.2.2", "format": "sr"}).body))
    assert document.StudyInstanceUID == "1.2.2" and str(document.PatientName) == HEADER["PatientName"]
    explained = server.send("/v1/explain", [], {"archive": "1.2.1"}).json["studies"]
    assert [row["report"]["text"] for row in explained] == ["1 views."]


def test_a_report_is_stored_once_when_asked(server: Served, archive: FakeArchive) -> None:
    first, second = (server.send("/v1/archive/store", [], {"archive": "1.2.1"}).json for _ in range(2))
    assert (first["stored"], second["stored"]) == (True, False) and first["instance"] == second["instance"]
    assert archive.stored == [first["instance"]] == [reports(archive).uid("1.2.1")]
    states = {row["study"]: row["state"] for row in server.ask("GET", "/v1/archive").json["studies"]}
    assert states == {"1.2.1": "stored", "1.2.2": "waiting"}
    waiting = server.ask("GET", "/v1/archive?waiting=true").json
    assert [row["study"] for row in waiting["studies"]] == ["1.2.2"] and waiting["total"] == 2
    del archive.instances[first["instance"]]  # somebody deletes it
    server.state.listing.forget()
    assert {row["state"] for row in server.ask("GET", "/v1/archive").json["studies"]} == {"waiting"}


def test_what_the_server_stored_a_worker_passes_over_and_the_other_way_round(
    server: Served, archive: FakeArchive
) -> None:
    worker = Worker(reports(archive), lambda studies: Counts().iter_reports(studies, GenerationSettings()))
    assert server.send("/v1/archive/store", [], {"archive": "1.2.1"}).json["stored"]
    worker.run(["1.2.1", "1.2.2"])
    assert worker.counts == {"there": 1, "stored": 1}
    assert not server.send("/v1/archive/store", [], {"archive": "1.2.2"}).json["stored"]
    assert {uid: len(files) for uid, files in archive.reports().items()} == {"1.2.1": 1, "1.2.2": 1, "1.2.9": 0}


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"archive": "../../etc"}, 422, "give the UID of a study"),
        ({"archive": "1.2.9"}, 422, "study 1.2.9 of the archive has no radiograph"),
        ({"archive": "9.9"}, 422, "has no radiograph"),
    ],
)
def test_a_study_that_cannot_be_had_is_one_line(server: Served, fields: dict, status: int, says: str) -> None:
    answer = server.send("/v1/reports", [], fields)
    assert answer.status == status and says in answer.json["error"]
    both = server.send("/v1/reports", [("images", "a.dcm", b"x")], {"archive": "1.2.1"})
    assert both.status == 422 and "both given" in both.json["error"]
    assert server.send("/v1/archive/store", [("images", "a.dcm", b"x")]).status == 422


def test_a_server_without_an_archive_says_so() -> None:
    with serving() as server:
        for answer in (server.ask("GET", "/v1/archive"), server.send("/v1/reports", [], {"archive": "1.2.1"})):
            assert answer.status == 404 and "rg serve --dicomweb URL" in answer.json["error"]


FAULTS = [
    ((404, "text/html", b"<html>"), "answered 404"),
    ((503, "text/plain", b""), "answered 503"),
    ((403, "text/plain", b""), f"answered 403; {TOKEN} holds a token, {LOGIN} USER:PASSWORD"),
    ((200, "text/html", b"<html>hello"), "its answer is no DICOMweb; is this the root"),
    ((200, "application/json", b'{"a": 1}'), "no DICOMweb"),
    ((200, "application/json", b'["a", 3]'), "no DICOMweb"),
    ((200, "application/json", b"7"), "no DICOMweb"),
]


@pytest.mark.parametrize(("fault", "says"), FAULTS)
def test_a_fault_of_the_archive_is_one_line_and_the_server_lives(
    server: Served, archive: FakeArchive, fault: tuple[int, str, bytes], says: str, capfd
) -> None:
    archive.fault = fault
    answer = server.ask("GET", "/v1/archive")
    assert answer.status == 502 and says in answer.json["error"] and "\n" not in answer.json["error"]
    taken = server.send("/v1/archive/store", [], {"archive": "1.2.1"})
    assert taken.status in (422, 502)
    assert str(archive.port) not in (answer.body + taken.body).decode() + "".join(capfd.readouterr())
    archive.fault = None
    assert server.ask("GET", "/v1/archive").status == 200


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_archive_that_is_gone_or_speaks_no_tls_is_one_line(archive: FakeArchive, scheme: str) -> None:
    url = archive.url.replace("http", "https") if scheme == "https" else f"http://127.0.0.1:{free_port()}/rs"
    with serving(served(Counts()), archive=url) as server:
        answer = server.ask("GET", "/v1/archive")
        says = "does not speak TLS there" if scheme == "https" else "does not answer"
        assert answer.status == 502 and answer.json["error"].endswith(says) and "127.0.0.1" not in answer.body.decode()
        assert server.ask("GET", "/v1/models").status == 200


def self_signed(path: Path) -> Path:
    """Write a certificate that nobody trusts, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "archive")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 7, now, now + datetime.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(form[0]) + key.private_bytes(*form))
    return path


def test_a_certificate_is_trusted_only_when_the_user_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path / "archive.pem")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with fake_archive(certificate) as archive:
        archive.add(radiograph(tmp_path / "a.dcm", "1.2.1"))
        url = archive.url.replace("http", "https")
        with serving(served(Counts()), archive=url) as server:
            answer = server.ask("GET", "/v1/archive")
            assert answer.status == 502 and "its certificate is not trusted; REQUESTS_CA_BUNDLE" in answer.json["error"]
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        with serving(served(Counts()), archive=url) as server:
            assert [row["study"] for row in server.ask("GET", "/v1/archive").json["studies"]] == ["1.2.1"]


def test_garbage_in_place_of_images_is_of_its_study(server: Served, archive: FakeArchive) -> None:
    content = archive.instances["1.2.1.1.1"]
    archive.instances["1.2.1.1.1"] = content
    archive.answer = lambda path, query, real=archive.answer: (  # type: ignore[method-assign]
        (200, "multipart/related; boundary=x", b"--x\r\n\r\nno dicom\r\n--x--")
        if path.endswith("series/1.2.1.1")
        else real(path, query)
    )
    answer = server.send("/v1/reports", [], {"archive": "1.2.1"})
    assert answer.status == 502 and "no DICOMweb" in answer.json["error"]
    assert server.send("/v1/reports", [], {"archive": "1.2.2"}).status == 200


def test_studies_are_stored_as_they_arrive_and_not_before_they_are_whole(archive: FakeArchive, tmp_path: Path) -> None:
    told: list[str] = []
    looks = watch(archive, told)
    looks.look()
    assert archive.stored == []
    archive.add(radiograph(tmp_path / "late.dcm", "1.2.1", 2))  # the last image of a study
    looks.look()
    assert {h.StudyInstanceUID for h in archive.headers() if h.Modality == "SR"} == {"1.2.2"}
    looks.look()
    assert len(archive.stored) == 2 and told == ["{'stored': 1}"] * 2
    asked = len(archive.logins)
    looks.look()
    assert len(archive.stored) == 2 and len(archive.logins) - asked <= 8  # a list for each modality, no study
    others = watch(archive, told)
    others.look()
    others.look()
    assert len(archive.stored) == 2 and told[-1] == "{'there': 2}"


def test_a_study_without_a_text_is_tried_again_later_and_the_rest_go_on(archive: FakeArchive, tmp_path: Path) -> None:
    archive.add(radiograph(tmp_path / "d.dcm", "1.2.13"))
    looks = watch(archive)
    looks.look()
    looks.look()
    assert len(archive.stored) == 2 and looks.problems == {"1.2.13": "the model wrote nothing"}
    failure = looks.failures["1.2.13"]
    looks.look()
    assert looks.failures["1.2.13"] is failure
    failure.due = 0.0
    looks.look()
    assert looks.failures["1.2.13"].rest == 2 * failure.rest


def test_trouble_with_the_archive_is_told_once_and_its_end_too(archive: FakeArchive) -> None:
    told: list[str] = []
    looks = watch(archive, told)
    archive.fault = (500, "text/plain", b"")
    looks.look()
    looks.look()
    archive.fault = None
    looks.look()
    looks.look()
    assert told == ["the archive was to list its studies and answered 500", "", "{'stored': 2}"]


def test_a_server_that_stores_ends_with_its_studies_in_hand(archive: FakeArchive, capfd) -> None:
    with serving(served(Counts()), archive=archive.url, store=True, look=0.02, log=True) as server:
        end = time.monotonic() + 10
        while len(archive.stored) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert server.ask("GET", "/v1/archive").json["stores"]
    assert len(archive.stored) == 2 and all(
        len(files) == 1 for uid, files in archive.reports().items() if uid != "1.2.9"
    )
    lines = capfd.readouterr().err
    assert '"stored"' in lines and "1.2.1" not in lines and str(archive.port) not in lines
    assert all(json.loads(line) for line in lines.splitlines())


@pytest.mark.parametrize(
    ("name", "value", "header"),
    [(TOKEN, "s3cret-token", "Bearer s3cret-token"), (LOGIN, "me:pässword", "Basic bWU6cMOkc3N3b3Jk")],
)
def test_a_login_is_sent_as_a_header_and_named_nowhere(
    archive: FakeArchive, monkeypatch: pytest.MonkeyPatch, capfd, name: str, value: str, header: str
) -> None:
    monkeypatch.setenv(name, value)
    archive.login = header
    with serving(served(Counts()), archive=archive.url, log=True) as server:
        assert server.ask("GET", "/v1/archive").status == 200
        archive.login = "Basic other"
        server.state.listing.forget()
        refused = server.ask("GET", "/v1/archive")
        assert refused.status == 502 and "answered 401" in refused.json["error"]
    secret = value.rpartition(":")[2]
    assert secret not in refused.body.decode() + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("names", "says"),
    [({TOKEN: "a", LOGIN: "b:c"}, "both set"), ({TOKEN: "a\nb"}, "no header holds"), ({LOGIN: "me"}, "has no colon")],
)
def test_a_login_that_cannot_be_sent_is_one_line(
    monkeypatch: pytest.MonkeyPatch, names: dict[str, str], says: str
) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(OptionError, match=says) as error:
        Archive("http://127.0.0.1:1/rs")
    assert "b:c" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--store"], "rg serve --dicomweb URL --store"),
        (["--dicomweb", "http://pacs/rs/studies/1.2"], "is one study; give the archive: http://pacs/rs"),
        (["--dicomweb", "pacs"], "is no address"),
        (["--dicomweb", "http://me:secret@pacs/rs"], "no user or password in it"),
        (["--dicomweb", "ftp://me:secret@pacs"], "that address is no address"),
    ],
)
def test_a_wrong_archive_of_rg_serve_is_one_line(rg, arguments: list[str], says: str) -> None:
    done = rg("serve", *arguments)
    assert done.code == 1 and says in done.err and "secret" not in done.err and len(done.err.splitlines()) == 1


def test_a_busy_archive_is_asked_again_and_then_named(archive: FakeArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FIRST_WAIT", 1)
    archive.fault = (503, "text/plain", b"")
    with pytest.raises(archives.ArchiveError, match="answered 503"):
        Archive(archive.url, attempts=3).studies()
    assert len(archive.logins) == 3
