"""The server and a real Orthanc: each report stored once, whoever works beside it, whoever is killed in between."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from orthanc import STUDIES, Orthanc, filled, one_each, service
from reportgen_cli.dicomweb.login import LOGIN
from reportgen_cli.pages.shared.origin import model_origin
from serving import Served, served, serving

from reportgen_core import load


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Orthanc]:
    with filled(tmp_path) as running:
        yield running


def url(archive: Orthanc) -> str:
    return archive.address.removeprefix("dicomweb:")


def until(condition: Callable[[], bool], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def stored(archive: Orthanc) -> int:
    return sum(map(len, archive.reports().values()))


@contextmanager
def storing(archive: Orthanc, model: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `rg serve --store` as a user would, in a process of its own; the process listens from here on."""
    command = [sys.executable, "-m", "reportgen_cli", "serve", "--dicomweb", url(archive), "--store", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--model", str(model), "--device", "cpu"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@service
def test_a_study_is_chosen_reported_and_stored(archive: Orthanc, model: Path, tmp_path: Path) -> None:
    with serving(served(load(model), folder=model), archive=url(archive)) as server:
        listed = server.ask("GET", "/v1/archive").json
        assert {(row["study"], row["state"]) for row in listed["studies"]} == {(uid, "waiting") for uid in STUDIES}
        assert {row["study"]: row["files"] for row in listed["studies"]}[STUDIES[0]] == 2
        (fetched,) = server.send("/v1/reports", [], {"archive": STUDIES[1]}).json["reports"]
        content = (tmp_path / "sent" / f"{STUDIES[1]}.dcm").read_bytes()
        (sent,) = server.send("/v1/reports", [("images", "a.dcm", content)]).json["reports"]
        assert fetched["text"] == sent["text"]
        for uid in STUDIES:
            assert server.send("/v1/archive/store", [], {"archive": uid}).json["stored"]
        assert not server.send("/v1/archive/store", [], {"archive": STUDIES[0]}).json["stored"]
        assert {row["state"] for row in server.ask("GET", "/v1/archive").json["studies"]} == {"stored"}
    reports = one_each(archive)
    assert {report.VerificationFlag for report in reports.values()} == {"UNVERIFIED"}


@service
def test_two_servers_and_a_worker_on_one_archive_double_nothing(rg, archive: Orthanc, model: Path) -> None:
    settings = {"archive": url(archive), "store": True, "look": 0.1}
    tiny = replace(served(load(model), folder=model), origin=model_origin(str(model)))  # as `rg` names it
    with serving(tiny, **settings), serving(tiny, **settings):
        assert rg("report", archive.address, "--store", "--model", model, "--batch-size", "1").code == 0
        until(lambda: stored(archive) >= len(STUDIES))
        time.sleep(1)  # so that both look again
    one_each(archive)


@service
def test_a_server_that_was_killed_goes_on_where_it_was(archive: Orthanc, model: Path) -> None:
    with storing(archive, model) as first:
        until(lambda: stored(archive) >= 1)
        first.kill()
    with storing(archive, model) as second:
        until(lambda: stored(archive) == len(STUDIES))
        second.terminate()
        assert "stopped; every request in hand was answered" in second.communicate(timeout=60)[0]
    one_each(archive)


@service
def test_a_server_outlives_its_archive(archive: Orthanc, model: Path) -> None:
    settings = {"archive": url(archive), "store": True, "look": 0.2, "seconds": 6}
    with serving(served(load(model), folder=model), **settings) as server:
        until(lambda: stored(archive) >= 1)
        archive.kill()
        gone = answer_of_list(server)
        assert gone == (502, "the archive was to list its studies, and does not answer")
        assert server.ask("GET", "/healthz").status == 200
        archive.start()
        until(lambda: stored(archive) == len(STUDIES))
        until(lambda: answer_of_list(server)[0] == 200)
    one_each(archive)


def answer_of_list(server: Served) -> tuple[int, str]:
    server.state.listing.forget()
    answer = server.ask("GET", "/v1/archive")
    return answer.status, answer.json.get("error", "")


@service
def test_an_orthanc_with_users_wants_their_login(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with filled(tmp_path, ("me", "p4ss")) as archive:
        for login, status in (("me:wrong", 502), ("me:p4ss", 200)):
            monkeypatch.setenv(LOGIN, login)
            with serving(served(load(model), folder=model), archive=url(archive)) as server:
                answer = server.ask("GET", "/v1/archive")
                assert answer.status == status and "wrong" not in answer.body.decode()
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(url(archive) + "/studies")
