"""Image files and projections of the Indiana University collection, under the names its copies give them.

One image is Open-i's PNG `CXR1_1_IM-0001-3001.png`, the DICOM `1_IM-0001-3001.dcm` and Kaggle's
`1_IM-0001-3001.dcm.png`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from reportgen_core.files.tables import csv_rows
from reportgen_core.types import Projection

from ..paths import first

_SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")  # where one image is there twice, the earlier is taken
TABLES = ("indiana_projections.csv", "image_views.csv", "nlmcxr_dicom_metadata.csv*", "nlmcxr_tsne_pa.csv*")


def is_name(name: str) -> bool:
    """Whether this can be an image's name: a plain file name, no path."""
    return re.fullmatch(r"\w[\w.-]{0,127}", name) is not None


def key(name: str) -> str:
    """What all names of an image have in common: "1_IM-0001-3001"."""
    stem = name.rsplit("/", 1)[-1]
    while stem.lower().endswith(_SUFFIXES):
        stem = stem[: stem.rindex(".")]
    stem = stem.removeprefix("CXR")
    return re.sub(r"^(\d+)_\1_IM", r"\1_IM", stem)


def image_files(root: Path) -> dict[str, Path]:
    """Every image file below root by its key. Links to folders are followed, each folder once."""
    found: dict[str, Path] = {}
    seen: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        folders.sort()
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        for name in sorted(files):
            if name.lower().endswith(_SUFFIXES):
                path = Path(folder) / name
                other = found.setdefault(key(name), path)
                if _rank(path) < _rank(other):
                    found[key(name)] = path
    return found


def _rank(path: Path) -> int:
    return _SUFFIXES.index(path.suffix.lower())


_VIEWS: Mapping[str, Projection] = {
    "frontal": "frontal", "pa": "frontal", "ap": "frontal",
    "lateral": "lateral", "large lateral": "lateral", "ll": "lateral", "rl": "lateral", "l": "lateral",
}  # fmt: skip


def projections(root: Path, given: str = "") -> tuple[str, dict[str, Projection]]:
    """The table of projections that was used, and the projection of each image by key.

    Kaggle's was looked at by people, image by image; the DICOM View Position says PA for many laterals.
    """
    path = Path(given) if given else first(root, *TABLES)
    if path is None:
        return "", {}
    known: dict[str, Projection] = {}
    for row in csv_rows(path):
        name = row.get("filename", "") if "projection" in row and "filename" in row else row.get("imageid", "")
        view = row.get("projection") or row.get("tsne-view") or row.get("View Position") or ""
        projection = _VIEWS.get(view.strip().lower())
        if name and projection:
            known[key(name)] = projection
    return path.name, known
