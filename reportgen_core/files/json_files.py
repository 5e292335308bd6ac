"""Read JSON files of bounded size, and write JSON files whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, ReportgenError, quoted
from .atomic import atomic_write

MAX_JSON = 64 * 2**20  # bytes; read no further into a file that claims more


def write_json(path: Path, value: object, *, sort: bool = True) -> None:
    """Write a value as JSON: the same value gives the same bytes. Raises OSError.

    `sort` puts the keys in the order of the alphabet; without it, their own order is kept.
    """
    atomic_write(path, (json.dumps(value, indent=1, sort_keys=sort, ensure_ascii=False) + "\n").encode())


def read_json(path: Path, error: type[ReportgenError] = CheckpointError, limit: int = MAX_JSON, hint: str = "") -> Any:
    """Return the value of a JSON file in UTF-8.

    Raises `error`, which names the file and ends with `hint`, if the file cannot be read, has more than `limit` bytes,
    or is no JSON. An object with the same key twice is no JSON here: readers differ in the value that they take.
    """
    raw = read_bounded(path, error, limit, hint)
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=unique_keys)
    except UnicodeDecodeError as e:
        raise error(f"{path}: byte {e.start} is not UTF-8{_after(hint)}") from e
    except (ValueError, RecursionError) as e:
        raise error(f"{path} is no JSON: {e}{_after(hint)}") from e


def is_format(value: object, number: int) -> bool:
    """Return whether the value of a key `format` is this number. true and 1.0 are not 1."""
    return type(value) is int and value == number


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of these pairs, for the `object_pairs_hook` of json. Raises ValueError for a doubled key."""
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {quoted(next(key for key in keys if keys.count(key) > 1))} occurs twice")
    return value


def read_bounded(
    path: Path, error: type[ReportgenError] = CheckpointError, limit: int = MAX_JSON, hint: str = ""
) -> bytes:
    """Return the bytes of a file. Raises `error` as `read_json` does."""
    try:
        size = path.stat().st_size
        if size > limit:
            raise error(f"{path} has {size} bytes; {limit} are read at most{_after(hint)}")
        with path.open("rb") as file:
            return file.read(limit)
    except OSError as e:
        raise error(f"cannot read {path}: {e.strerror}{_after(hint)}") from e


def _after(hint: str) -> str:
    return f"; {hint}" if hint else ""
