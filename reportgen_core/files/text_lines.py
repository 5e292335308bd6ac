"""Read the text of a file line by line: gzipped or not, UTF-8 or, if a byte-order mark says so, UTF-16 or UTF-32.

A line that cannot be read is marked, and the lines after it are read. The module needs no torch.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO, cast

from ..errors import DataError

MAX_LINE = 16 * 2**20  # characters of a line or a cell: a report is far below
MAX_TEXT = 2 * 2**30  # characters of a file that is read whole
GZIP = b"\x1f\x8b"
MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),  # before UTF-16, whose mark is its beginning
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
UNDECODED = re.compile("[\udc80-\udcff]")  # bytes that are no UTF-8, as "surrogateescape" keeps them


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole rows of a table, to be read as if the lines between its header and them were not there.

    `source` has the bytes; it is the table, or a copy of its text as UTF-8.
    """

    table: Path
    source: Path
    head: int  # bytes of the header, and of what comes before it
    head_lines: int
    begin: int  # bytes of the rows: from here
    end: int  # and up to here
    line: int  # the number of the first of their lines in the table

    def open(self) -> BinaryIO:
        """Open the header and the rows as one file."""
        with self.source.open("rb") as file:
            head = file.read(self.head)
            file.seek(self.begin)
            rows = file.read(self.end - self.begin)
        if len(head) != self.head or len(rows) != self.end - self.begin:
            raise DataError(f"{self.source}: shorter than it was; its rows end at byte {self.end}")
        return cast(BinaryIO, io.BufferedReader(cast(io.RawIOBase, io.BytesIO(head + rows))))


_PIECE: ContextVar[Piece | None] = ContextVar("piece", default=None)


@contextmanager
def only_piece(piece: Piece) -> Iterator[None]:
    """Let every reader of `piece.table` in this block read the piece alone. Rows keep the numbers of their lines."""
    token = _PIECE.set(piece)
    try:
        yield
    finally:
        _PIECE.reset(token)


def _open(path: Path) -> BinaryIO:
    piece = _PIECE.get()
    return path.open("rb") if piece is None or piece.table != path else piece.open()


@contextmanager
def open_text(path: Path, newline: str | None = "") -> Iterator[IO[str]]:
    """Open the text of a file. Its content, not its name, says whether it is gzipped.

    `newline` is that of `open`: "" ends lines at \\n, \\r and \\r\\n, "\\n" at \\n alone, None makes each of them \\n.
    Raises DataError if the file cannot be opened, unzipped, or read as its byte-order mark says.
    """
    try:
        with cast(io.BufferedReader, _open(path)) as raw:
            zipped = raw.peek(2)[:2] == GZIP
            data = io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw))) if zipped else raw
            head = data.peek(4)[:4]
            encoding = next((name for mark, name in MARKS if head.startswith(mark)), "utf-8-sig")
            errors = "surrogateescape" if encoding == "utf-8-sig" else "strict"
            with io.TextIOWrapper(data, encoding, errors, newline) as file:
                yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise DataError(f"{path}: the file cannot be unzipped: {e}") from e
    except UnicodeDecodeError as e:
        raise DataError(
            f"{path}: not {e.encoding}, which its byte-order mark says: {e.reason}; save it as UTF-8"
        ) from e
    except OSError as e:
        raise DataError(f"{path}: {e.strerror or e}") from e


class Lines:
    """The lines of an open text, with the number and the problem of the last one.

    A line that is too long is yielded as an empty line, and its rest is skipped.
    """

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.number = 0
        self._problem = (0, "")

    def __iter__(self) -> Iterator[str]:
        piece = _PIECE.get()
        return self._read() if piece is None else self._read_piece(piece)

    def _read_piece(self, piece: Piece) -> Iterator[str]:
        """Yield the lines of the header, then those of the rows with the numbers that they have in the table."""
        skipped = piece.line - 1 - piece.head_lines
        for line in islice(self._read(), piece.head_lines):
            if self.number == piece.head_lines:
                self.number += skipped
            yield line
        self.number = piece.line - 1
        yield from self._read()

    def _read(self) -> Iterator[str]:
        readline = self.file.readline
        while line := readline(MAX_LINE):
            self.number += 1
            if len(line) == MAX_LINE and line[-1] not in "\r\n":
                while (rest := readline(MAX_LINE)) and rest[-1] not in "\r\n":
                    pass
                self._problem = self.number, f"longer than {MAX_LINE} characters"
                line = "\n"
            elif (not line.isascii() or "\0" in line) and not self._problem[1] and (why := unreadable(line)):
                self._problem = self.number, why
            yield line

    def take_problem(self) -> tuple[int, str]:
        """Return the line and the problem of the lines since the last call; (0, "") if all could be read."""
        problem, self._problem = self._problem, (0, "")
        return problem


def unreadable(line: str) -> str:
    """Return why a line is no text; "" if it is one."""
    if not line.isascii() and (bad := UNDECODED.search(line)):
        at = len(line[: bad.start()].encode("utf-8", "surrogatepass")) + 1
        return f"not UTF-8 (byte {at} of the line); save the file as UTF-8"
    if "\0" in line:
        return "holds a zero byte, which no text does; save the file as UTF-8"
    return ""


def read_text(path: Path) -> str:
    """Return the whole text of a file. Raises DataError, with the line that is not UTF-8."""
    with open_text(path, None) as file:
        text = file.read(MAX_TEXT + 1)
    if len(text) > MAX_TEXT:
        raise DataError(f"{path}: longer than {MAX_TEXT} characters, which is the most that is read whole")
    if not text.isascii() or "\0" in text:
        for n, line in enumerate(text.split("\n"), 1):
            if why := unreadable(line):
                raise DataError(f"{path}: line {n}: {why}")
    return text
