"""A small DICOMweb archive for quick tests: over real HTTP, with the faults that archives have."""

from __future__ import annotations

import io
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pydicom import dcmread
from pydicom.dataset import Dataset

BOUNDARY = b"--part"


@dataclass
class FakeArchive:
    """Instances by their UIDs, and what was asked. `fault` is what every answer is, if it is not None."""

    port: int = 0
    instances: dict[str, bytes] = field(default_factory=dict)
    fault: tuple[int, str, bytes] | None = None
    login: str = ""  # the header Authorization that requests must have
    logins: list[str | None] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)  # UIDs in the order of STOW-RS, each time

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/rs"

    def add(self, *files: Path) -> None:
        for file in files:
            self.keep(file.read_bytes())

    def keep(self, content: bytes) -> str:
        uid = str(dcmread(io.BytesIO(content), stop_before_pixels=True).SOPInstanceUID)
        self.instances.setdefault(uid, content)
        return uid

    def headers(self) -> list[Dataset]:
        return [dcmread(io.BytesIO(content), stop_before_pixels=True) for content in list(self.instances.values())]

    def reports(self) -> dict[str, list[Dataset]]:
        """Return the DICOM SR of each study."""
        found: dict[str, list[Dataset]] = {str(h.StudyInstanceUID): [] for h in self.headers()}
        for header in self.headers():
            if header.Modality == "SR":
                found[str(header.StudyInstanceUID)].append(header)
        return found

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, str, bytes]:
        headers = self.headers()
        if match := re.fullmatch(r"/rs/studies/([\d.]+)/series/([\d.]+)", path):
            own = [h for h in headers if h.StudyInstanceUID == match[1] and h.SeriesInstanceUID == match[2]]
            parts = [
                BOUNDARY
                + b"\r\nContent-Type: application/dicom\r\n\r\n"
                + self.instances[str(h.SOPInstanceUID)]
                + b"\r\n"
                for h in own
            ]
            return (
                200,
                'multipart/related; type="application/dicom"; boundary=part',
                b"".join(parts) + BOUNDARY + b"--\r\n",
            )
        if match := re.fullmatch(r"/rs/studies/([\d.]+)/(series|instances)", path):
            own = [h for h in headers if h.StudyInstanceUID == match[1]]
            if wanted := query.get("SOPInstanceUID"):
                own = [h for h in own if h.SOPInstanceUID in wanted]
            return (
                200,
                "application/dicom+json",
                rows(own, "SeriesInstanceUID" if match[2] == "series" else "SOPInstanceUID"),
            )
        if path == "/rs/studies":
            wanted = query.get("ModalitiesInStudy", [])
            uids = {h.StudyInstanceUID for h in headers if not wanted or h.Modality in wanted}
            own = [h for h in headers if h.StudyInstanceUID in uids and h.Modality != "SR"]
            counts = {uid: sum(h.StudyInstanceUID == uid for h in headers) for uid in uids}
            for header in own:
                header.NumberOfStudyRelatedInstances = counts[header.StudyInstanceUID]
            start = int(query.get("offset", ["0"])[0])
            return 200, "application/dicom+json", rows(own, "StudyInstanceUID", start)
        return 404, "text/plain", b"no such place"


def rows(headers: list[Dataset], unique: str, start: int = 0) -> bytes:
    """Return the elements of headers as DICOM JSON, one row for each value of `unique`."""
    found: dict[str, Any] = {}
    for header in headers:
        header.pop("PixelData", None)
        found.setdefault(str(header[unique].value), header.to_json_dict())
    return json.dumps(list(found.values())[start:]).encode()


@contextmanager
def fake_archive(certificate: Path | None = None) -> Iterator[FakeArchive]:
    """Run an archive until the end of the block, with TLS if there is a certificate with its key."""
    archive = FakeArchive()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            archive.logins.append(self.headers["Authorization"])
            split = urlsplit(self.path)
            self.reply(*self.fault() or archive.answer(split.path, parse_qs(split.query)))

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if fault := self.fault():
                return self.reply(*fault)
            part = content.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0]
            archive.stored.append(archive.keep(part))
            return self.reply(200, "application/dicom+json", b"{}")

        def fault(self) -> tuple[int, str, bytes] | None:
            if archive.login and self.headers["Authorization"] != archive.login:
                return 401, "text/plain", b"who are you"
            return archive.fault

        def reply(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    archive.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
