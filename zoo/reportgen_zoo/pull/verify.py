"""Compare a model folder with its record: hashes are computed again, and the probe is run."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from reportgen_core import ReportgenError
from reportgen_core.files.digests import sha256_file

from ..manifest.records import File, Record, ZooError

if TYPE_CHECKING:
    from reportgen_core import Model

PROBE_CELLS = 16  # squares on each side of the image
PROBE_TEXT = "The heart is enlarged. There is a small left pleural effusion. No pneumothorax."


def verify(record: Record, folder: Path) -> Iterator[str]:
    """Yield a line for each difference between the folder and the record."""
    broken = False
    for file in record.files:
        for problem in _wrong(file, folder / file.path):
            broken = True
            yield problem
    if record.probe is not None and not broken:  # weights that are not the record's are not run
        try:
            text = probe(folder, record.probe.seed)
        except ReportgenError as e:  # of a reporter whose weights are not on this machine, or are others
            if not record.reference:
                raise
            yield f"probe {record.probe.seed}: {e}"
            return
        if text != record.probe.report:
            yield f"probe {record.probe.seed}: wrote {text!r}, the record has {record.probe.report!r}"


def _wrong(file: File, at: Path) -> Iterator[str]:
    if not at.is_file():
        yield f"{file.path} is missing"
    elif at.stat().st_size != file.bytes:
        yield f"{file.path} has {at.stat().st_size} bytes, the record has {file.bytes}"
    elif (digest := sha256_file(at)) != file.sha256:
        yield f"{file.path} has sha256 {digest[:16]}..., the record has {file.sha256[:16]}..."


def files_of(folder: Path) -> tuple[File, ...]:
    """Return the files of a model folder with their hashes. Raises ZooError for a link, which may lead anywhere."""
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise ZooError(f"{path} is a link or no file; a model folder holds its files themselves")
    at = sorted(p for p in folder.rglob("*") if p.is_file())
    return tuple(File(p.relative_to(folder).as_posix(), p.stat().st_size, sha256_file(p)) for p in at)


def probe(folder: Path, seed: int) -> str:
    """Return the report that the model in `folder` writes for the seeded image, greedily, in fp32.

    For a model that only annotates, as tienet-r, return the findings of the image with a fixed report.
    """
    from reportgen_core import CompositionError, Model, load
    from reportgen_core.models.abilities import Annotates

    model = load(folder)
    with tempfile.TemporaryDirectory() as scratch:
        image = probe_image(Path(scratch) / "probe.png", seed)
        try:
            return model.report([image], precision="fp32")[0].text
        except CompositionError:
            if not (isinstance(model, Model) and isinstance(model.head, Annotates) and model.findings):
                raise
            return _annotated(model, image)


def _annotated(model: Model, image: Path) -> str:
    """Return the findings of the image with the fixed report, with two digits."""
    from reportgen_core import Study, View
    from reportgen_core.annotation.findings import Annotated, ReportRow, annotate

    study = Study("probe", (View(image),), {model.text.sections[0]: PROBE_TEXT})
    (annotation,) = annotate(model, [ReportRow(1, study)], precision="fp32")
    if not isinstance(annotation, Annotated):
        raise ZooError(f"the probe cannot be annotated: {annotation.why}")
    return ", ".join(f"{name} {share:.2f}" for name, share in annotation.findings.items())


def probe_image(path: Path, seed: int) -> Path:
    """Write the seeded image and return its path: 256 × 256 pixels, 16 × 16 squares with the grey values of sha256
    bytes, the same on every machine.
    """
    from PIL import Image

    greys = b"".join(hashlib.sha256(f"{seed}:{i}".encode()).digest() for i in range(PROBE_CELLS**2 // 32))
    side = 16 * PROBE_CELLS
    Image.frombytes("L", (PROBE_CELLS, PROBE_CELLS), greys).resize((side, side), Image.Resampling.NEAREST).save(path)
    return path
