"""Read the studies of shards, one shard after the other. Images stay where they are; a path names their place.

A shard comes from somebody else: only plain files are taken, under the names that the writer gives, and no name becomes
a path on the disk. A link, a folder, a device or an extended header is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ...errors import DataError, quoted
from ...types import Study
from ..digests import sha256_file
from ..study_json import study_from_json
from .manifest import Shard, read_manifest
from .member import Member, member_path

BLOCK = tarfile.BLOCKSIZE
MAX_TEXT = 64 * 2**20  # bytes of the JSON of a study
_NAME = re.compile(r"(\d{8,15})\.(json|\d{1,4}\.[A-Za-z0-9]{1,8})")


class NumberedStudy(NamedTuple):
    """A study with its place in the dataset that the shards were made from."""

    number: int
    study: Study


def iter_studies(
    folder: Path, *, verify: bool = False, on_damaged: Callable[[Shard, DataError], None] | None = None
) -> Iterator[NumberedStudy]:
    """Yield the studies of all shards of a folder, shard after shard. One shard's texts are in memory at a time.

    With `verify` each shard is read whole and its sha256 compared. `on_damaged` is called for a shard that cannot be
    read, and the others are read; without it DataError is raised, which is also raised for a wrong manifest.
    """
    for shard in read_manifest(folder).shards:
        try:
            studies = read_shard(folder, shard, verify=verify)
        except DataError as e:
            if on_damaged is None:
                raise
            on_damaged(shard, e)
        else:
            yield from studies


def read_shard(folder: Path, shard: Shard, *, verify: bool = False) -> list[NumberedStudy]:
    """Return the studies of one shard. Raises DataError, naming the shard, if it is missing or was changed."""
    path = folder / shard.name
    try:
        with path.open("rb") as file:
            members, texts, index = _walk(file, shard)
        if verify and sha256_file(path) != shard.sha256:
            raise ValueError(_CHANGED)
        if index != shard.index:
            raise ValueError(_CHANGED)
        studies = [_study(path, members, key, text) for key, text in texts.items()]
        if len(studies) != shard.studies:
            raise ValueError(f"it holds {len(studies)} studies, and the manifest says {shard.studies}")
    except FileNotFoundError as e:
        raise DataError(f"{path} is not there, and the manifest names it; {_HELP}") from e
    except OSError as e:
        raise DataError(f"cannot read {path}: {e.strerror}; {_HELP}") from e
    except (ValueError, RecursionError, tarfile.HeaderError, DataError) as e:
        raise DataError(f"cannot read {path}: {e}; {_HELP}") from e
    return studies


_CHANGED = "it was changed since the manifest was written: its digest is another"
_HELP = "copy it again, or leave its studies out with --data-option skip_damaged=true"


def _walk(file: BinaryIO, shard: Shard) -> tuple[dict[str, tuple[int, int]], dict[str, bytes], str]:
    """Return offset and size of each image of a shard, the JSON of each study, and the digest of the index.

    Raises ValueError, and HeaderError of tarfile for a header that is damaged.
    """
    end = file.seek(0, 2)
    if end != shard.bytes:
        raise ValueError(f"it has {end:,} bytes, and the manifest says {shard.bytes:,}: it was changed or is cut short")
    members: dict[str, tuple[int, int]] = {}
    texts: dict[str, bytes] = {}
    digest, at = hashlib.sha256(), 0
    while True:
        file.seek(at)
        try:
            header = tarfile.TarInfo.frombuf(file.read(BLOCK), "utf-8", "surrogateescape")
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # the mark at the end
            return members, texts, digest.hexdigest()
        start, size = at + BLOCK, header.size
        if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or not 0 <= size <= end - start:
            raise ValueError(f"member {quoted(header.name)} is no plain file that lies in the shard")
        if (match := _NAME.fullmatch(header.name)) is None:
            raise ValueError(f"member {quoted(header.name)} has a name that no study has")
        digest.update(f"{header.name} {size}\n".encode())
        if match[2] != "json":
            members[header.name] = start, size
        elif size > MAX_TEXT:
            raise ValueError(f"member {header.name} has {size:,} bytes; at most {MAX_TEXT:,} are read")
        else:
            texts[match[1]] = file.read(size)
            digest.update(texts[match[1]])
        at = start + -(-size // BLOCK) * BLOCK


def _study(path: Path, members: Mapping[str, tuple[int, int]], key: str, text: bytes) -> NumberedStudy:
    """Return a study from its JSON. Raises ValueError and DataError."""
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"member {key}.json is no study")
    views = {v["path"]: v for v in _views(values)}

    def place(name: str) -> Path:
        if name not in members or not name.startswith(f"{key}."):
            raise DataError(f"study {key} has no image {quoted(name)} in the shard")
        return member_path(Member(path, *members[name], _text(views[name], "sha256")), _file_name(views[name]))

    return NumberedStudy(int(key), study_from_json(values, place))


def _views(values: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the views of a study in JSON, and of its priors."""
    yield from (v for v in values.get("views") or () if isinstance(v, dict) and isinstance(v.get("path"), str))
    if isinstance(values.get("prior"), dict):
        yield from _views(values["prior"])


def _text(view: Mapping[str, Any], key: str) -> str:
    value = view.get(key)
    if not isinstance(value, str):
        raise DataError(f"image {quoted(view.get('path'))} has {key} {quoted(value)}")
    return value


def _file_name(view: Mapping[str, Any]) -> str:
    """Return the name that the file of an image had. Raises DataError for a name that is a path."""
    name = _text(view, "name")
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise DataError(f"image {quoted(view.get('path'))} has the name {quoted(name)}, which is no name of a file")
    return name
