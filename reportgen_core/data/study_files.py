"""Files and folders as studies, for people who have images and no data set."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import ImageError
from ..types import Study, View
from .dicom import DicomFacts, dicom_facts, is_dicom

SUFFIXES = frozenset([".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".pgm", ".dcm", ".dicom"])


def group_files(paths: Iterable[Path]) -> list[Study]:
    """One study a file, in the order given; DICOM files of one examination are together one study.

    Folders are searched through, in the order of names, for image suffixes and for DICOM by content. A study is named
    after its file, or the folder that holds its views and nothing else; never after anything in a DICOM header. A file
    that is named but not there is a study all the same: whoever reads it says what is wrong. Raises ImageError for a
    folder without an image.
    """
    groups: dict[str, list[View]] = {}
    for path in dict.fromkeys(file for given in paths for file in _files(Path(given))):
        facts = _facts(path)
        key = f"study {facts.study}" if facts and facts.study else f"file {path}"
        groups.setdefault(key, []).append(View(path, facts.projection if facts else ""))
    crowds = Counter(folder for views in groups.values() for folder in {v.path.parent for v in views})
    return _distinct([Study(_name(views, crowds), tuple(views)) for views in groups.values()])


def _files(path: Path) -> Iterator[Path]:
    """The file itself, or the images of a folder and the folders in it."""
    if not path.is_dir():
        yield path
        return
    found = False
    for folder, inside, names in os.walk(path):
        inside[:] = sorted(name for name in inside if not name.startswith((".", "__")))
        for file in (Path(folder, name) for name in sorted(names) if not name.startswith(".") and name != "DICOMDIR"):
            if file.suffix.lower() in SUFFIXES or _looks_like_dicom(file):
                found = True
                yield file
    if not found:
        raise ImageError(f"folder {path} has no image: no {', '.join(sorted(SUFFIXES))}, and no DICOM by content")


def _looks_like_dicom(file: Path) -> bool:
    """By the magic alone: a folder may hold much else."""
    if not file.is_file():
        return False
    try:
        with file.open("rb") as opened:
            return opened.read(132)[128:] == b"DICM"
    except OSError:
        return False  # nobody asked for this file by name


def _facts(path: Path) -> DicomFacts | None:
    """What the header says, if it is DICOM and can be read: reading the image later says why not."""
    try:
        return dicom_facts(path) if path.is_file() and is_dicom(path) else None
    except (ImageError, OSError):
        return None


def _name(views: list[View], crowds: Counter[Path]) -> str:
    """The file's stem; of several views their folder's name, if no other study has files there."""
    folders = {v.path.parent for v in views}
    folder = views[0].path.parent
    if len(views) > 1 and len(folders) == 1 and crowds[folder] == 1 and folder.name:
        return folder.name
    return views[0].path.stem


def _distinct(studies: list[Study]) -> list[Study]:
    """The same studies; those whose names are not their own are named by the whole path of their first file."""
    times = Counter(s.id for s in studies)
    return [s if times[s.id] == 1 else replace(s, id=str(s.views[0].path)) for s in studies]
