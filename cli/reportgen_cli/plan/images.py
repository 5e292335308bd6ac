"""Measure images: which files are missing, which have the same bytes, and size and depth of a sample of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reportgen_core.errors import ImageError
from reportgen_core.types import Study

from .numbers import counted

HEAD = 1 << 16  # bytes by which files of one size are distinguished before all of their bytes are read
MAX_REASONS = 10
Counting = Callable[[Iterable[Path]], Iterator[Path]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """The images of a dataset. What begins with `sample` is of `sampled` files, drawn by the names of the files."""

    images: int  # that studies name
    files: int  # distinct files that are there
    missing: int  # files that are not
    studies_missing: int  # studies that name images, none of which is there
    copies: int  # files with the bytes of another file
    sampled: int
    sample_sizes: dict[str, int]  # "height x width": images
    sample_depths: dict[str, int]  # "8 bits": images
    sample_kinds: dict[str, int]  # ending of the name: images
    sample_unread: dict[str, int]  # why a file cannot be read: images
    sample_notes: dict[str, int]  # what a reader should know of an image: images


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The files of the images of studies: where they are, and which have the same bytes."""

    groups: dict[Path, str]  # each file that is there, and a mark that equal files share
    missing: frozenset[Path]


def find_files(studies: Iterable[Study]) -> ImageFiles:
    """Return the files that studies name. Files are compared byte by byte; only files of one size are read."""
    paths = list(dict.fromkeys(view.path for s in studies for view in s.views))
    sizes = {path: path.stat().st_size for path in paths if path.is_file()}
    marks = {path: str(size) for path, size in sizes.items()}
    for digest in (_head, _whole):
        common = counted(marks.values())
        marks = {path: digest(path, mark) if common[mark] > 1 else mark for path, mark in marks.items()}
    return ImageFiles(marks, frozenset(path for path in paths if path not in sizes))


def _head(path: Path, mark: str) -> str:
    with path.open("rb") as file:
        return f"{mark} {hashlib.sha256(file.read(HEAD)).hexdigest()}"


def _whole(path: Path, mark: str) -> str:
    if path.stat().st_size <= HEAD:
        return mark
    with path.open("rb") as file:
        return f"{mark} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def measure_images(studies: Sequence[Study], files: ImageFiles, sample: int, count: Counting = iter) -> ImageFacts:
    """Return the facts of the images; at most `sample` files are decoded. `count` is called for each of these."""
    chosen = sorted(files.groups, key=lambda p: hashlib.sha256(str(p).encode("utf-8", "replace")).digest())[:sample]
    images: list[DecodedFacts] = []
    problems: list[str] = []
    for path in count(sorted(chosen)):
        try:
            images.append(decoded_facts(path))
        except ImageError as e:
            problems.append(str(e).removeprefix(f"{path}: "))
    return ImageFacts(
        images=sum(len(s.views) for s in studies),
        files=len(files.groups),
        missing=len(files.missing),
        studies_missing=sum(bool(s.views) and all(v.path in files.missing for v in s.views) for s in studies),
        copies=len(files.groups) - len(set(files.groups.values())),
        sampled=len(chosen),
        sample_sizes=counted(image.size for image in images),
        sample_depths=counted(image.depth for image in images),
        sample_kinds=counted(path.suffix.lower() or "no ending" for path in chosen),
        sample_unread=_first(counted(problems)),
        sample_notes=_first(counted(note for image in images for note in image.notes)),
    )


@dataclass(frozen=True, slots=True)
class DecodedFacts:
    """What the pixels of one image say."""

    size: str
    depth: str
    notes: tuple[str, ...]


def decoded_facts(path: Path) -> DecodedFacts:
    """Return size, depth and notes of an image. The depth is that of its brightest stored value. Raises ImageError."""
    from reportgen_core.data.image_files import decode

    image = decode(path)
    height, width = image.values.shape
    bits = 8 if image.values.itemsize == 1 else max(8, int(image.values.max()).bit_length())
    return DecodedFacts(f"{height} x {width}", f"{bits} bits", (*image.notes, *image.not_chest))


def _first(counts: dict[str, int]) -> dict[str, int]:
    """Return the commonest reasons; the others are one row with their number."""
    rows = list(counts.items())
    more = sum(n for _, n in rows[MAX_REASONS:])
    return dict(rows[:MAX_REASONS]) | ({f"{len(rows) - MAX_REASONS} other reasons": more} if more else {})
