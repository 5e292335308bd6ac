"""Find the files of a dataset, and keep image paths inside its folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from reportgen_core import DataError


def first(root: Path, *patterns: str) -> Path | None:
    """Return the first file or folder that matches a pattern, in `root` or one level below; None if none does."""
    for pattern in patterns:
        for place in (pattern, f"*/{pattern}"):
            if paths := sorted(root.glob(place)):
                return paths[0]
    return None


def inside(folder: Path, name: str) -> Path:
    """Return `folder / name` as an absolute path. Raises DataError if the name leads out of the folder."""
    base = Path.cwd() / folder
    path = base / name.replace("\\", "/")
    if ".." in PurePosixPath(name.replace("\\", "/")).parts or "\0" in name or not path.is_relative_to(base):
        raise DataError(f"image {name!r} lies outside {folder}; name the folder that holds it with images=")
    return path
