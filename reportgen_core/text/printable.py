"""Make texts of others safe to print: names, notes and messages that come from files, models, plugins and servers.

A terminal acts on control characters, a direction mark changes the order in which a line is read, a line end makes one
message look like two, and a lone surrogate cannot be encoded. All of them are written as escapes here, in the way of
Python's `repr`. A text that is too long keeps its beginning and its end. The module needs no torch.
"""

from __future__ import annotations

import json
import re

MAX_TEXT = 2000  # characters of a text, if the caller sets no other limit

# Control characters, invisible and direction marks, line and paragraph separators, surrogates, noncharacters and tags.
# The joiners U+200C and U+200D stay: Persian and Indian scripts need them.
_UNSAFE = (
    "\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufdd0-\ufdef\ufeff\ufff0-\ufffb\ufffe\uffff\U000e0000-\U000e0fff"
)
_IN_TEXT = re.compile(f"[{_UNSAFE}]")
_IN_JSON = re.compile(f"(?!\n)[{_UNSAFE}]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str, limit: int | None = MAX_TEXT) -> str:
    """Return a text as one line that a terminal can print, of at most about `limit` characters; None sets no limit.

    A byte of a file name that is not UTF-8, which Python reads as a surrogate, is written as that byte: `\\xff`.
    """
    if text.isprintable() and (limit is None or len(text) <= limit):
        return text
    length = len(text)
    escaped = _IN_TEXT.sub(_escape, _cut(text, limit, length))
    return _cut(escaped, limit, length)


def printable_lines(text: str) -> str:
    """Return a text of several lines with each line made printable; line ends and tabs stay, and nothing is cut."""
    if text.isprintable():
        return text
    cells = ("\t".join(printable(cell, None) for cell in line.split("\t")) for line in text.split("\n"))
    return "\n".join(cells)


def printable_json(value: object, *, indent: int | None = None, ascii: bool = False, allow_nan: bool = True) -> str:
    """Return a value as JSON in which every unsafe character is an escape, so that it reads as the same value.

    `ascii` escapes all characters that are not ASCII. Raises ValueError for NaN and infinity without `allow_nan`.
    """
    return escape_json(json.dumps(value, ensure_ascii=ascii, indent=indent, allow_nan=allow_nan))


def escape_json(text: str) -> str:
    """Return JSON text with its unsafe characters as escapes. They occur inside strings only; line ends stay."""
    return text if text.isascii() and text.isprintable() else _IN_JSON.sub(_escape_json, text)


def _escape(match: re.Match[str]) -> str:
    sign = match[0]
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return _SHORT.get(sign) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def _escape_json(match: re.Match[str]) -> str:
    pair = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{pair[i]:02x}{pair[i + 1]:02x}" for i in range(0, len(pair), 2))


def _cut(text: str, limit: int | None, length: int) -> str:
    """Return the first two thirds and the last third of the characters that fit, with the whole length between them."""
    if limit is None or len(text) <= limit:
        return text
    tail = limit // 3
    return f"{text[: limit - tail]} … ({length:,} characters) … {text[len(text) - tail :]}"
