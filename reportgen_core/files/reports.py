"""Reads predictions and references from the files people have, by study id.

ours          JSON lines as `rg report --json` writes them (study, text, alternatives, views), or studies (id, sections)
R2Gen         annotation.json; gts and res as JSON mappings from id to text or a list of texts, in one file or two
ReXrank       a JSON mapping from id to a row with report, section_findings, section_impression, model_prediction
tables        CSV or TSV with a header that names id and text
plain text    one report a line, named by its number; a line-by-line pair of files fits by line number
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..errors import DataError

Role = Literal["prediction", "reference"]

IDS = ("id", "study", "study_id", "uid", "image_id", "example_id", "key")
PREDICTIONS = ("prediction", "model_prediction", "generated", "hypothesis", "res", "text", "report", "caption")
REFERENCES = ("reference", "references", "ground_truth", "target", "gts", "gt", "report", "text", "caption", "findings")
SPLITS = ("train", "val", "validate", "test")


@dataclass(frozen=True, slots=True)
class TextFile:
    """What a file says: texts by id (of predictions n-best, best first), and the images where it names them."""

    texts: Mapping[str, tuple[str, ...]]
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is looked for in a file."""

    path: Path
    role: Role
    sections: tuple[str, ...]
    split: str


def read_text_file(path: Path, role: Role, *, sections: Sequence[str] = (), split: str = "") -> TextFile:
    """The predictions or the references of a file. `sections` picks them where a row keeps them apart.

    Raises DataError for what is not UTF-8 or not understood, and for an id that stands there twice.
    """
    asked = _Asked(path, role, tuple(sections), split)
    texts: dict[str, tuple[str, ...]] = {}
    images: dict[str, tuple[str, ...]] = {}
    places: dict[str, str] = {}
    for place, id, text, views in _entries(asked, _content(path)):
        if id in texts:
            raise DataError(f"{path}: {id} stands there twice ({places[id]} and {place}); each study wants one {role}")
        texts[id], places[id] = text, place
        if views:
            images[id] = views
    if not texts:
        raise DataError(f"{path}: holds no {role}")
    return TextFile(texts, images)


Found = Iterator[tuple[str, str, tuple[str, ...], tuple[str, ...]]]  # place, id, texts, images


def _content(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise DataError(f"{path}: byte {e.start} is not UTF-8; save the file as UTF-8") from e
    except OSError as e:
        raise DataError(f"{path}: {e.strerror}") from e


def _entries(asked: _Asked, content: str) -> Found:
    suffix = asked.path.suffix.lower()
    if suffix == ".json":
        yield from _json(asked, _loads(asked, content, 1))
    elif suffix == ".jsonl":
        lines = ((n, line) for n, line in enumerate(content.split("\n"), 1) if line.strip())
        yield from _rows(asked, ((f"line {n}", _loads(asked, line, n)) for n, line in lines))
    elif suffix in (".csv", ".tsv"):
        yield from _table(asked, content, "\t" if suffix == ".tsv" else ",")
    else:
        yield from _lines(content.split("\n"))


def _lines(lines: Sequence[str]) -> Found:
    if lines and not lines[-1].strip():
        lines = lines[:-1]
    for n, line in enumerate(lines, 1):
        yield f"line {n}", str(n), (line.rstrip("\r"),), ()


def _table(asked: _Asked, content: str, delimiter: str) -> Found:
    rows = list(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter))
    if not rows:
        return
    header = [cell.strip() for cell in rows[0]]
    if len(header) == 1 and header[0] not in (*IDS, *PREDICTIONS, *REFERENCES):  # R2Gen's res.csv has no header
        yield from _lines([row[0] if row else "" for row in rows])
        return
    named = ((f"row {n}", dict(zip(header, row, strict=False))) for n, row in enumerate(rows[1:], 2) if row)
    yield from _rows(asked, named)


