"""A server of models for tests: in a thread, on a free port, asked as a program would ask it."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from reportgen_cli.pages.shared.origin import Origin
from reportgen_cli.serve.run import Server, bind, make_server
from reportgen_cli.serve.settings import ServedModel, ServeSettings
from reportgen_cli.serve.state import State

from reportgen_core import GenerationSettings, Report, Reporter, Study
from reportgen_core.models.reporters.context import Takes

File = tuple[str, str, bytes]  # field, name, content


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    port: int
    state: State
    server: Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, method: str, path: str, body: Any = None, timeout: float = 30, **headers: str) -> Answer:
        """Send one request; a body that is no bytes is JSON. Underscores of header names are dashes."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        sent = {k.replace("_", "-"): v for k, v in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body, sent = json.dumps(body).encode(), {"Content-Type": "application/json", **sent}
        connection.request(method, path, body, sent)
        return answer_of(connection)

    def send(self, path: str, files: Sequence[File], fields: dict[str, Any] | None = None, **headers: str) -> Answer:
        """Send a form with files and fields."""
        kind, body = form(files, fields or {})
        return self.ask("POST", path, body, **{"Content-Type": kind, **headers})


def answer_of(connection: HTTPConnection) -> Answer:
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, content)


def form(files: Sequence[File], fields: dict[str, Any]) -> tuple[str, bytes]:
    """Return the content type and the body of a form."""
    parts = [
        f'--XX\r\nContent-Disposition: form-data; name="{n}"; filename="{f}"\r\n\r\n'.encode() + c + b"\r\n"
        for n, f, c in files
    ]
    parts += [f'--XX\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n'.encode() for n, v in fields.items()]
    return "multipart/form-data; boundary=XX", b"".join(parts) + b"--XX--\r\n"


@contextmanager
def serving(*models: ServedModel, **settings: Any) -> Iterator[Served]:
    """Serve models until the end of the block."""
    state = State(ServeSettings(**{"log": False, **settings}), models or [served()])
    bound = bind("127.0.0.1", 0)
    server = make_server(state, bound)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield Served(bound.getsockname()[1], state, server)
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


def served(reporter: Reporter | None = None, name: str = "tiny", folder: Path = Path("none")) -> ServedModel:
    """Return a model as `rg serve` holds it."""
    return ServedModel(name, reporter or Mean(), Origin(model=name, digest="ab" * 32), folder)


def picture(seed: int = 0, size: tuple[int, int] = (64, 64), kind: str = "PNG") -> bytes:
    """Return an image file of noise: each seed is another picture, and gets another report."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 256, (8, 8)).astype(np.uint8))
    file = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(file, kind)
    return file.getvalue()


def dicom(modality: str = "DX", patient: str = "DOE^JANE", study: str = "1.2.3", view: str = "PA") -> bytes:
    """Return a DICOM file with a patient's name."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    kinds = {"CT": "1.2.840.10008.5.1.4.1.1.2", "DX": "1.2.840.10008.5.1.4.1.1.1.1"}
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = kinds[modality], study + ".9"
    image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    image.PatientName, image.PatientID, image.StudyInstanceUID, image.Modality = patient, "4711", study, modality
    image.ViewPosition, image.BodyPartExamined = view, "CHEST"
    image.Rows = image.Columns = 64
    image.SamplesPerPixel, image.PhotometricInterpretation, image.PixelRepresentation = 1, "MONOCHROME2", 0
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    image.PixelData = (3000 * np.exp(-(x**2) - y**2) + 40 * np.sin(9 * x)).astype("<u2").tobytes()
    file = io.BytesIO()
    image.save_as(file, enforce_file_format=True)
    return file.getvalue()


class Mean(Reporter):
    """A reporter that writes the mean grey value of the first image, quickly."""

    def iter_reports(self, studies: Sequence[Study], settings: GenerationSettings) -> Iterator[Report]:
        for study in studies:
            grey = np.asarray(Image.open(study.views[0].path).convert("L")).mean()
            yield Report(study.id, f"The mean is {grey:.3f}.", (f"The mean is {grey:.3f}.",))


class Waits(Reporter):
    """A reporter that waits for an event before each report, and raises for a study called bad."""

    def __init__(self) -> None:
        self.go, self.begun, self.calls = threading.Event(), threading.Event(), 0
        self.takes = Takes(indication="optional", prior_images="optional")

    def iter_reports(self, studies: Sequence[Study], settings: GenerationSettings) -> Iterator[Report]:
        for study in studies:
            self.calls += 1
            self.begun.set()
            assert self.go.wait(20)
            if study.id == "bad":
                raise ValueError("a fault with a patient's name: DOE^JANE")
            prior = f" {len(study.prior.views)} prior" if study.prior is not None and study.prior.views else ""
            yield Report(study.id, "Heart normal. " + study.sections.get("indication", "") + prior, ("Heart normal.",))
