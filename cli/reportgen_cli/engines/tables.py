"""Cut a table into blocks of whole rows that a worker can read without the rest.

The table is read once, row by row, by the reader of all commands, for the lines on which rows begin, and once more as
bytes, for their places and the digest. Nothing of it is kept but the places.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from reportgen_core import DataError, OptionError
from reportgen_core.files.atomic import atomic_file
from reportgen_core.files.digests import sha256_file
from reportgen_core.files.tables import BadRow, Kind, kind_of, scan_rows
from reportgen_core.files.text_lines import GZIP, MARKS, Piece, open_text

from .seam import Block

Keep = Callable[[Mapping[str, Any]], bool]  # whether a row is counted; other rows do not fill a block
READABLE: tuple[Kind, ...] = ("csv", "tsv", "jsonl", "txt")


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table, and the file with its bytes as UTF-8, both as absolute paths that all workers can read."""

    table: Path
    bytes: Path
    head: int = 0
    head_lines: int = 0

    def piece(self, block: Block) -> Piece:
        """Return a block as a piece that the readers of tables read."""
        return Piece(self.table, self.bytes, self.head, self.head_lines, block.begin, block.end, block.line)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table in blocks. `sha256` is the digest of the table."""

    source: TableSource
    blocks: tuple[Block, ...]
    sha256: str


def plan_table(table: Path, copy: Path, rows: int, keep: Keep | None = None, *, empty: bool = False) -> TablePlan:
    """Cut a table into blocks of `rows` rows. A table that is gzipped or UTF-16 is unpacked to `copy` first.

    `empty`: the empty lines of a text file are rows, too. Raises DataError for a table that cannot be read, and
    OptionError for a kind that cannot be cut.
    """
    kind = _kind(table)
    source = readable_bytes(table, copy)
    digest = "" if source == table.resolve() else sha256_file(table)
    with source.open("rb") as file:
        places = _Places(file, kind in ("csv", "tsv"))
        head, head_lines = 0, 0
        if kind in ("csv", "tsv"):
            first = next(scan_rows(table), None)
            if first and (begin := places.of(first.line)) >= 0:
                head, head_lines = begin, first.line - 1
            elif first:  # a lone \r between header and rows: one block, because a later one would lack the header
                rows = sys.maxsize
        if kind in ("csv", "tsv") or keep:
            starts: Iterator[tuple[int, int]] = ((line, places.of(line)) for line in _row_lines(table, keep))
        else:
            starts = _text_starts(places, empty and kind == "txt")
        blocks = tuple(_cut(places, starts, rows, (head, head_lines + 1)))
        digest = digest or places.finish()
    return TablePlan(TableSource(table.resolve(), source, head, head_lines), blocks, digest)


def readable_bytes(table: Path, copy: Path) -> Path:
    """Return a file that has the text of a table as UTF-8: the table, or `copy`, into which it is unpacked."""
    source = table.resolve()
    if _packed(source):
        source = copy.absolute()
        _unpack(table, source, _kind(table))
    return source


def _kind(table: Path) -> Kind:
    kind = kind_of(table, (*READABLE, "xlsx", "json"))
    if kind not in READABLE:
        raise OptionError(f"{table}: --engine ray reads .csv, .tsv, .jsonl and .txt, gzipped or not; save it as one")
    return kind


def _packed(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as e:
        raise DataError(f"{path}: {e.strerror or e}") from e
    return head.startswith((GZIP, *(mark for mark, _ in MARKS)))


def _unpack(table: Path, copy: Path, kind: Kind) -> None:
    """Write the text of a table as UTF-8, with its line ends, and bytes that are no UTF-8 as they are."""
    with open_text(table, "" if kind in ("csv", "tsv") else "\n") as text, atomic_file(copy, "wb") as file:
        while part := text.read(2**20):
            file.write(part.encode("utf-8", "surrogateescape"))


def _row_lines(table: Path, keep: Keep | None) -> Iterator[int]:
    """Yield the line on which each counted row begins."""
    for row in scan_rows(table):
        if isinstance(row, BadRow) or keep is None or keep(row.cells):
            yield row.line


class _Places:
    """Reads a file line by line: where lines begin, and the digest. `cells`: a line may end in \\r alone."""

    def __init__(self, file: BinaryIO, cells: bool) -> None:
        self.file, self.cells = file, cells
        self.line, self.byte = 1, 0  # of the next line
        self.digest = hashlib.sha256()

    def step(self) -> bytes:
        """Read one line and return it; b"" at the end of the file."""
        raw = self.file.readline()
        self.digest.update(raw)
        self.byte += len(raw)
        if raw:
            self.line += 1
            if self.cells and b"\r" in raw[:-2]:
                self.line += raw.count(b"\r") - raw.endswith(b"\r\n")
        return raw

    def of(self, line: int) -> int:
        """Return the byte at which a line begins; -1 if it begins after a \\r alone, where no block can begin."""
        while self.line < line and self.step():
            pass
        return self.byte if self.line == line else -1

    def finish(self) -> str:
        """Read the rest and return the digest of the whole file."""
        while part := self.file.read(2**20):
            self.digest.update(part)
        return self.digest.hexdigest()


def _text_starts(places: _Places, empty: bool) -> Iterator[tuple[int, int]]:
    """Yield the line and the byte at which each line with text begins; with `empty` each line, -1 after an empty one.

    The reader of texts drops an empty last line, so that no block may end in one.
    """
    after_empty = False
    while True:
        line, byte = places.line, places.byte
        if not (raw := places.step()):
            return
        has_text = bool(raw.strip())
        if has_text or empty:
            yield line, -1 if empty and after_empty else byte
        after_empty = not has_text


def _cut(places: _Places, starts: Iterator[tuple[int, int]], rows: int, at: tuple[int, int]) -> Iterator[Block]:
    """Yield the blocks of a table, by the line and the byte of each row; at -1 none begins.

    `at` is the byte and the line after the header.
    """
    (begin, first), count, number = at, 0, 0
    for line, byte in starts:
        if count >= rows and byte >= 0:
            yield Block(number, begin, byte, first, count)
            begin, first, count, number = byte, line, 0, number + 1
        count += 1
    if count:
        while places.step():
            pass
        yield Block(number, begin, places.byte, first, count)
