"""Describe the shards of a folder in one JSON file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...errors import DataError, quoted
from ..json_files import is_format, read_json, write_json

MANIFEST, FORMAT = "manifest.json", 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATTERNS = {  # of the values that are texts; the others are numbers from 0
    "name": re.compile(r"[a-z0-9][a-z0-9-]{0,60}\.tar"),
    "split": re.compile(r".*", re.DOTALL),
    "sha256": _SHA256,
    "index": _SHA256,
}


@dataclass(frozen=True, slots=True)
class Shard:
    """One tar file of studies of one split."""

    name: str
    split: str
    studies: int
    images: int
    bytes: int
    sha256: str  # of the whole file
    index: str  # sha256 of the names, the sizes and the texts of its members, without the bytes of images


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a folder of shards holds, and which dataset it was made from."""

    source: str
    shards: tuple[Shard, ...]

    @property
    def studies(self) -> int:
        """Return the number of studies in all shards."""
        return sum(shard.studies for shard in self.shards)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder of shards. Raises OSError."""
    sums = {name: sum(getattr(s, name) for s in manifest.shards) for name in ("studies", "images", "bytes")}
    values = {"format": FORMAT, "source": manifest.source, **sums, "shards": [asdict(s) for s in manifest.shards]}
    write_json(folder / MANIFEST, values, sort=False)


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a folder of shards.

    Raises DataError if there is none, if it is of another format, or if a value is wrong.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise DataError(
            f"{folder} holds no shards: it has no {MANIFEST}; rg data build NAME --shards 1000 --out DIR writes them"
        )
    values = read_json(path, DataError)
    number = values.get("format") if isinstance(values, Mapping) else None
    if not is_format(number, FORMAT):
        raise DataError(
            f"{path} is of format {quoted(number)}, and this reportgen reads shards of format {FORMAT}; "
            "rg data build NAME --shards N writes them again"
        )
    listed = values.get("shards")
    if not isinstance(listed, list) or not listed:
        raise DataError(f"{path} names no shards; rg data build NAME --shards N writes them again")
    shards = tuple(_shard(path, one) for one in listed)
    if doubled := _doubled([shard.name for shard in shards]):
        raise DataError(f"{path} names {doubled} twice")
    return Manifest(str(values.get("source", "")), shards)


def _shard(path: Path, values: Any) -> Shard:
    """Return one shard of a manifest. Raises DataError that names the value that is wrong."""
    if not isinstance(values, dict):
        raise DataError(f"{path}: a shard is an object of name, split and counts, got {quoted(values)}")
    for field in fields(Shard):
        value, pattern = values.get(field.name), _PATTERNS.get(field.name)
        if pattern is None:
            right = type(value) is int and value >= 0
        else:
            right = isinstance(value, str) and pattern.fullmatch(value) is not None
        if not right:
            raise DataError(f"{path}: shard {quoted(values.get('name'))} has {field.name} {quoted(value)}")
    return Shard(**{field.name: values[field.name] for field in fields(Shard)})


def _doubled(names: Sequence[str]) -> str:
    return next((name for name in names if names.count(name) > 1), "") if len(set(names)) < len(names) else ""
