"""Find the files of a dataset, and keep image paths inside its folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from reportgen_core import DataError


def first(root: Path, *patterns: str) -> Path | None:
    """The first file or folder that a pattern names, in root or one level below."""
    for pattern in patterns:
        for place in (pattern, f"*/{pattern}"):
            if found := sorted(root.glob(place)):
                return found[0]
    return None


def inside(folder: Path, name: str) -> Path:
    """`folder / name`, absolute. Raises DataError where the name leads out of the folder."""
    base = Path.cwd() / folder
    path = base / name.replace("\\", "/")
    if ".." in PurePosixPath(name.replace("\\", "/")).parts or "\0" in name or not path.is_relative_to(base):
        raise DataError(f"image {name!r} lies outside {folder}; name the folder that holds it with images=")
    return path
