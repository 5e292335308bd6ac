"""Read the dataset that a command line names: its name, the folder of its files, and its options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reportgen_core import Collection, DataError, OptionError, Study
from reportgen_core.registries import datasets

from .options import meant_part

ROOT_HELP = "Where its files are; a dataset that draws its own is kept in the cache without it."


def read_dataset(
    name: str,
    root: Path | None,
    options: Mapping[str, Any],
    flag: str = "--data-root",
    *,
    columns: Sequence[str] = (),
) -> Collection:
    """Return the studies of a dataset, with `columns` of its table if it can add columns to its studies.

    The path of a table in place of a name is read by the dataset `table`. Raises OptionError and DataError as
    `dataset_root` does.
    """
    name, root = meant_dataset(name, root)
    extra = {"columns": list(columns)} if columns and "columns" in datasets.options(name) else {}
    return datasets.create(name, dataset_root(name, root, flag), **{**extra, **options}).read()


def meant_dataset(name: str, root: Path | None) -> tuple[str, Path | None]:
    """Return the registered name of a dataset and its root; a table or folder that is named itself is its root."""
    if name not in datasets and root is None and Path(name).exists():
        return "table", Path(name)
    return meant_part("datasets", name), root


def dataset_root(name: str, root: Path | None, flag: str = "--data-root") -> Path:
    """Return the folder where the files of a dataset are, or where the dataset will make them.

    Raises OptionError if no root was given and the dataset does not make its own files, and DataError if the root is
    missing.
    """
    makes_files = datasets.get_class(name).makes_files
    if root is None:
        if not makes_files:
            raise OptionError(f"--data {name} needs {flag}, the place of its files")
        from reportgen_core.data.images import default_cache

        return default_cache().parent / "datasets" / name
    if not makes_files and not root.exists():
        raise DataError(f"{flag} {root}: there is no such file or folder; it is where the files of {name} are")
    return root


def studies_of_split(collection: Collection, split: str, data: str) -> tuple[Study, ...]:
    """Return the studies of a split of a dataset. Raises DataError, which says what would work, if there are none."""
    if studies := collection.split(split):
        return studies
    splits = sorted({study.split for study in collection.studies})
    lack = f"{data} has no studies in split {split!r}"
    if not splits:
        raise DataError(f"{lack}, and no studies at all; rg data audit says what was left out")
    if splits == [""]:
        options = set(datasets.options(data)) if data in datasets else set()
        draw = "; --data-option val=0.1 --data-option test=0.2 draws them by patient" if "val" in options else ""
        raise DataError(f"{lack}: its {len(collection.studies)} studies have no split{draw}")
    raise DataError(
        f"{lack}; there are: {', '.join(map(repr, splits))} (--train-split, --val-split; rg data audit says what was "
        "left out)"
    )
