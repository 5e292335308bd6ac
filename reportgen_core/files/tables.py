"""Read tables: CSV, TSV, Excel and JSON lines row by row, whole JSON files, each of any size, gzipped or not.

All commands and datasets read tables through this file. It decides which suffixes are known, how cells are separated,
which names columns have, and which cells hold no text. docs/reference/tables.md states the rules. A row that cannot
be read is a `BadRow`; `table_rows` raises DataError for the first one. It needs no torch.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, Literal

from ..errors import DataError
from ..registry import did_you_mean
from .cells import id_value, split_name, text_value, unguard_cell
from .spreadsheets import sheet_rows
from .text_lines import MAX_LINE, Lines, open_text, read_text

Kind = Literal["csv", "tsv", "xlsx", "jsonl", "json", "txt"]
SUFFIXES: Mapping[str, Kind] = {
    ".csv": "csv", ".tsv": "tsv", ".xlsx": "xlsx", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".txt": "txt",
}  # fmt: skip
CELLS: tuple[Kind, ...] = ("csv", "tsv", "xlsx")
LINES: tuple[Kind, ...] = ("jsonl",)
TABLES: tuple[Kind, ...] = ("csv", "tsv", "xlsx", "jsonl")
AT_ONCE = 64  # rows that are read together
MAX_DEPTH = 900  # brackets of JSON: Python's own limit is near
DELIMITERS: Mapping[str, str] = {",": "a comma", ";": "a semicolon", "\t": "a tab"}
_TOKEN = re.compile(r'("(?:[^"\\]|\\.)*")\s*(:)?|[\[{]|[\]}]')
_SEP = re.compile('"?sep=([,;\t])"?', re.IGNORECASE)

COLUMNS: Mapping[str, tuple[str, ...]] = {  # as `fold` writes them; the first that a table has is used
    "id": ("id", "study", "studyid", "uid", "exampleid", "key", "imageid", "imageindex"),
    "image": ("image", "images", "imagepath", "path", "filename", "file", "img", "imageindex", "imageid"),
    "patient": ("patient", "patientid", "subjectid", "subject"),
    "split": ("split", "set", "subset"),
    "text": ("report", "text", "reports", "caption", "sentence", "clinicalnotes", "notes"),
    "prediction": ("prediction", "modelprediction", "generated", "hypothesis", "res"),
    "reference": ("reference", "references", "groundtruth", "target", "gts", "gt"),
    "findings": ("findings",),
    "tags": ("tags", "keywords"),
    "labels": ("labels", "finding", "findinglabels", "label"),
    "state": ("state",),
    "dataset": ("dataset", "source"),
    "view": ("view", "projection", "viewposition"),
    "boxes": ("boxes", "bbox"),
    "size": ("origsize", "size"),
    "age": ("age", "patientage", "ageyears", "ageatstudy"),
    "sex": ("sex", "gender", "patientsex", "patientgender"),
    "prior_images": ("priorimage", "priorimages", "priorimagepath", "priorpath", "priorfile"),
    "prior_report": ("priorreport", "priortext", "priorfindings"),
}
Row = dict[str, Any]
OnNote = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row, with the line of the file on which it begins."""

    line: int
    cells: Row


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that could not be read, with the line on which it begins."""

    line: int
    why: str


def kind_of(path: Path, kinds: Collection[Kind] = TABLES) -> Kind:
    """Return the kind of a file by its suffix, before .gz. Raises DataError, with the known suffixes, for any other."""
    suffix = PurePath(path.name.lower().removesuffix(".gz")).suffix
    kind = SUFFIXES.get(suffix)
    if kind is None or kind not in kinds:
        known = ", ".join(name for name, kind in SUFFIXES.items() if kind in kinds)
        hint = "; save the Excel file as .xlsx or .csv" if suffix in (".xls", ".xlsb", ".ods") else ""
        raise DataError(f"{path}: a suffix {suffix!r} is not read here; known are {known}, each also with .gz{hint}")
    return kind


def scan_rows(
    path: Path, *, kinds: Collection[Kind] = TABLES, needs: Sequence[str] = (), on_note: OnNote | None = None
) -> Iterator[TableRow | BadRow]:
    """Yield the rows of a table in order. A text file has a row {"id", "text"} for each line that is not empty.

    A CSV must have the columns `needs`, which rows then spell in this way. `on_note` is called with each guess
    about the file. Raises DataError for the table as a whole: no such file, an unknown suffix, no header.
    """
    kind = kind_of(path, kinds)
    if kind == "jsonl":
        yield from _json_rows(path)
    elif kind == "txt":
        for line, text in text_rows(path):
            if text.strip():
                yield TableRow(line, {"id": str(line), "text": text.strip()})
    else:
        yield from named_rows(path, cell_rows(path, on_note), needs)


def table_rows(
    path: Path, *, kinds: Collection[Kind] = TABLES, needs: Sequence[str] = (), on_note: OnNote | None = None
) -> Iterator[tuple[str, Row]]:
    """Yield (place, row) as `scan_rows` does; the place is "line 7". Raises DataError naming the first bad row."""
    yield from only_rows(path, scan_rows(path, kinds=kinds, needs=needs, on_note=on_note))


def only_rows(path: Path, rows: Iterator[TableRow | BadRow]) -> Iterator[tuple[str, Row]]:
    """Yield (place, row) of rows that can all be read. Raises DataError naming the first that cannot."""
    for row in rows:
        if isinstance(row, BadRow):
            more = sum(isinstance(other, BadRow) for other in rows)
            raise DataError(f"{path}: line {row.line}: {row.why}" + (f"; and {more} more rows" if more else ""))
        yield f"line {row.line}", row.cells


def csv_rows(path: Path, needs: Sequence[str] = (), on_note: OnNote | None = None) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV or TSV that must have the columns `needs`. Raises DataError."""
    for _, row in table_rows(path, kinds=CELLS, needs=needs, on_note=on_note):
        yield row


