"""Make studies of image files and folders, for users who have images and no dataset."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import ImageError
from ..types import Study, View
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
        facts = _facts(path)
        key = f"study {facts.study}" if facts and facts.study else f"file {path}"
        groups.setdefault(key, []).append(View(path, facts.projection if facts else ""))
    crowds = Counter(folder for views in groups.values() for folder in {v.path.parent for v in views})
    return _distinct([Study(_name(views, crowds), tuple(views)) for views in groups.values()])


def _files(path: Path) -> Iterator[Path]:
    """Yield a file itself, or the images of a folder and of the folders in it."""
    if not path.is_dir():
        yield path
        return
    empty = True
    for folder, inside, names in os.walk(path):
        inside[:] = sorted(name for name in inside if not name.startswith((".", "__")))
        for file in (Path(folder, name) for name in sorted(names) if not name.startswith(".") and name != "DICOMDIR"):
            if file.suffix.lower() in SUFFIXES or _looks_like_dicom(file):
                empty = False
                yield file
    if empty:
        raise ImageError(f"folder {path} has no image: no {', '.join(sorted(SUFFIXES))}, and no DICOM by content")


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


def _name(views: list[View], crowds: Counter[Path]) -> str:
    """Return the stem of the file; for several views the name of their folder, if no other study has files in it."""
    folders = {v.path.parent for v in views}
    folder = views[0].path.parent
    if len(views) > 1 and len(folders) == 1 and crowds[folder] == 1 and folder.name:
        return folder.name
    return views[0].path.stem


def _distinct(studies: list[Study]) -> list[Study]:
    """Return the studies; those that share a name are renamed to the whole path of their first file."""
    times = Counter(s.id for s in studies)
    return [s if times[s.id] == 1 else replace(s, id=str(s.views[0].path)) for s in studies]
