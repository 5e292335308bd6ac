"""A dataset as commands are asked for it: a name, the place of its files, and options."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reportgen_core import Collection, DataError, OptionError
from reportgen_core.registries import datasets

ROOT_HELP = "Where its files are; a dataset that draws its own is kept in the cache without it."


def read_dataset(name: str, root: Path | None, options: Mapping[str, Any], flag: str = "--data-root") -> Collection:
    """The studies. Only a dataset that makes its own files needs no root, or one that is there."""
    return datasets.create(name, place(name, root, flag), **options).read()


def place(name: str, root: Path | None, flag: str = "--data-root") -> Path:
    """Where the files of a dataset are, or are to be made. Raises OptionError, or DataError where nothing is."""
    makes = datasets.get_class(name).makes_files
    if root is None:
        if not makes:
            raise OptionError(f"--data {name} needs {flag}, the place of its files")
        from reportgen_core.data.images import default_cache

        return default_cache().parent / "datasets" / name
    if not makes and not root.exists():
        raise DataError(f"{flag} {root}: there is no such file or folder; it is where the files of {name} are")
    return root