def _loads(asked: _Asked, content: str, line: int) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [k for k, _ in pairs]
            twice = next(k for k in keys if keys.count(k) > 1)
            raise DataError(f"{asked.path}: {twice} stands there twice; each study wants one {asked.role}")
        return found

    try:
        return json.loads(content, object_pairs_hook=once)
    except json.JSONDecodeError as e:
        raise DataError(f"{asked.path}: line {line + e.lineno - 1} is no JSON: {e.msg}") from e


def _json(asked: _Asked, value: Any) -> Found:
    if isinstance(value, list):
        yield from _rows(asked, ((f"row {n}", row) for n, row in enumerate(value, 1)))
        return
    if not isinstance(value, dict):
        raise DataError(f"{asked.path}: wants rows, or texts by id, is a {type(value).__name__}")
    for key in ("gts", "res"):
        if set(value) >= {"gts", "res"} and key == ("res" if asked.role == "prediction" else "gts"):
            yield from _json(asked, value[key])
            return
    if value and set(value) <= set(SPLITS):
        chosen = [asked.split] if asked.split else list(value)
        rows = [row for name in chosen for row in value.get(name, [])]
        yield from _rows(asked, ((f"row {n}", row) for n, row in enumerate(rows, 1)))
        return
    for key, row in value.items():
        yield f"key {key}", key, _texts(asked, f"key {key}", row), _images(row)


def _rows(asked: _Asked, rows: Iterable[tuple[str, Any]]) -> Found:
    for place, row in rows:
        if not isinstance(row, Mapping):
            raise DataError(f"{asked.path}: {place} wants fields for id and text, is a {type(row).__name__}")
        if asked.split and row.get("split", asked.split) not in (asked.split, ""):
            continue
        id = next((str(row[k]) for k in IDS if row.get(k) not in (None, "")), None)
        if id is None:
            raise DataError(f"{asked.path}: {place} has none of {', '.join(IDS)}; it has {', '.join(map(str, row))}")
        yield place, id, _texts(asked, place, row), _images(row)


def _texts(asked: _Asked, place: str, row: Any) -> tuple[str, ...]:
    """The texts of one study: a string, a list, COCO captions, or the fields of a row."""
    if isinstance(row, str):
        return (row,)
    if isinstance(row, list):
        return tuple(text for item in row for text in _texts(asked, place, item))
    if not isinstance(row, Mapping):
        raise DataError(f"{asked.path}: {place} wants a text, is a {type(row).__name__}")
    if asked.role == "reference" and (text := _sections(row, asked.sections)) is not None:
        return (text,)
    for name in PREDICTIONS if asked.role == "prediction" else REFERENCES:
        if row.get(name) is not None:
            more = tuple(row.get("alternatives") or ()) if asked.role == "prediction" else ()
            return (*_texts(asked, place, row[name]), *more)
    if isinstance(row.get("sents"), list):
        return (" ".join(map(str, row["sents"])),)
    raise DataError(f"{asked.path}: {place} has no {asked.role}; it has {', '.join(map(str, row)) or 'nothing'}")


def _sections(row: Mapping[str, Any], sections: Sequence[str]) -> str | None:
    """The sections of a row that keeps them apart, joined; None where it does not. Without a wish, the findings."""
    inside = row.get("sections")
    known = inside if isinstance(inside, Mapping) else {k[8:]: v for k, v in row.items() if k.startswith("section_")}
    if not known and sections and all(s in row for s in sections):
        known = row
    if not known:
        return None
    return " ".join(str(known[s]).strip() for s in sections or ("findings",) if known.get(s))


def _images(row: Any) -> tuple[str, ...]:
    if not isinstance(row, Mapping):
        return ()
    named = row.get("views") or row.get("image_path") or row.get("images") or ()
    named = [named] if isinstance(named, str) else named
    return tuple(str(v.get("path", "")) if isinstance(v, Mapping) else str(v) for v in named)
