"""Write studies and their images into shards. The same studies give the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...errors import DataError, ImageError
from ...types import Study, View
from ..atomic import replacing
from ..digests import sha256_file
from ..study_json import study_to_json
from .manifest import MANIFEST, Manifest, Shard, write_manifest
from .member import open_image

MAX_IMAGE = 1 << 29  # bytes; a larger file is not read as an image either


@dataclass(frozen=True, slots=True)
class ShardSize:
    """When a shard is full: at so many studies or bytes, whichever comes first. 0: no limit of that kind."""

    studies: int = 0
    bytes: int = 0


def write_shards(
    studies: Iterable[Study], folder: Path, size: ShardSize, *, source: str, on_bad: Callable[[Study, str], None]
) -> Manifest:
    """Write studies into shards of their split, and return the manifest. An old folder of shards is replaced.

    `on_bad` is called with a study and a line for each study that has an image which cannot be read; it is left out.
    One study at a time is in memory. Raises CheckpointError if the folder cannot be written, and DataError if no study
    is left.
    """
    with replacing(folder, holds=MANIFEST) as temporary:
        opened: dict[str, _OpenShard] = {}
        shards: list[Shard] = []
        counts: dict[str, int] = {}
        try:
            for number, study in enumerate(studies):
                try:
                    members = _members(f"{number:08d}", study)
                except (OSError, ImageError) as e:
                    on_bad(study, getattr(e, "strerror", None) or str(e))
                    continue
                shard = opened.get(study.split)
                if shard is not None and shard.is_full(size, sum(_blocks(content) for _, content in members)):
                    shards.append(opened.pop(study.split).close())
                    shard = None
                if shard is None:
                    name = f"{_slug(study.split, counts)}-{counts.setdefault(study.split, 0):05d}.tar"
                    counts[study.split] += 1
                    shard = opened[study.split] = _OpenShard(temporary / name, study.split)
                shard.add(members)
        except BaseException:
            for shard in opened.values():
                shard.abandon()
            raise
        shards += [shard.close() for shard in opened.values()]
        if not shards:
            raise DataError(f"no study is left to write into {folder}; rg data audit says what was left out and why")
        manifest = Manifest(source, tuple(sorted(shards, key=lambda s: (list(counts).index(s.split), s.name))))
        write_manifest(temporary, manifest)
    return manifest


def _slug(split: str, counts: dict[str, int]) -> str:
    """Return the word that begins the names of the shards of a split."""
    if re.fullmatch(r"[a-z]{1,30}", split) and split not in ("all", "split"):
        return split
    place = list(counts).index(split) if split in counts else len(counts)
    return f"split-{place}" if split else "all"


def _members(key: str, study: Study) -> list[tuple[str, bytes]]:
    """Return names and contents of a study: its images, then its JSON. Raises OSError, ImageError."""
    images: list[tuple[str, bytes]] = []
    facts: dict[str, dict[str, str]] = {}

    def moved(view: View) -> View:
        with open_image(view.path) as file:
            content = file.read(MAX_IMAGE + 1)
        if len(content) > MAX_IMAGE:
            raise ImageError(f"{view.path.name} has more than {MAX_IMAGE:,} bytes")
        suffix = view.path.suffix[1:].lower() if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", view.path.suffix) else "img"
        name = f"{key}.{len(images)}.{'img' if suffix == 'json' else suffix}"
        images.append((name, content))
        facts[name] = {"name": view.path.name, "sha256": hashlib.sha256(content).hexdigest()}
        return replace(view, path=Path(name))

    def inside(study: Study) -> Study:
        views = tuple(moved(view) for view in study.views)
        return replace(study, views=views, prior=None if study.prior is None else inside(study.prior))

    values = study_to_json(inside(study), Path("/"))
    _add_facts(values, facts)
    text = json.dumps(values)  # in ASCII: a file's name may have bytes that are no UTF-8
    return [*images, (f"{key}.json", text.encode())]


def _add_facts(values: dict[str, Any], facts: dict[str, dict[str, str]]) -> None:
    for view in values.get("views", ()):
        view |= facts[view["path"]]
    if "prior" in values:
        _add_facts(values["prior"], facts)


def _blocks(content: bytes) -> int:
    """Return the bytes that a member takes in a tar file, its header with it."""
    return tarfile.BLOCKSIZE * (1 + -(-len(content) // tarfile.BLOCKSIZE))


@dataclass
class _OpenShard:
    """A tar file that is being written."""

    path: Path
    split: str
    studies: int = 0
    images: int = 0
    size: int = 0  # bytes of its members
    index: Any = field(default_factory=hashlib.sha256)

    def __post_init__(self) -> None:
        self._tar = tarfile.open(self.path, "x", format=tarfile.USTAR_FORMAT)  # noqa: SIM115  # `close` closes it

    def is_full(self, size: ShardSize, more: int) -> bool:
        """Return whether another study of `more` bytes must go into the next shard."""
        by_count = size.studies and self.studies >= size.studies
        return bool(by_count or (size.bytes and self.size + more > size.bytes))

    def add(self, members: Iterable[tuple[str, bytes]]) -> None:
        """Add the members of one study."""
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            self._tar.addfile(header, io.BytesIO(content))
            self.size += _blocks(content)
            self.index.update(f"{name} {len(content)}\n".encode())
            if name.endswith(".json"):
                self.index.update(content)
                self.studies += 1
            else:
                self.images += 1

    def abandon(self) -> None:
        """Close the file, which is not finished."""
        self._tar.close()

    def close(self) -> Shard:
        """Finish the file, and return what it holds."""
        self._tar.close()
        counts = self.studies, self.images, self.path.stat().st_size
        return Shard(self.path.name, self.split, *counts, sha256_file(self.path), self.index.hexdigest())
