"""Read the value of a cell: a text, an id, a number, a list of names, a split.

For null, NaN and "" the functions return None: there is no value. Where a text is needed, a number becomes the text
that a CSV would hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..errors import DataError

NO_TEXT = frozenset({"", "NaN", "nan", "NULL", "null", "<NA>"})
SPLITS = {"training": "train", "validate": "val", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}
_RUNS = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # what a spreadsheet runs; full-width signs as well
_NUMBER = re.compile(r"[+-]?(?:\d[\d.,]*|\.\d+)(?:[eE][+-]?\d+)?\s?%?")
_WHOLE = re.compile(r"(-?(?:0|[1-9]\d*))\.0+")
_QUOTED = re.compile(r"""'([^']*)'|"([^"]*)\"""")


def guard_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet runs: a text that begins like a formula has ' in front, a number none.

    A text that begins with ' and then like a formula gets one ' more, so that `unguard_cell` gives back every text.
    """
    if isinstance(value, str) and _RUNS.match(value) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value


def unguard_cell(cell: str) -> str:
    """Return the text of a cell that `guard_cell` wrote."""
    return cell[1:] if cell[:1] == "'" and _RUNS.match(cell) else cell


def is_nothing(value: Any) -> bool:
    """Return whether a cell holds nothing: null, NaN, white space alone, or one of these as a text."""
    if isinstance(value, str):
        return value.strip() in NO_TEXT
    return value is None or (isinstance(value, float) and math.isnan(value))


def text_value(value: Any) -> str | None:
    """Return a cell as text, None if it holds none. Raises DataError for a value that is neither text nor number."""
    if is_nothing(value):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isinf(value):
        raise DataError(f"wants a text, is a {type(value).__name__}: {str(value)[:40]}")
    return str(int(value)) if isinstance(value, int) or (value.is_integer() and abs(value) < 2**53) else str(value)


def id_value(value: Any) -> str | None:
    """Return a cell as an id, None if it holds none: 50414267.0, which pandas writes, is 50414267; 007 and 1e5 stay."""
    text = text_value(value)
    if text is None:
        return None
    text = text.strip()
    whole = _WHOLE.fullmatch(text) if text.endswith("0") else None
    return whole[1] if whole else text


def number_value(value: Any) -> float | None:
    """Return a cell as a number, None if it holds none. Raises DataError for any other text, and for infinity."""
    if isinstance(value, bool):
        return float(value)
    text = text_value(value)
    try:
        number = None if text is None else float(text)
    except ValueError as e:
        raise DataError(f"{text!r} is no number") from e
    if number is not None and math.isinf(number):
        raise DataError(f"{text!r} is no number")
    return None if number is None or math.isnan(number) else number


def labels_value(values: Mapping[Any, Any]) -> dict[str, float]:
    """Return labels by name, without empty ones. Raises DataError naming a label that is no number."""
    labels: dict[str, float] = {}
    for name, value in values.items():
        try:
            number = number_value(value)
        except DataError as e:
            raise DataError(f"label {name} is {value!r}; a label is a number, as 1, 0 or -1, or nothing") from e
        if number is not None:
            labels[str(name)] = number
    return labels


def names_value(value: Any, separator: str = "|") -> list[str]:
    """Return the names of a cell: a list, a list as Python prints it, or names with a separator between them."""
    if isinstance(value, str):
        inner = value.strip()
        if inner[:1] == "[" and inner[-1:] == "]" and not _QUOTED.sub("", inner[1:-1]).strip(", \n"):
            value = [single or double for single, double in _QUOTED.findall(inner)]
        else:
            value = value.split(separator)
    parts = value if isinstance(value, list) else [value]
    return [name.strip() for part in parts if (name := text_value(part)) is not None]


def split_name(value: Any) -> str:
    """Return "train", "val" or "test" for the usual names of splits, any other name in small letters, "" for none."""
    name = (text_value(value) or "").strip().lower()
    return SPLITS.get(name, name)
