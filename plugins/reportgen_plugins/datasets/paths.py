"""Tables on disk: CSV, TSV and JSON lines, gzipped or not, read row by row."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from reportgen_core import DataError
from reportgen_core.registry import nearest

MAX_FIELD = 16 * 2**20  # characters of one field or line: a report is far below
MAX_JSON = 2 * 2**30  # bytes of a file that is read whole


def open_text(path: Path) -> IO[str]:
    """Text of a file, unzipped where its name ends in .gz."""
    if path.suffix == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8-sig", newline=""))  # what the stubs do not say
    return path.open(encoding="utf-8-sig", newline="")


def csv_rows(path: Path, needs: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """The rows of a CSV or TSV with a header; empty cells are "". Raises DataError where a needed column is missing."""
    before = csv.field_size_limit(MAX_FIELD)  # one for the whole process: it is given back
    try:
        with open_text(path) as file:
            reader = csv.DictReader(file, delimiter="\t" if ".tsv" in path.name.lower() else ",", restval="")
            check_columns(path, reader.fieldnames or (), needs)
            for row in reader:
                row.pop(None, None)  # cells beyond the header
                yield row
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as e:
        raise DataError(f"{path} cannot be read as a table: {e}") from e
    finally:
        csv.field_size_limit(before)


def json_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file."""
    try:
        with open_text(path) as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_FIELD), ""), 1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise DataError(f"{path} line {number} is no JSON object, which a row must be")
                    yield row
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as e:
        raise DataError(f"{path} cannot be read as JSON lines: {e}") from e


def read_json(path: Path) -> Any:
    """A whole JSON file."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise DataError(f"{path} has {path.stat().st_size} bytes; at most {MAX_JSON} are read")
        with open_text(path) as file:
            return json.load(file)
    except (OSError, EOFError, zlib.error, ValueError, RecursionError) as e:
        raise DataError(f"{path} cannot be read as JSON: {e}") from e


def check_columns(path: Path, there: Sequence[str], needs: Sequence[str]) -> None:
    for column in needs:
        if column not in there:
            raise DataError(f"{path} has no column {column!r}; {nearest(column, there)}")


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