def text_rows(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number, line) of every line of a text file, without its end. Raises DataError for what is no text."""
    with open_text(path, "\n") as file:
        lines = Lines(file)
        for line in lines:
            number, why = lines.take_problem()
            if why:
                raise DataError(f"{path}: line {number}: {why}")
            yield lines.number, line.rstrip("\r\n")


def cell_rows(path: Path, on_note: OnNote | None = None) -> Iterator[tuple[int, list[str]] | BadRow]:
    """Yield (line, cells) of every row of a CSV, TSV or Excel table, the header among them."""
    kind = kind_of(path, CELLS)
    if kind == "xlsx":
        yield from sheet_rows(path, on_note)
        return
    usual = "\t" if kind == "tsv" else ","
    with open_text(path) as file:
        lines = Lines(file)
        texts = iter(lines)
        first = next((line for line in texts if line.strip()), "")
        if separator := _SEP.fullmatch(first.strip()):  # Excel's own first line
            first = next((line for line in texts if line.strip()), "")
        delimiter = separator[1] if separator else _delimiter(first, usual)
        if delimiter != usual and on_note:
            on_note(f"{path}: the header says that {DELIMITERS[delimiter]} separates the cells")
        reader = csv.reader(chain([first] if first else [], texts), delimiter=delimiter, strict=True)
        begin = lines.number
        while rows := _next_rows(reader, lines, begin):
            yield from rows
            begin = lines.number + 1


def _next_rows(reader: Iterator[list[str]], lines: Lines, begin: int) -> list[tuple[int, list[str]] | BadRow]:
    """Return the next rows, at most AT_ONCE; [] at the end."""
    rows: list[tuple[int, list[str]] | BadRow] = []
    with _long_cells():
        while len(rows) < AT_ONCE:
            try:
                cells, why = [unguard_cell(c) if c[:1] == "'" else c for c in next(reader)], ""
            except StopIteration:
                break
            except csv.Error as e:
                cells, why = [], _broken(str(e), begin, lines.number)
            at, problem = lines.take_problem()
            rows.append(BadRow(at or begin, problem or why) if problem or why else (begin, cells))
            begin = lines.number + 1
    return rows


@contextmanager
def _long_cells() -> Iterator[None]:
    """Allow long cells. The limit of `csv` is global, so it is restored at the end of the block."""
    limit = csv.field_size_limit(MAX_LINE)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _delimiter(header: str, usual: str) -> str:
    """Return the delimiter that gives most usual names of columns, then most cells; `usual` wins a tie."""
    known = set(chain.from_iterable(COLUMNS.values()))

    def names(delimiter: str) -> tuple[int, int, bool]:
        with _long_cells():
            cells = next(csv.reader([header], delimiter=delimiter), [])
        return sum(fold(cell) in known for cell in cells), len(cells), delimiter == usual

    return max(DELIMITERS, key=names)


def _broken(error: str, begin: int, end: int) -> str:
    where = f" of lines {begin} to {end}" if end > begin else ""
    if "field larger" in error:
        return f"a cell{where} is longer than {MAX_LINE} characters; perhaps its quote is not closed"
    if "unexpected end" in error:
        return f"the quote of a cell is not closed before the end of the file, line {end}"
    return f"a quote{where} is not closed, or occurs in a quoted cell without being doubled"


def named_rows(
    path: Path, rows: Iterator[tuple[int, list[str]] | BadRow], needs: Sequence[str] = ()
) -> Iterator[TableRow | BadRow]:
    """Yield the rows after the header by the names of their columns. A column without a name is no column."""
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path}: the file is empty; its first line must name the columns")
    if isinstance(first, BadRow):
        raise DataError(f"{path}: line {first.line}: {first.why}")
    header = [name.strip("\ufeff \t\r\n\v\f\xa0") for name in first[1]]
    if why := _doubled(header) or ("" if any(header) else "names no column"):
        raise DataError(f"{path}: line {first[0]}: {why}")
    check_columns(path, [name for name in header if name], needs)
    spelled = {name.lower(): name for name in needs}
    header = [spelled.get(name.lower(), name) for name in header]
    for row in rows:
        if isinstance(row, BadRow):
            yield row
        elif len(row[1]) == len(header):
            if any(map(str.strip, row[1])):
                yield TableRow(row[0], {name: cell for name, cell in zip(header, row[1], strict=True) if name})
        elif any(map(str.strip, row[1])):
            yield BadRow(row[0], f"{len(row[1])} cells, the header has {len(header)}")


def _doubled(names: Iterable[str], same: Callable[[str], str] = str.lower) -> str:
    """Return which name occurs twice, in capitals or not; "" if none does. Empty names may."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(same(name))
        if name and other is not None:
            return f"{name!r} occurs twice" if name == other else f"{name!r} and {other!r} differ only in capitals"
        seen[same(name)] = name
    return ""


