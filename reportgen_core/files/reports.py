"""Read predictions and references, by study id, from the usual kinds of files.

ours          JSON lines as `rg report --json` writes them (study, text, alternatives, views), or studies (id, sections)
R2Gen         annotation.json; gts and res as JSON mappings from id to text or a list of texts, in one file or two
ReXrank       a JSON mapping from id to a row with report, section_findings, section_impression, model_prediction
COCO          annotations (image_id, id, caption), several an image; results (image_id, caption)
tables        CSV, TSV, JSON lines with columns of ids and of texts
plain text    one report a line; its id is the number of the line

Each may be gzipped. tables.py decides which names of columns are known and which cells hold no text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, Literal

from ..errors import DataError
from .cells import id_value, is_nothing, split_name, text_value
from .tables import (
    CELLS,
    COLUMNS,
    DELIMITERS,
    SUFFIXES,
    TABLES,
    BadRow,
    OnNote,
    cell_rows,
    columns_of,
    fold,
    id_of,
    kind_of,
    named_rows,
    only_rows,
    read_document,
    row_split,
    scan_rows,
    text_rows,
)
from .text_lines import read_text

Role = Literal["prediction", "reference", "text"]  # "text": for a file that has no two sides
NAMED: tuple[str, ...] = ("id", "patient", "prediction", "reference")  # parts whose column a user may name
MAX_SHOWN = 5  # places without text that are named; the rest are counted

Entry = tuple[str, str, tuple[str, ...], tuple[str, ...], Any]  # place, id, texts, images, the row or the text


@dataclass(frozen=True, slots=True)
class TextFile:
    """The texts of a file by id (several for an n-best prediction, the best first), and the images that it names."""

    texts: Mapping[str, tuple[str, ...]]
    images: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    patients: Mapping[str, str] = field(default_factory=dict)  # where a row names one
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # requested columns: values by id
    names: tuple[str, ...] = ()  # the columns of the first row


@dataclass(frozen=True, slots=True)
class _TextQuery:
    """The file, and which of its texts are wanted."""

    path: Path
    role: Role
    sections: tuple[str, ...]
    split: str
    on_note: OnNote | None
    named: Mapping[str, str]  # parts of NAMED: the columns that the user names
    must_have: bool  # whether the named column of the texts must be there

    def error(self, place: str, why: str) -> DataError:
        return DataError(f"{self.path}: {place}: {why}")


def read_text_file(
    path: Path,
    role: Role,
    *,
    sections: Sequence[str] = (),
    split: str = "",
    columns: Mapping[str, Sequence[str]] | None = None,
    named: Mapping[str, str] | None = None,
    must_have: bool = True,
    on_note: OnNote | None = None,
) -> TextFile:
    """Return the predictions or the references of a file. `sections` are joined if a row has them apart.

    `columns` maps a name to the folded names of further columns; the first of them that has a value counts. `named`
    maps a part of NAMED to its column. A file without it is read by the usual names, but with `must_have` the column
    of the texts must be there.
    A null, NaN or "" is an empty text; `on_note` is called with their number and their places. Raises DataError, with
    the line, for what cannot be read, and for an id that occurs twice.
    """
    query = _TextQuery(path, role, tuple(sections), split, on_note, named or {}, must_have)
    texts: dict[str, tuple[str, ...]] = {}
    images: dict[str, tuple[str, ...]] = {}
    places: dict[str, str] = {}
    patients: dict[str, str] = {}
    values: dict[str, dict[str, Any]] = {}
    names: tuple[str, ...] = ()
    for place, id, text, views, row in _entries(query):
        if id in texts:
            raise DataError(
                f"{path}: id {id!r} occurs twice ({places[id]} and {place}); give one {role} for each study"
            )
        texts[id], places[id] = text, place
        if views:
            images[id] = views
        if isinstance(row, dict):
            names = names or tuple(str(name) for name in row if not isinstance(name, _Renamed))
            _add_values(query, (place, id, row), columns or {}, patients, values)
    if not texts:
        raise DataError(f"{path}: holds no {role}")
    if on_note and (empty := [place for id, place in places.items() if not any(texts[id])]):
        more = ", …" if len(empty) > MAX_SHOWN else ""
        on_note(f"{path}: {len(empty)} of {len(texts)} have no text ({', '.join(empty[:MAX_SHOWN])}{more})")
    return TextFile(texts, images, patients, values, names)


def _add_values(
    query: _TextQuery,
    entry: tuple[str, str, Mapping[str, Any]],
    columns: Mapping[str, Sequence[str]],
    patients: dict[str, str],
    values: dict[str, dict[str, Any]],
) -> None:
    """Add the patient and the requested columns of one row. A saved study has columns of its own inside `extra`."""
    place, id, row = entry
    try:
        patient = next((p for name in columns_of("patient", row) if (p := id_value(row[name])) is not None), None)
    except DataError as e:
        raise query.error(place, f"the patient {e}") from e
    if patient is not None:
        patients[id] = patient
    if not columns:
        return
    inside = row.get("extra")
    cells = {fold(str(k)): v for part in (inside if isinstance(inside, dict) else {}, row) for k, v in part.items()}
    for column, names in columns.items():
        value = next((cells[name] for name in names if name in cells and not is_nothing(cells[name])), None)
        if value is not None:
            values.setdefault(column, {})[id] = value


def read_texts(path: Path, *, lines: bool = False, on_note: OnNote | None = None) -> dict[str, str]:
    """Return one text for each id, in the file's order. A text file is one report, or with `lines` one report a line.

    Raises DataError as `read_text_file` does.
    """
    if kind_of(path, SUFFIXES.values()) == "txt" and not lines:
        return {PurePath(path.name.removesuffix(".gz")).stem: read_text(path)}
    return {id: texts[0] for id, texts in read_text_file(path, "text", on_note=on_note).texts.items()}


def iter_texts(path: Path, on_note: OnNote | None = None) -> Iterator[tuple[str, str] | BadRow]:
    """Yield (id, text) of each row of a table, or of each line of a text file, in order; for tables of any size.

    Texts and ids are those of `read_texts`, but a row that cannot be read is a BadRow, and an id may occur twice.
    Raises DataError for the table as a whole.
    """
    query = _TextQuery(path, "text", (), "", on_note, {}, True)
    if kind_of(path, (*TABLES, "txt")) == "txt":
        empty = 0  # lines that wait for one with text: an empty last line is none
        for number, line in text_rows(path):
            if not line.strip():
                empty += 1
                continue
            yield from ((str(n), "") for n in range(number - empty, number))
            empty = 0
            yield str(number), line
        yield from ((str(n), "") for n in range(number - empty + 1, number) if empty)
        return
    for row in scan_rows(path, on_note=on_note):
        if isinstance(row, BadRow):
            yield row
            continue
        place = f"line {row.line}"
        try:
            _, id, texts, _, _ = next(_rows(query, [(place, row.cells)]))
        except DataError as e:
            yield BadRow(row.line, str(e).removeprefix(f"{path}: {place}: "))
        else:
            yield id, texts[0]


def _entries(query: _TextQuery) -> Iterator[Entry]:
    path = query.path
    kind = kind_of(path, SUFFIXES.values())
    if kind == "json":
        yield from _json(query, read_document(path))
    elif kind == "txt":
        yield from _numbered(list(text_rows(path)))
    elif kind in CELLS:
        yield from _cells(query, cell_rows(path, query.on_note))
    else:
        yield from _rows(query, only_rows(path, scan_rows(path)))


def _numbered(lines: list[tuple[int, str]]) -> Iterator[Entry]:
    if lines and not lines[-1][1].strip():
        lines = lines[:-1]
    for n, line in lines:
        yield f"line {n}", str(n), (line,), (), line


def _cells(query: _TextQuery, rows: Iterator[tuple[int, list[str]] | BadRow]) -> Iterator[Entry]:
    """Yield the entries of a table. One column without a usual name has no header, as in R2Gen's res.csv."""
    first = next(rows, None)
    if first is None:
        return
    rows = chain([first], rows)
    if (
        isinstance(first, BadRow)
        or len(first[1]) != 1
        or columns_of("id", first[1])
        or _names(query.role, tuple(first[1]))
    ):
        yield from _rows(query, only_rows(query.path, named_rows(query.path, rows)))
        return
    texts: list[tuple[int, str]] = []
    for n, row in enumerate(rows, 1):
        if isinstance(row, BadRow) or len(row[1]) > 1:
            why = row.why if isinstance(row, BadRow) else f"{len(row[1])} cells, the first row has 1"
            raise query.error(f"line {row.line if isinstance(row, BadRow) else row[0]}", why)
        texts.append((n, row[1][0] if row[1] else ""))
    yield from _numbered(texts)


