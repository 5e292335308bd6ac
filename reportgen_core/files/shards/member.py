"""Name an image that lies in a shard by a path, and read its bytes.

    SHARDS/train-00000.tar/1536-20480-0f3a9c1b22d4e5f6/IM-0001.png

The part before the name is the offset of the image in the shard, its bytes, and the first digits of their sha256, which
are compared at every reading. Nothing is unpacked.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...errors import ImageError

DIGITS = 16  # of the sha256 in a path
_PLACE = re.compile(rf"(\d{{1,15}})-(\d{{1,15}})-([0-9a-f]{{{DIGITS}}})")


class Member(NamedTuple):
    """The place of an image in a shard."""

    shard: Path
    offset: int
    size: int
    digest: str


def member_path(member: Member, name: str) -> Path:
    """Return the path of an image in a shard. `name` is the name of its file, and no path."""
    return member.shard / f"{member.offset}-{member.size}-{member.digest[:DIGITS]}" / name


def member_of(path: Path) -> Member | None:
    """Return the place in a shard that a path names; None for the path of a file. The disk is not read."""
    folder = path.parent
    if folder.parent.suffix != ".tar" or (match := _PLACE.fullmatch(folder.name)) is None:
        return None
    return Member(folder.parent, int(match[1]), int(match[2]), match[3])


def file_of(path: Path) -> Path:
    """Return the file that holds an image: the shard of a path in a shard, else the path itself."""
    member = member_of(path)
    return path if member is None else member.shard


def size_of(path: Path, facts: os.stat_result) -> int:
    """Return the bytes of an image. `facts` are those of the file that holds it."""
    member = member_of(path)
    return facts.st_size if member is None else member.size


def content_of(path: Path, file: BinaryIO) -> bytes:
    """Return the bytes of an image from the open file that holds it. Raises ImageError if a shard was changed."""
    member = member_of(path)
    if member is None:
        return file.read()
    file.seek(member.offset)
    content = file.read(member.size)
    if hashlib.sha256(content).hexdigest()[:DIGITS] != member.digest:
        raise ImageError(f"the shard {member.shard.name} was changed or is damaged here; copy or build it again")
    return content


def open_image(path: Path) -> BinaryIO:
    """Open the file of an image, or its bytes in a shard. Raises OSError, and ImageError if the shard was changed."""
    member = member_of(path)
    if member is None:
        return path.open("rb")
    with member.shard.open("rb") as file:
        return io.BytesIO(content_of(path, file))