def _json_rows(path: Path) -> Iterator[TableRow | BadRow]:
    with open_text(path, "\n") as file:
        lines = Lines(file)
        for line in lines:
            number, why = lines.take_problem()
            if why:
                yield BadRow(number, why)
            elif line.strip():
                try:
                    yield TableRow(lines.number, _object(line))
                except ValueError as e:
                    yield BadRow(lines.number, str(e))


def _object(line: str) -> Row:
    """Return the row that a line of JSON holds. Raises ValueError."""
    try:
        values = _loads(line)
    except json.JSONDecodeError as e:
        raise ValueError(f"no JSON: {e.msg} at character {e.colno}") from e
    if not isinstance(values, dict):
        raise ValueError(f"wants an object, is a {type(values).__name__}")
    return dict(zip(_fields(tuple(values)), values.values(), strict=True))


@lru_cache(1024)
def _fields(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the fields of a row without white space around them. Raises ValueError for a doubled one."""
    fields = tuple(name.strip() for name in names)
    if why := _doubled(fields):
        raise ValueError(why)
    return fields


def _loads(text: str) -> Any:
    """Return the value of a JSON text. Raises ValueError, also for a doubled key and for half a character."""
    try:
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except RecursionError as e:
        raise ValueError("no JSON: nested too deeply") from e
    except UnicodeEncodeError as e:
        raise ValueError(f"holds half a character, {e.object[e.start]!r}") from e


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("key " + _doubled((key for key, _ in pairs), str))
    return values


_DECODER = json.JSONDecoder(object_pairs_hook=_once)


def read_document(path: Path) -> Any:
    """Return the value of a whole JSON file. Raises DataError with the line."""
    text = read_text(path)
    try:
        return _loads(text)
    except json.JSONDecodeError as e:
        raise DataError(f"{path}: line {e.lineno}: no JSON: {e.msg}") from e
    except ValueError as e:
        line = _line_of_fault(text)
        raise DataError(f"{path}: line {line}: {e}" if line else f"{path}: {e}") from e


def _line_of_fault(text: str) -> int:
    """Return the line of a JSON text on which a key occurs twice, or brackets are too deep; 0 for neither."""
    keys: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            keys.append(set())
        elif token[0] in "]}":
            keys.pop()
        if len(keys) > MAX_DEPTH or (token[2] and token[1] in keys[-1]):
            return text.count("\n", 0, token.start()) + 1
        if token[2]:
            keys[-1].add(token[1])
    return 0


@lru_cache(4096)
def fold(name: str) -> str:
    """Return the name of a column as `COLUMNS` writes it: "Image Index", "image_index" and "ImageIndex" are one."""
    return re.sub(r"[\s_-]+", "", name).lower()


def columns_of(role: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return the columns that have a usual name of a role ("id", "text" ...), the most usual first."""
    return _columns_of(role, tuple(names))


@lru_cache(1024)
def _columns_of(role: str, names: tuple[str, ...]) -> tuple[str, ...]:
    columns: dict[str, str] = {}
    for name in names:
        columns.setdefault(fold(name), name)
    return tuple(columns[name] for name in COLUMNS[role] if name in columns)


def column_named(name: str, columns: Iterable[str]) -> str | None:
    """Return the column of this name, in capitals or not, as the table spells it; None if there is none."""
    return next((column for column in columns if column.lower() == name.strip().lower()), None)


def check_columns(path: Path, columns: Collection[str], needs: Iterable[str]) -> None:
    """Raise DataError for a needed column that a table lacks, with a near name."""
    for name in needs:
        if column_named(name, columns) is None:
            raise DataError(f"{path} has no column {name!r}; {did_you_mean(name, columns)}")


def id_of(row: Mapping[str, Any]) -> str | None:
    """Return the id of a row; None if it has no column of ids, or none with a value. Raises DataError.

    A row of COCO's captions has two: `id` is the caption's, `image_id` says whose caption it is.
    """
    names = columns_of("id", row)
    if "image_id" in names and "caption" in row:
        names = ("image_id",)
    return next((id for name in names if (id := id_value(row[name])) is not None), None)


def row_split(row: Mapping[str, Any]) -> str:
    """Return the split of a row as `split_name` does; "" if it names none."""
    return next((split for name in columns_of("split", row) if (split := split_name(row[name]))), "")


def text_of(row: Mapping[str, Any], sections: Sequence[str], column: str = "") -> str:
    """Return the report of a row: of the given column; else of these sections, if the row has them; else its one text.

    It is "" for a cell without text. Raises DataError, without the place, if the row has no such column.
    """
    if column:
        name = column_named(column, row)
        if name is None:
            raise DataError(f"no column {column!r}; {did_you_mean(column, row)}")
        return text_value(row[name]) or ""
    inside = row.get("sections")
    source = inside if isinstance(inside, Mapping) else row
    values = {fold(str(name)): value for name, value in source.items()}
    if isinstance(inside, Mapping) or any(fold(s) in values for s in sections):
        return " ".join(t.strip() for s in sections if (t := text_value(values.get(fold(s)))))
    if names := columns_of("text", row):
        return next((text for name in names if (text := text_value(row[name])) is not None), "")
    raise DataError(f"no {', '.join(sections)} and no text; there are: {', '.join(map(str, row))}")