def _json(query: _TextQuery, value: Any) -> Iterator[Entry]:
    if isinstance(value, list):
        yield from _rows(query, _listed(value))
        return
    if not isinstance(value, dict):
        raise DataError(f"{query.path}: wants rows, or texts by id, is a {type(value).__name__}")
    if set(value) >= {"gts", "res"}:
        yield from _json(query, value["gts" if query.role == "reference" else "res"])
    elif isinstance(value.get("annotations"), list):  # COCO's, with images, info and licenses next to them
        yield from _rows(query, _listed(value["annotations"]))
    elif value and all(split_name(k) in ("train", "val", "test") and isinstance(v, list) for k, v in value.items()):
        chosen = [v for k, v in value.items() if query.split in ("", k, split_name(k))]
        yield from _rows(query, _listed(row for rows in chosen for row in rows))
    else:
        for key, row in value.items():
            place = f"key {key}"
            if (id := id_value(key)) is None:
                raise query.error(place, "an empty key is no id")
            yield place, id, _texts(query, place, row), _images(row), row


def _listed(rows: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    return ((f"row {n}", row) for n, row in enumerate(rows, 1))


def _rows(query: _TextQuery, rows: Iterable[tuple[str, Any]]) -> Iterator[Entry]:
    """Yield one entry for each row; for references of COCO one for each image, with all its captions."""
    captions: dict[str, Entry] = {}
    for place, row in rows:
        if not isinstance(row, dict):
            raise query.error(place, f"wants fields for id and text, is a {type(row).__name__}")
        if query.split and row_split(row) not in ("", split_name(query.split)):
            continue
        row = _renamed(query, place, row)
        id = _id(query, place, row)
        entry = place, id, _texts(query, place, row), _images(row), row
        if query.role != "reference" or not row.keys() >= {"image_id", "caption"}:
            yield entry
        elif id in captions:
            captions[id] = (*captions[id][:2], (*captions[id][2], *entry[2]), *captions[id][3:])
        else:
            captions[id] = entry
    yield from captions.values()


class _Renamed(str):
    """The usual name of a column that has another name in the file."""


def _renamed(query: _TextQuery, place: str, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row in which each column that the user names has its usual name as well, and no other column has it."""
    for part, column in query.named.items() if query.named else ():
        if part in NAMED[2:] and part != query.role:
            continue
        key = next((name for name in row if fold(str(name)) == fold(column)), None)
        if key is None:
            if part == query.role and query.must_have:
                raise query.error(place, f"no column {column!r}; it has {', '.join(map(str, row)) or 'nothing'}")
            continue
        others = {*columns_of(part, tuple(map(str, row)))} - {key}
        row = {**{k: v for k, v in row.items() if k not in others}, _Renamed(part): row[key]}
    return row


def _id(query: _TextQuery, place: str, row: Mapping[str, Any]) -> str:
    try:
        id = id_of(row)
    except DataError as e:
        raise query.error(place, f"the id {e}") from e
    if id is not None:
        return id
    names = columns_of("id", row)
    if names:
        raise query.error(place, f"no id in {', '.join(names)}; it has {', '.join(map(str, row)) or 'nothing'}")
    raise query.error(place, _no_column(query, row, "id", COLUMNS["id"]))


def _no_column(query: _TextQuery, row: Mapping[str, Any], part: str, usual: Sequence[str]) -> str:
    """Return a line on a part that no column has: the columns, what separates them, the usual names, and the option."""
    known = {name for names in COLUMNS.values() for name in names}
    unused = next((str(name) for name in row if fold(str(name)) not in known), "NAME")
    sign = _separator(query.path)
    cells = f" ({sign} separates the cells)" if sign else ""
    hint = f"; rg eval --column {part}={unused} names another" if query.role in NAMED and part in NAMED else ""
    return (
        f"no {'column of ids' if part == 'id' else part}; the columns are {', '.join(map(str, row)) or 'none'}{cells}; "
        f"usual names are {', '.join(dict.fromkeys(usual))}{hint}"
    )


def _separator(path: Path) -> str:
    """Return what separates the cells of a CSV or TSV, in words; "" for a file of another kind."""
    kind = kind_of(path, SUFFIXES.values())
    if kind not in ("csv", "tsv"):
        return ""
    notes: list[str] = []
    next(cell_rows(path, notes.append), None)
    usual = "a tab" if kind == "tsv" else "a comma"
    return next((sign for note in notes for sign in DELIMITERS.values() if f"that {sign} separates" in note), usual)


@lru_cache(1024)
def _names(role: Role, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that may hold the texts of a role, the most usual first.

    If predictions have a column of their own, no other column is used, even if its cell is empty.
    """
    general = (*columns_of("text", columns), *columns_of("findings", columns))
    if role == "reference":
        return (*columns_of("reference", columns), *general)
    return columns_of("prediction", columns) or tuple(sorted(general, key=lambda name: fold(name) != "text"))


def _texts(query: _TextQuery, place: str, row: Any) -> tuple[str, ...]:
    """Return the texts of one study, from a string, a list, COCO captions or a row; ("",) if there is none."""
    if isinstance(row, list):
        texts = tuple(t for item in row for t in _texts(query, place, item) if t or query.role != "reference")
        return texts or ("",)
    if not isinstance(row, dict):
        try:
            return (text_value(row) or "",)
        except DataError as e:
            raise query.error(place, str(e)) from e
    named = query.role in query.named and any(isinstance(name, _Renamed) and name == query.role for name in row)
    if query.role == "reference" and not named and (sections := _sections(query, place, row)) is not None:
        return (sections,)
    names = _names(query.role, tuple(row))
    texts = next((texts for name in names if any(texts := _texts(query, place, row[name]))), ("",))
    if names:
        more = row.get("alternatives") if query.role == "prediction" else None
        return (*texts, *(t for t in _texts(query, place, more) if t)) if more else texts
    if isinstance(row.get("sents"), list):
        return (" ".join(t for t in _texts(query, place, row["sents"]) if t),)
    usual = [name for part in (query.role, "text") for name in COLUMNS[part]]
    raise query.error(place, _no_column(query, row, query.role, usual))


def _sections(query: _TextQuery, place: str, row: Mapping[str, Any]) -> str | None:
    """Return the sections of a row, joined; None if the row has no sections. By default that is the findings."""
    low = {fold(str(name)): value for name, value in row.items()}
    inside = low.get("sections")
    if isinstance(inside, dict):
        known = {fold(str(name)): value for name, value in inside.items()}
    else:
        known = {name[7:]: value for name, value in low.items() if name.startswith("section") and len(name) > 8}
    if not known and query.sections and all(fold(s) in low for s in query.sections):
        known = low
    if not known:
        return None
    texts = (_texts(query, place, known.get(fold(s)))[0] for s in query.sections or ("findings",))
    return " ".join(text.strip() for text in texts if text)


def _images(row: Any) -> tuple[str, ...]:
    if not isinstance(row, dict):
        return ()
    named = row.get("views") or row.get("image_path") or row.get("images") or ()
    named = named if isinstance(named, list) else [named]
    paths = (v.get("path") if isinstance(v, dict) else v for v in named)
    return tuple(str(path) for path in paths if path)
