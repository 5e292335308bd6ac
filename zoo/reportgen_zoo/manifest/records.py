"""The contents of a manifest: one record for each trained model. These dataclasses are `manifest.schema.json`."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reportgen_core.errors import quoted

from .addresses import ZooError as ZooError
from .addresses import check_address

FORMAT = 1
MAX_BYTES = 64 * 2**30  # of one file
MAX_FILES = 1000  # of one model

# The files of a model: weights, JSON, and texts. Nothing that Python, a pickle reader or a shell would run.
SUFFIXES = ("json", "jsonl", "md", "safetensors", "txt")
PLAIN_NAMES = ("LICENSE", "NOTICE")
ALLOWED = f"a model has files with the suffixes {', '.join(SUFFIXES)}, and {' and '.join(PLAIN_NAMES)}"

_NAME = r"[a-z0-9][a-z0-9_+-]*(\.[a-z0-9][a-z0-9_+-]*)*"
_STEP = r"[A-Za-z0-9_][A-Za-z0-9_+-]*(\.[A-Za-z0-9_+-]+)*"
_PATH = rf"({_STEP}/)*({_STEP}\.({'|'.join(SUFFIXES)})|{'|'.join(PLAIN_NAMES)})"
_SHA256 = r"[0-9a-f]{64}"
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)  # device names of Windows


@dataclass(frozen=True, slots=True)
class File:
    """One file of a model: its path in the model's folder, its size and its hash."""

    path: str = field(metadata={"schema": {"pattern": f"^{_PATH}$", "maxLength": 200}})
    bytes: int = field(metadata={"schema": {"minimum": 0, "maximum": MAX_BYTES}})
    sha256: str = field(metadata={"schema": {"pattern": f"^{_SHA256}$"}})


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores on one set of studies under one protocol, with the scores of baselines on the same studies."""

    data: str  # "nih-chest 8,121 images, split val, seed 0"
    protocol: str
    studies: int
    values: Mapping[str, float]
    constant: Mapping[str, float] = field(default_factory=dict)  # of each score the strongest constant report
    intervals: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # 95 %, low and high
    nearest: Mapping[str, float] = field(default_factory=dict)  # the report of the nearest training image
    above_constant: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # value - constant, low, high
    above_nearest: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # value - nearest, low, high
    versions: Mapping[str, str] = field(default_factory=dict)  # of the metrics, of "intervals" and "baselines"


@dataclass(frozen=True, slots=True)
class TrainingFacts:
    """The training data of a model, and the command that trains it again."""

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
    """One trained model. The files of a name never change: a new version has a new name."""

    name: str = field(metadata={"schema": {"pattern": f"^{_NAME}$", "maxLength": 128}})  # composition.data_version
    summary: str
    licence: str  # of the weights
    files: tuple[File, ...]
    # Folders that hold the files, tried in order: https://, hf://, file://, package:, or relative to the manifest.
    sources: tuple[str, ...]
    parts: Mapping[str, str] = field(default_factory=dict)  # "encoder", "decoder" or "retriever": registered names
    requires: tuple[str, ...] = ()  # distributions whose plugins it needs, in addition to reportgen
    terms: str = ""  # the user agrees to these before the first use; "" if there are none
    image: Mapping[str, Any] = field(default_factory=dict)  # the ImageSpec that the weights were trained with
    vocabulary_sha256: str = ""  # sha256 of its words, as in config.json
    training: TrainingFacts | None = None
    scores: tuple[Scores, ...] = ()
    reference: Mapping[str, str] = field(default_factory=dict)  # of a reporter: where the weights are that it names
    paper: str = ""
    demonstration: bool = False  # made to show how it works; not for clinical use
    probe: Probe | None = None

    @property
    def bytes(self) -> int:
        """Return the size of all files."""
        return sum(f.bytes for f in self.files)

    @property
    def digest(self) -> str:
        """Return the sha256 of the files' hashes and paths, which `NAME@sha256:...` pins."""
        lines = sorted(f"{f.sha256}  {f.path}\n" for f in self.files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Manifest:
    """The trained models that one place offers."""

    format: int = field(metadata={"schema": {"const": FORMAT}})
    models: tuple[Record, ...] = ()


_fits_name, _is_path, _is_sha256 = (re.compile(pattern).fullmatch for pattern in (_NAME, _PATH, _SHA256))


def is_name(name: str) -> bool:
    """Return whether a text can be the name of a model."""
    return len(name) <= 128 and bool(_fits_name(name)) and not _RESERVED.match(name)


def check_name(name: str) -> str:
    """Return the name if it is a model's name. Raises ZooError: a name becomes a folder."""
    if not is_name(name):
        raise ZooError(f"{quoted(name)} is no model name; names are lower case letters, digits, '.', '_', '+' and '-'")
    return name


@functools.lru_cache(4096)
def is_file_path(path: str) -> bool:
    """Return whether a text is the path of a file that a model folder may have."""
    return len(path) <= 200 and bool(_is_path(path)) and not any(map(_RESERVED.match, path.split("/")))


def check_record(record: Record, where: str) -> None:
    """Raise ZooError if a name, a path, a size, a hash or a source of the record is not allowed."""
    check_name(record.name)
    for source in record.sources:
        try:
            check_address(source)
        except ZooError as e:
            raise ZooError(f"{where}: {record.name}: {e}") from e
    if not all(_is_plain(value) for value in record.image.values()):
        raise ZooError(f"{where}: {record.name}: image wants numbers, texts, and lists of numbers")
    if not record.files:
        raise ZooError(f"{where}: {record.name} has no files")
    if len(record.files) > MAX_FILES:
        raise ZooError(f"{where}: {record.name} has {len(record.files)} files; {MAX_FILES} are taken at most")
    seen: set[str] = set()
    for file in record.files:
        if not is_file_path(file.path):
            raise ZooError(
                f"{where}: {record.name}: {quoted(file.path)} is no path of a file in a model folder; {ALLOWED}"
            )
        seen.add(file.path.lower())
        if not _is_sha256(file.sha256):
            raise ZooError(f"{where}: {record.name}: {file.path}: {quoted(file.sha256)} is no sha256")
        if not 0 <= file.bytes <= MAX_BYTES:
            raise ZooError(f"{where}: {record.name}: {file.path}: {file.bytes} bytes is no size")
    if len(seen) < len(record.files) or any(parent in seen for path in seen for parent in _above(path)):
        raise ZooError(f"{where}: {record.name}: a file is there twice, or is a folder too")


def _is_plain(value: object) -> bool:
    """Return whether a JSON value is a number, a text, a truth value, null, or a list of these."""
    scalars = str | int | float | None
    return isinstance(value, scalars) or (isinstance(value, list) and all(isinstance(v, scalars) for v in value))


def _above(path: str) -> Iterator[str]:
    """Yield the folders above a path."""
    at = path.rfind("/")
    while at > 0:
        yield path[:at]
        at = path.rfind("/", 0, at)
