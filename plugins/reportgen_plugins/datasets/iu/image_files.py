"""Find image files and projections of the Indiana University collection, under the names of its copies.

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

_SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")  # of two files of one image, the earlier suffix is taken
TABLES = ("indiana_projections.csv", "image_views.csv", "nlmcxr_dicom_metadata.csv*", "nlmcxr_tsne_pa.csv*")


def is_name(name: str) -> bool:
    """Return whether a text can be the name of an image: a plain file name, no path."""
    return re.fullmatch(r"\w[\w.-]{0,127}", name) is not None


def key(name: str) -> str:
    """Return the part that all names of an image share: "1_IM-0001-3001"."""
    stem = name.rsplit("/", 1)[-1]
    while stem.lower().endswith(_SUFFIXES):
        stem = stem[: stem.rindex(".")]
    stem = stem.removeprefix("CXR")
    return re.sub(r"^(\d+)_\1_IM", r"\1_IM", stem)


def image_files(root: Path) -> dict[str, Path]:
    """Return every image file below `root` by its key. Links to folders are followed, each folder once."""
    files_by_key: dict[str, Path] = {}
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
                other = files_by_key.setdefault(key(name), path)
                if _rank(path) < _rank(other):
                    files_by_key[key(name)] = path
    return files_by_key


def _rank(path: Path) -> int:
    return _SUFFIXES.index(path.suffix.lower())


_VIEWS: Mapping[str, Projection] = {
    "frontal": "frontal", "pa": "frontal", "ap": "frontal",
    "lateral": "lateral", "large lateral": "lateral", "ll": "lateral", "rl": "lateral", "l": "lateral",
}  # fmt: skip


def projections(root: Path, given: str = "") -> tuple[str, dict[str, Projection]]:
    """Return the name of the table of projections, "" if there is none, and the projection of each image by key.

    People made Kaggle's table image by image. The DICOM View Position is PA for many lateral images.
    """
    path = Path(given) if given else first(root, *TABLES)
    if path is None:
        return "", {}
    by_key: dict[str, Projection] = {}
    for row in csv_rows(path):
        name = row.get("filename", "") if "projection" in row and "filename" in row else row.get("imageid", "")
        view = row.get("projection") or row.get("tsne-view") or row.get("View Position") or ""
        projection = _VIEWS.get(view.strip().lower())
        if name and projection:
            by_key[key(name)] = projection
    return path.name, by_key
