"""Lay tables and pairs out for the width of a terminal. A name or a number is never cut and never wrapped.

A table that is too wide wraps its columns of prose between words. If it is still too wide, it is transposed; if that is
too wide, its columns are printed in blocks, each with the names of the rows; and at last row by row.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

GAP = "  "
PROSE = 5  # words of a cell that makes its column prose, which may wrap
MIN_PROSE = 24  # columns of the terminal that prose gets at least
Rows = Sequence[Sequence[str]]


def width_of(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for a wide sign, none for a mark on another sign."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def table_lines(header: Sequence[str], rows: Rows, width: int) -> list[str]:
    """Return the lines of a table that is at most `width` wide, as far as its longest name or number allows."""
    natural = _widths(header, rows)
    if _total(natural) <= width:
        return _grid(header, rows, natural)
    if (prose := _prose_widths(header, rows, width)) is not None:
        return _grid(header, rows, prose)
    if any(_is_prose(column) for column in zip(*rows, strict=True)):
        return _records(header, rows, width)
    turned_header, *turned = [list(column) for column in zip(header, *rows, strict=True)]
    if turned and _total(across := _widths(turned_header, turned)) <= width:
        return _grid(turned_header, turned, across)
    if len(natural) > 2 and all(natural[0] + len(GAP) + w <= width for w in natural[1:]):
        return _blocks(header, rows, natural, width)
    return _records(header, rows, width)


def pair_lines(pairs: Sequence[tuple[str, str]], width: int) -> list[str]:
    """Return a line for each pair of a name and a value; a value that is too long goes on under its beginning."""
    first = max((width_of(name) for name, _ in pairs), default=0)
    lines = []
    for name, value in pairs:
        start, *more = wrapped(value, max(width - first - len(GAP), MIN_PROSE))
        lines.append(f"{_padded(name, first)}{GAP}{start}".rstrip())
        lines += [" " * (first + len(GAP)) + line for line in more]
    return lines


def wrapped(text: str, width: int) -> list[str]:
    """Return a text as lines that break between words only; a word that is longer than a line has its own line."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and width_of(lines[-1]) + 1 + width_of(word) > width:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return lines


def _widths(header: Sequence[str], rows: Rows) -> list[int]:
    return [max(map(width_of, column)) for column in zip(header, *rows, strict=True)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _is_prose(column: Sequence[str]) -> bool:
    return any(len(cell.split()) >= PROSE and not cell[:1].isspace() for cell in column)


def _prose_widths(header: Sequence[str], rows: Rows, width: int) -> list[int] | None:
    """Return widths of columns in which only prose wraps; None if the table would still be too wide."""
    widths = _widths(header, rows)
    prose = [i for i, column in enumerate(zip(*rows, strict=True)) if i and _is_prose(column)]
    if not prose:
        return None
    room = width - _total([w for i, w in enumerate(widths) if i not in prose]) - len(GAP) * len(prose)
    for i in sorted(prose, key=lambda i: widths[i]):  # what a narrow column leaves, wider ones may use
        share = room // sum(1 for j in prose if widths[j] >= widths[i])
        least = max(width_of(word) for cell in (header[i], *(row[i] for row in rows)) for word in cell.split(" "))
        if share < min(widths[i], max(MIN_PROSE, least)):
            return None
        widths[i] = min(widths[i], share)
        room -= widths[i]
    return widths if _total(widths) <= width else None


def _grid(header: Sequence[str], rows: Rows, widths: Sequence[int]) -> list[str]:
    """Return aligned columns under a header with a rule."""
    lines = _row(header, widths)
    lines.append(GAP.join("─" * w for w in widths))
    for row in rows:
        lines += _row(row, widths)
    return lines


def _row(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    parts = [wrapped(cell, w) if width_of(cell) > w else [cell] for cell, w in zip(cells, widths, strict=True)]
    lines = []
    for i in range(max(map(len, parts))):
        shown = (_padded(part[i] if i < len(part) else "", w) for part, w in zip(parts, widths, strict=True))
        lines.append(GAP.join(shown).rstrip())
    return lines


def _padded(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))


def _blocks(header: Sequence[str], rows: Rows, widths: Sequence[int], width: int) -> list[str]:
    """Return the columns in blocks that fit, each with the first column and after an empty line."""
    blocks: list[list[int]] = [[0]]
    for i in range(1, len(widths)):
        if len(blocks[-1]) > 1 and _total([widths[j] for j in (*blocks[-1], i)]) > width:
            blocks.append([0])
        blocks[-1].append(i)
    lines: list[str] = []
    for block in blocks:
        lines += [""] if lines else []
        kept = [row for row in rows if any(row[i] for i in block[1:])]
        lines += _grid(
            [header[i] for i in block], [[row[i] for i in block] for row in kept], [widths[i] for i in block]
        )
    return lines


def _records(header: Sequence[str], rows: Rows, width: int) -> list[str]:
    """Return each row as pairs of a column's name and a cell, with an empty line between two rows."""
    lines: list[str] = []
    for row in rows:
        lines += [""] if lines else []
        lines += pair_lines([(name, cell.strip()) for name, cell in zip(header, row, strict=True) if cell], width)
    return lines
