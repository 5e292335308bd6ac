"""What a manifest holds: a record a trained model. The dataclasses here are the schema (`manifest.schema.json`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reportgen_core import ReportgenError

FORMAT = 1
MAX_BYTES = 64 * 2**30  # of one file

_NAME = r"[a-z0-9][a-z0-9_+-]*(\.[a-z0-9][a-z0-9_+-]*)*"
_PATH = r"[A-Za-z0-9_][A-Za-z0-9_+-]*(\.[A-Za-z0-9_+-]+)*(/[A-Za-z0-9_][A-Za-z0-9_+-]*(\.[A-Za-z0-9_+-]+)*)*"
_SHA256 = r"[0-9a-f]{64}"
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # device names of Windows


class ZooError(ReportgenError):
    """A trained model cannot be found, fetched or trusted."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model: its path in the model's folder, its size and its hash."""

    path: str = field(metadata={"schema": {"pattern": f"^{_PATH}$", "maxLength": 200}})
    bytes: int = field(metadata={"schema": {"minimum": 0, "maximum": MAX_BYTES}})
    sha256: str = field(metadata={"schema": {"pattern": f"^{_SHA256}$"}})


@dataclass(frozen=True, slots=True)
class Scores:
    """Values of metrics on one set of studies under one protocol, with what a constant report scores there."""

    data: str  # "nih-chest 8,121 images, split val, seed 0"
    protocol: str
    studies: int
    values: Mapping[str, float]
    constant: Mapping[str, float] = field(default_factory=dict)  # the constant-sentence baseline
    intervals: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # 95 %, low and high


@dataclass(frozen=True, slots=True)
class Training:
    """What a model learned from, and the command that trains it again."""

    data: str
    split: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """A seeded image and the report that the model must write for it, in fp32 on a CPU."""

    seed: int
    report: str


@dataclass(frozen=True, slots=True)
class Record:
    """One trained model. A name never changes its bytes: a new version is a new name."""

    name: str = field(metadata={"schema": {"pattern": f"^{_NAME}$", "maxLength": 128}})  # composition.data_version
    summary: str
    licence: str  # of the weights
    files: tuple[File, ...]
    # Folders that hold the files, tried in order: https://, hf://, file://, package:, or relative to the manifest.
    sources: tuple[str, ...]
    parts: Mapping[str, str] = field(default_factory=dict)  # "encoder", "decoder" or "retriever": registered names
    requires: tuple[str, ...] = ()  # distributions whose plugins it needs, beside reportgen
    terms: str = ""  # what one agrees to before using it; empty where there is nothing to agree to
    image: Mapping[str, Any] = field(default_factory=dict)  # the ImageSpec: what the weights saw
    training: Training | None = None
    scores: tuple[Scores, ...] = ()
    paper: str = ""
    demonstration: bool = False  # shows that things work; not for clinical use
    probe: Probe | None = None

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(f.bytes for f in self.files)

    @property
    def digest(self) -> str:
        """sha256 over the files' hashes and paths: what `NAME@sha256:...` pins."""
        lines = sorted(f"{f.sha256}  {f.path}\n" for f in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Manifest:
    """The trained models that one place offers."""

    format: int = field(metadata={"schema": {"const": FORMAT}})
    models: tuple[Record, ...] = ()


def check_name(name: str) -> str:
    """The name of a model, if it is one. Names become folders, so that nothing else may pass."""
    if len(name) > 128 or not re.fullmatch(_NAME, name) or _RESERVED.match(name):
        raise ZooError(f"{name[:60]!r} is no model name; names are lower case letters, digits, '.', '_', '+' and '-'")
    return name


def check_record(record: Record, where: str) -> None:
    """Raise ZooError where a record's names, paths or hashes are not what they must be."""
    check_name(record.name)
    if not record.files:
        raise ZooError(f"{where}: {record.name} has no files")
    seen: set[str] = set()
    for file in record.files:
        parts = file.path.split("/")
        if len(file.path) > 200 or not re.fullmatch(_PATH, file.path) or any(map(_RESERVED.match, parts)):
            raise ZooError(f"{where}: {record.name}: {file.path[:60]!r} is no path of a file in a model folder")
        if file.path.lower() in seen:
            raise ZooError(f"{where}: {record.name}: {file.path!r} is there twice")
        seen.add(file.path.lower())
        if not re.fullmatch(_SHA256, file.sha256):
            raise ZooError(f"{where}: {record.name}: {file.path}: {file.sha256[:20]!r} is no sha256")
        if not 0 <= file.bytes <= MAX_BYTES:
            raise ZooError(f"{where}: {record.name}: {file.path}: {file.bytes} bytes is no size")
