"""Start Orthanc with its DICOMweb plugin for tests: on a free port, with all its files in a folder of the test."""

from __future__ import annotations

import base64
import io
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from radiographs import radiograph

PLUGINS = [Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"), Path("/usr/lib/orthanc/libOrthancDicomWeb.so")]


STUDIES = [f"1.2.3.{n}" for n in range(1, 6)]


def installed() -> bool:
    """Return whether Orthanc and its DICOMweb plugin are on this machine."""
    return bool(shutil.which("Orthanc")) and any(plugin.exists() for plugin in PLUGINS)


@dataclass
class Orthanc:
    """An archive that can be killed and started again on the same files and port."""

    folder: Path
    port: int = 0
    login: tuple[str, str] = ("", "")  # the name and the password of its only user
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"dicomweb:http://127.0.0.1:{self.port}/dicom-web"

    def start(self) -> None:
        """Start the archive and wait until it answers."""
        self.folder.mkdir(exist_ok=True)
        self.port = self.port or free_port()
        settings = {
            "Name": "test", "HttpPort": self.port, "DicomServerEnabled": False, "AuthenticationEnabled": bool(self.login[0]),
            "RegisteredUsers": dict([self.login]) if self.login[0] else {},
            "StorageDirectory": str(self.folder / "db"), "IndexDirectory": str(self.folder / "db"),
            "Plugins": [str(next(plugin for plugin in PLUGINS if plugin.exists()))],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}, "OverwriteInstances": False, "HttpBindAddresses": ["127.0.0.1"],
        }  # fmt: skip
        (self.folder / "orthanc.json").write_text(json.dumps(settings))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(["Orthanc", self.folder / "orthanc.json"], stdout=log, stderr=log)
        for _ in range(600):
            try:
                self.get("/system")
                return
            except (urllib.error.URLError, ConnectionError):
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """End the archive at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self._request(path), timeout=10) as answer:
            return json.load(answer)

    def _request(self, path: str, content: bytes | None = None) -> urllib.request.Request:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", content)
        if self.login[0]:
            request.add_header("Authorization", "Basic " + base64.b64encode(":".join(self.login).encode()).decode())
        return request

    def send(self, *files: Path) -> None:
        """Store DICOM files."""
        for file in files:
            urllib.request.urlopen(self._request("/instances", file.read_bytes()), timeout=10).close()

    def reports(self) -> dict[str, list[bytes]]:
        """Return the DICOM SR of every study by its UID: the files as they are stored."""
        stored: dict[str, list[bytes]] = {}
        for study in self.get("/studies?expand"):
            files = stored.setdefault(study["MainDicomTags"]["StudyInstanceUID"], [])
            for uid in study["Series"]:
                series = self.get(f"/series/{uid}")
                if series["MainDicomTags"]["Modality"] == "SR":
                    files += [self._file(instance) for instance in series["Instances"]]
        return stored

    def _file(self, instance: str) -> bytes:
        with urllib.request.urlopen(self._request(f"/instances/{instance}/file"), timeout=10) as answer:
            return bytes(answer.read())


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def service(test: Any) -> Any:
    """Mark a test that needs Orthanc."""
    for mark in (
        pytest.mark.services,
        pytest.mark.skipif(not installed(), reason="needs orthanc and orthanc-dicomweb"),
    ):
        test = mark(test)
    return test


@contextmanager
def filled(folder: Path, login: tuple[str, str] = ("", "")) -> Iterator[Orthanc]:
    """Run an archive with five studies with radiographs, the first one with two views, and a CT.

    The files that were sent are in `folder`/sent.
    """
    running = Orthanc(folder / "orthanc", login=login)
    running.start()
    try:
        files = [radiograph(folder / "sent" / f"{uid}.dcm", uid) for uid in STUDIES]
        files.append(radiograph(folder / "sent" / "second.dcm", STUDIES[0], 2, ViewPosition="LL"))
        running.send(*files, radiograph(folder / "sent" / "ct.dcm", "1.2.9", modality="CT"))
        yield running
    finally:
        running.kill()


def one_each(archive: Orthanc) -> dict[str, Dataset]:
    """Return the report of each study, and check that it has one and that the CT has none."""
    stored = archive.reports()
    assert {uid: len(files) for uid, files in stored.items()} == {**dict.fromkeys(STUDIES, 1), "1.2.9": 0}
    return {uid: dcmread(io.BytesIO(files[0])) for uid, files in stored.items() if files}
