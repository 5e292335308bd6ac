"""Read studies from the data of a program: tables of pandas, datasets of torch, pairs of image and text, files.

Every source becomes rows of a table and is read by the dataset `table`, so that the same names of columns, the same
checks and the same audit hold as for a file.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reportgen_cli.dataset_input import dataset_root

from reportgen_core import Collection, DataError, Study, datasets
from reportgen_core.errors import quoted
from reportgen_core.files.tables import columns_of
from reportgen_core.types import Audit

TAKEN = (
    "a pandas table, a torch Dataset, a list of pairs (image, text), a list of Study, the path of a table, or the name "
    "of a dataset"
)


def studies(source: Any, *, root: str | Path | None = None, split: str = "", **options: Any) -> Collection:
    """Return the studies of a source, with an audit of what was left out.

    `source` is a pandas table (columns image and report, or as `image=` and `text=` name them), a torch Dataset or a
    list whose items are (image, text), dicts or `Study`, the path of a CSV, TSV, JSON lines or Excel table, or the name
    of a dataset, whose files are in `root`. An image is a path, relative to `root` or to the current folder, a PIL
    image, an array or a tensor. `split` gives every study this split; the options `val=0.1, test=0.1` draw splits by
    patient. Other `options` are those of the dataset: `rg info table` lists them. Raises DataError, OptionError.

    Example: reportgen.studies([("a.png", "The heart is normal.")], split="train")
    """
    if isinstance(source, Collection):
        return _in_split(source, split)
    if isinstance(source, str | Path):
        return _in_split(_read(source, root, options), split)
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        rows = [{str(k): plain(v) for k, v in row.items()} for row in source.to_dict("records")]
        return _in_split(_from_rows(rows, f"a {type(source).__name__} of {len(rows)} rows", root, options), split)
    items = list(_items(source))
    if items and all(isinstance(item, Study) for item in items):
        images = sum(len(s.views) for s in items)
        return _in_split(Collection(tuple(items), Audit("studies", len(items), images)), split)
    rows = [_row(item, number) for number, item in enumerate(items, 1)]
    return _in_split(_from_rows(rows, f"a {type(source).__name__} of {len(rows)} items", root, options), split)


def _in_split(collection: Collection, split: str) -> Collection:
    if not split:
        return collection
    return replace(collection, studies=tuple(replace(s, split=split) for s in collection.studies))


def _read(source: str | Path, root: str | Path | None, options: Mapping[str, Any]) -> Collection:
    """Read a table or folder on the disk, or a dataset by its name."""
    path = Path(source)
    if path.exists() and not (isinstance(source, str) and source in datasets):
        return datasets.create("table", path, **options).read()
    if isinstance(source, Path) or path.suffix:
        raise DataError(f"{source}: there is no such file or folder")
    name = datasets.find(source)
    return datasets.create(name, dataset_root(name, None if root is None else Path(root), "root="), **options).read()


def _items(source: Any) -> Iterator[Any]:
    """Yield the items of a list or of a dataset, which may have a length and numbers instead of an iterator."""
    if isinstance(source, Iterable) and not isinstance(source, Mapping | bytes):
        yield from source
    elif hasattr(source, "__len__") and hasattr(source, "__getitem__") and not isinstance(source, Mapping | bytes):
        yield from (source[i] for i in range(len(source)))
    else:
        given = "None" if source is None else f"a {type(source).__name__}"
        raise DataError(f"studies are read from {TAKEN}; got {given}")


def _row(item: Any, number: int) -> dict[str, Any]:
    """Return an item of a list or dataset as a row of a table. Raises DataError for an item of another kind."""
    if isinstance(item, Study):
        raise DataError(f"item {number} is a Study, and others are not; give only studies, or none")
    if isinstance(item, Mapping):
        return {str(k): plain(v) for k, v in item.items()}
    if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[1], str | Mapping):
        sections = {"findings": item[1]} if isinstance(item[1], str) else dict(item[1])
        stem = Path(item[0]).stem if isinstance(item[0], str | Path) else ""
        return {"id": f"{number}-{stem}".rstrip("-"), "image": item[0], **sections}
    text = f"a {type(item).__name__}" if not isinstance(item, str) else f"the text {quoted(item)}"
    if isinstance(item, tuple | list):
        text = f"({', '.join(type(v).__name__ for v in item)})"
    raise DataError(f"item {number} is {text}; studies are read from {TAKEN}")


def plain(value: Any) -> Any:
    """Return a cell as a plain value: a missing one of pandas as None, a number of numpy as Python's."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return value.item()
    return value


def _from_rows(
    rows: Sequence[dict[str, Any]], source: str, root: str | Path | None, options: Mapping[str, Any]
) -> Collection:
    """Read rows by the dataset `table`, through a temporary file. Images in memory are kept in the cache."""
    folder = Path(root or ".").absolute()
    names = list(dict.fromkeys(name for row in rows for name in row))
    named = str(options.get("image", ""))
    columns = [named] if named else list(columns_of("image", names))
    separator = str(options.get("separator", "|"))
    kept = 0
    with tempfile.TemporaryDirectory(prefix="reportgen-") as temporary:
        table = Path(temporary, "rows.jsonl")
        with table.open("w", encoding="utf-8") as file:
            for number, row in enumerate(rows, 1):
                cells = dict(row)
                for column in columns:
                    cells[column], memory = _image_cell(cells.get(column), folder, separator, f"row {number}")
                    kept += memory
                file.write(json.dumps(cells, ensure_ascii=False, default=_jsonable) + "\n")
        chosen = {"images": folder.anchor, **options}
        collection = datasets.create("table", table, **chosen).read()
    notes = [note.replace(str(table), source) for note in collection.audit.notes]
    if kept:
        notes.append(f"{kept} images in memory are kept as files in {_store()}")
    return replace(collection, audit=replace(collection.audit, source=source, notes=tuple(notes)))


def _image_cell(value: Any, folder: Path, separator: str, place: str) -> tuple[Any, int]:
    """Return a cell of images as absolute paths, and how many of them were in memory."""
    if value is None or (isinstance(value, str) and not value):
        return value, 0
    if isinstance(value, str):
        return [str(folder / part.strip()) for part in value.split(separator) if part.strip()], 0
    if isinstance(value, Path):
        return [str(folder / value)], 0
    if isinstance(value, list | tuple):
        cells = [_image_cell(one, folder, separator, place) for one in value]
        return [path for paths, _ in cells for path in paths or ()], sum(memory for _, memory in cells)
    if isinstance(value, int | float):  # a number of COCO, which is no image
        return value, 0
    return [str(_stored(value, place))], 1


def _stored(image: Any, place: str) -> Path:
    """Keep an image in memory as a PNG file in the cache, under the digest of its pixels. Raises ImageError."""
    from reportgen_core.data.given.images import as_picture
    from reportgen_core.files.atomic import atomic_file

    picture = as_picture(image, place)
    digest = hashlib.sha256(repr((picture.mode, picture.size)).encode() + picture.tobytes()).hexdigest()
    path = _store() / f"{digest[:32]}.png"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path, "wb") as file:
            picture.save(file, "PNG")
    return path


def _store() -> Path:
    """Return the folder of the images that programs gave in memory."""
    from reportgen_core.data.images import default_cache

    return default_cache().parent / "given"


def _jsonable(value: Any) -> Any:
    """Return a value that JSON does not know as one that it knows. Raises DataError."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, set | frozenset):
        return sorted(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise DataError(f"a cell is a {type(value).__name__}, which no table holds: {quoted(value)}")
