"""Start Orthanc with its DICOMweb plugin for tests: on a free port, with all its files in a folder of the test."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PLUGINS = [Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"), Path("/usr/lib/orthanc/libOrthancDicomWeb.so")]


def installed() -> bool:
    """Return whether Orthanc and its DICOMweb plugin are on this machine."""
    return bool(shutil.which("Orthanc")) and any(plugin.exists() for plugin in PLUGINS)


@dataclass
class Orthanc:
    """An archive that can be killed and started again on the same files and port."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"dicomweb:http://127.0.0.1:{self.port}/dicom-web"

    def start(self) -> None:
        """Start the archive and wait until it answers."""
        self.folder.mkdir(exist_ok=True)
        self.port = self.port or free_port()
        settings = {
            "Name": "test", "HttpPort": self.port, "DicomServerEnabled": False, "AuthenticationEnabled": False,
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
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return json.load(answer)

    def send(self, *files: Path) -> None:
        """Store DICOM files."""
        for file in files:
            request = urllib.request.Request(f"http://127.0.0.1:{self.port}/instances", file.read_bytes())
            urllib.request.urlopen(request, timeout=10).close()

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
        address = f"http://127.0.0.1:{self.port}/instances/{instance}/file"
        with urllib.request.urlopen(address, timeout=10) as answer:
            return bytes(answer.read())


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
