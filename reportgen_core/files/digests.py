"""Compute the sha256 of a file and of a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def sha256_file(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal. Raises OSError."""
    return _digest(path).hex()


def sha256_folder(folder: Path, names: Iterable[str] | None = None) -> str:
    """Return one sha256 for the files of a folder, in hexadecimal. Raises OSError.

    With `names`, the digest depends on the contents of these files in this order; a name without a file is left out.
    Without, it depends on the contents and the names of all files in the folder and below.
    """
    digest = hashlib.sha256()
    if names is None:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            digest.update(path.relative_to(folder).as_posix().encode() + _digest(path))
    else:
        for path in (folder / name for name in names):
            if path.is_file():
                digest.update(_digest(path))
    return digest.hexdigest()


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
