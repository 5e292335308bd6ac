"""Keep prepared images on disk, under names that are made of the bytes of the image file.

An entry is a .npy file with notes and a checksum after its pixels. Its name is the hash of the image file's bytes and
of what the image is prepared for. So that a warm cache need not read the image file, an entry has a second name (a hard
link) made of the file's path, inode, size and times. The time of its last change (ctime) is among them, which no
program can set. A file that changed within the last seconds gets no such name: a clock may be too coarse to tell the
next change from it.

The cache trusts nothing in its folder: links are not followed, pipes are not opened, an entry of another owner, another
size or a wrong checksum is not used, and files are private (mode 0600).
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..files.atomic import atomic_write

if TYPE_CHECKING:
    from ..types import Array, ImageSpec

CACHE_FORMAT = 2  # counted up when the same file and spec begin to give other bytes or notes
MAX_NOTES = 1 << 16  # bytes of the notes of an entry
SETTLED = 2_000_000_000  # nanoseconds since the last change of a file after which its times can be trusted
_CHECKSUM = 8  # bytes
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image as a model takes it, with notes for the reader of a report."""

    pixels: Array  # (H, W) uint8, or uint16 of a spec of 16 bits
    notes: tuple[str, ...] = ()
    not_chest: tuple[str, ...] = ()  # why the header says that this is no chest radiograph
    picture: Array | None = None  # (h, w) float32, grey 0..1, for people; never in the cache


def name_of_file(path: Path, facts: os.stat_result, spec: ImageSpec) -> str:
    """Return the name of the entry of a file by its path, inode, size and times; "" if these cannot be trusted."""
    if os.name != "posix" or not facts.st_ino:
        return ""
    times = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    place = str(path) if path.is_absolute() else os.path.abspath(path)
    return _name(f"{times}{place}".encode("utf-8", "surrogateescape"), spec)


def name_of_content(content: bytes, spec: ImageSpec) -> str:
    """Return the name of the entry of a file by its bytes."""
    return _name(hashlib.sha256(content).digest(), spec)


def is_settled(facts: os.stat_result) -> bool:
    """Return whether a file changed so long ago that another change would give it other times."""
    return time.time_ns() - facts.st_ctime_ns > SETTLED


def _name(key: bytes, spec: ImageSpec) -> str:
    use = f"{CACHE_FORMAT} {spec.height} {spec.width} {spec.interpolation} {spec.equalize} "
    if (spec.fit, spec.crop, spec.bits) != ("stretch", 1.0, 8):
        use += f"{spec.fit} {spec.crop} {spec.bits} "
    digest = hashlib.blake2b(use.encode() + key, digest_size=20).hexdigest()
    return f"{digest[:2]}/{digest}.npy"


def load_entry(cache: Path, name: str, spec: ImageSpec) -> PreparedImage | None:
    """Return an entry of the cache; None if there is none, or none that can be trusted. Raises nothing."""
    dtype = np.dtype("|u1" if spec.bits == 8 else "<u2")
    header = _header(spec.height, spec.width, dtype.str)
    end = len(header) + spec.height * spec.width * dtype.itemsize
    raw = _read(f"{cache}/{name}", end)
    if len(raw) < end + _CHECKSUM or not raw.startswith(header):
        return None
    if _checksum(raw, len(raw) - _CHECKSUM) != raw[-_CHECKSUM:]:
        return None
    pixels = np.frombuffer(raw, dtype, spec.height * spec.width, len(header)).reshape(spec.height, spec.width)
    if len(raw) == end + _CHECKSUM:
        return PreparedImage(pixels)
    try:
        notes, not_chest = json.loads(raw[end:-_CHECKSUM])
        return PreparedImage(pixels, tuple(map(str, notes)), tuple(map(str, not_chest)))
    except (ValueError, TypeError):
        return None


def _read(path: str, least: int) -> bytes:
    """Return the bytes of a regular file of our own; b"" for any other, and for one without a plausible size."""
    try:
        if not stat.S_ISDIR(os.lstat(os.path.dirname(path)).st_mode):
            return b""
        descriptor = os.open(path, _FLAGS)
    except OSError:
        return b""  # there is none, most often; if the folder is at fault, writing will say it
    try:
        facts = os.fstat(descriptor)
        ours = os.name != "posix" or facts.st_uid == os.geteuid()
        if not stat.S_ISREG(facts.st_mode) or not ours or not least < facts.st_size <= least + MAX_NOTES:
            return b""
        return os.read(descriptor, facts.st_size)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def save_entry(cache: Path, name: str, image: PreparedImage) -> None:
    """Write an entry, whole or not at all. Raises OSError."""
    notes = json.dumps((image.notes, image.not_chest)).encode() if image.notes or image.not_chest else b""
    if len(notes) > MAX_NOTES - _CHECKSUM:
        return
    raw = _header(*image.pixels.shape, image.pixels.dtype.str) + image.pixels.tobytes() + notes
    file = cache / name
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        file.parent.mkdir(mode=0o700)
    if not stat.S_ISDIR(os.lstat(file.parent).st_mode):
        raise NotADirectoryError(20, f"{file.parent.name} is no folder")
    atomic_write(file, raw + _checksum(raw, len(raw)), private=True)


def link_entry(cache: Path, name: str, other: str) -> None:
    """Give an entry a second name. Nothing is done, and nothing raised, if the file system cannot do it."""
    file, link = cache / name, cache / other
    temporary = link.with_name(f".{os.urandom(8).hex()}.part")
    with suppress(OSError):
        with suppress(FileExistsError):
            link.parent.mkdir(mode=0o700)
        if stat.S_ISDIR(os.lstat(link.parent).st_mode):
            os.link(file, temporary, follow_symlinks=False)
            os.replace(temporary, link)
    with suppress(OSError):
        temporary.unlink()  # it is still there if both names are of one file already


def _checksum(raw: bytes, size: int) -> bytes:
    """Return the checksum of the first `size` bytes: the sum of their words of 64 bits, each times an odd number.

    It is several times as fast as a CRC, and finds every change of one word, and others but for one in 2^64.
    """
    words = np.frombuffer(raw, np.uint64, size // 8)
    rest = int.from_bytes(raw[size - size % 8 : size], "little")
    return ((int(np.dot(words, _odd_numbers(len(words)))) + rest) % 2**64).to_bytes(_CHECKSUM, "little")


@functools.lru_cache(16)
def _odd_numbers(count: int) -> Array:
    return (np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)


@functools.cache
def _header(height: int, width: int, dtype: str) -> bytes:
    """Return the head of a .npy file of this shape and type. A file with another head is no entry, or damaged."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": dtype, "fortran_order": False, "shape": (height, width)})
    return head.getvalue()
