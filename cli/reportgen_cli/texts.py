"""Reads texts by id from the files people have: JSON, JSON lines, CSV, TSV, or plain text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reportgen_core import DataError

IDS = ("id", "study", "study_id", "uid", "image_id", "example_id")
TEXTS = ("text", "prediction", "model_prediction", "report", "generated", "hypothesis", "findings", "Reports")


def read_texts(path: Path, *, lines: bool = False) -> dict[str, str]:
    """Texts by id, in the file's order. Plain text is one report, or with `lines` one a line, named by its number.

    Raises DataError for a file that is not UTF-8, is no table of texts, or names an id twice.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as e:
        raise DataError(f"{path}: byte {e.start} is not UTF-8; save the file as UTF-8") from e
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}") from e
    return _unique(path, _pairs(path, content, lines))


def _pairs(path: Path, content: str, lines: bool) -> Iterator[tuple[str, str]]:
    suffix = path.suffix.lower()
    if suffix == ".json":
        yield from _json(path, _loads(path, content, 1))
    elif suffix == ".jsonl":
        rows = ((n, line) for n, line in enumerate(content.splitlines(), 1) if line.strip())
        yield from _rows(path, ((n, _loads(path, line, n)) for n, line in rows))
    elif suffix in (".csv", ".tsv"):
        table = csv.DictReader(io.StringIO(content), delimiter="\t" if suffix == ".tsv" else ",", restkey="")
        yield from _rows(path, enumerate(table, 2))
    elif lines:
        yield from ((str(n), line) for n, line in enumerate(content.splitlines(), 1))
    else:
        yield path.stem, content


def _loads(path: Path, content: str, line: int) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as e:
        raise DataError(f"{path}: line {line + e.lineno - 1} is no JSON: {e.msg}") from e


def _json(path: Path, value: Any) -> Iterator[tuple[str, str]]:
    """A list of rows, or a mapping from ids to texts or to rows."""
    if isinstance(value, list):
        yield from _rows(path, enumerate(value, 1))
    elif isinstance(value, dict):
        for n, (key, row) in enumerate(value.items(), 1):
            yield (key, row) if isinstance(row, str) else (key, _field(path, n, row, TEXTS))
    else:
        raise DataError(f"{path}: wants a list of rows or a mapping from ids to texts, is a {type(value).__name__}")


def _rows(path: Path, rows: Iterable[tuple[int, Any]]) -> Iterator[tuple[str, str]]:
    for n, row in rows:
        yield _field(path, n, row, IDS), _field(path, n, row, TEXTS)


def _field(path: Path, n: int, row: Any, names: tuple[str, ...]) -> str:
    if not isinstance(row, Mapping):
        raise DataError(f"{path}: row {n} wants the fields id and text, is a {type(row).__name__}")
    for name in names:
        if row.get(name) is not None:
            return str(row[name])
    raise DataError(f"{path}: row {n} has none of {', '.join(names)}; it has {', '.join(map(str, row)) or 'nothing'}")


def _unique(path: Path, pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, text in pairs:
        if key in texts:
            raise DataError(f"{path}: {key} stands there twice; each study wants one text")
        texts[key] = text
    if not texts:
        raise DataError(f"{path}: holds no text")
    return texts
