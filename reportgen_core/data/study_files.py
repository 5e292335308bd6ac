"""Make studies of image files and folders, for users who have images and no dataset."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import ImageError
from ..types import Projection, Study, View
from .dicom.header import DicomFacts, dicom_facts, is_dicom

SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".pgm", ".dcm", ".dicom"])


def group_files(paths: Iterable[Path]) -> list[Study]:
    """Return one study for each file, in the order given; DICOM files of one patient and examination are one study.

    Folders are searched with all folders in them, in the order of names, for image suffixes and for DICOM by content. A
    study is named after its file, or after the folder that holds its views and no other study; never after an element
    of a DICOM header. A file that does not exist becomes a study too, and reading it gives the problem. Raises
    ImageError for a folder without an image.
    """
    groups: dict[str, list[View]] = {}
    for path in dict.fromkeys(file for given in paths for file in _files(Path(given))):
        key, projection = examination_of(path)
        groups.setdefault(key or f"file {path}", []).append(View(path, projection))
    crowds = Counter(folder for views in groups.values() for folder in {v.path.parent for v in views})
    return _distinct(
        [Study(study_name([v.path for v in g], lambda f: crowds[f] > 1), tuple(g)) for g in groups.values()]
    )


def _files(path: Path) -> Iterator[Path]:
    """Yield a file itself, or the images of a folder and of the folders in it."""
    if not path.is_dir():
        yield path
        return
    empty = True
    for folder, inside, names in os.walk(path):
        inside[:] = sorted(name for name in inside if is_searched(name, folder=True))
        for file in (Path(folder, name) for name in sorted(names) if is_searched(name, folder=False)):
            if is_image(file):
                empty = False
                yield file
    if empty:
        raise no_image(path)


def is_searched(name: str, *, folder: bool) -> bool:
    """Return whether the search of a folder looks at a file or a folder of this name: not at a hidden one."""
    return not name.startswith((".", "__")) if folder else not name.startswith(".") and name != "DICOMDIR"


def is_image(file: Path) -> bool:
    """Return whether a file of a folder is an image, by its suffix, or a DICOM file by its content."""
    return file.suffix.lower() in SUFFIXES or _looks_like_dicom(file)


def no_image(folder: Path) -> ImageError:
    """Return the error for a folder without an image."""
    return ImageError(f"folder {folder} has no image: no {', '.join(sorted(SUFFIXES))}, and no DICOM by content")


def _looks_like_dicom(file: Path) -> bool:
    """Return whether a file begins as DICOM with a preamble does. A folder may hold many other files."""
    if not file.is_file():
        return False
    try:
        with file.open("rb") as opened:
            return opened.read(132)[128:] == b"DICM"
    except OSError:
        return False  # the user did not name this file


def _facts(path: Path) -> DicomFacts | None:
    """Return the facts of a DICOM header; None for another file or a damaged header, which reading it will report."""
    try:
        return dicom_facts(path) if path.is_file() and is_dicom(path) else None
    except (ImageError, OSError):
        return None


def examination_of(path: Path) -> tuple[str, Projection]:
    """Return what all DICOM files of one examination share, "" for another file, and the projection.

    What they share differs from process to process, and is not to be shown.
    """
    facts = _facts(path)
    return (f"study {facts.study}" if facts.study else "", facts.projection) if facts else ("", "")


def study_name(paths: Sequence[Path], crowded: Callable[[Path], bool]) -> str:
    """Return the name of a study with these files: the stem of the first one, or of several the name of their folder.

    The folder names the study if it has all the files and no file of another study, as `crowded` says.
    """
    folder = paths[0].parent
    if len(paths) > 1 and folder.name and all(path.parent == folder for path in paths) and not crowded(folder):
        return folder.name
    return paths[0].stem


def _distinct(studies: list[Study]) -> list[Study]:
    """Return the studies; those that share a name are renamed to the whole path of their first file."""
    times = Counter(s.id for s in studies)
    return [s if times[s.id] == 1 else replace(s, id=str(s.views[0].path)) for s in studies]
