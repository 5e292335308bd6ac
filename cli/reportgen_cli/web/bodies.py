"""Read the JSON that a request holds, and refuse a request with a status and a line."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from reportgen_core.text.printable import printable


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


def json_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a request. Raises Refused for everything else, also numbers that JSON does not have."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no number of JSON")

    try:
        row = json.loads(body.decode(), parse_constant=refuse)
    except (ValueError, RecursionError) as e:  # a number of thousands of digits is a ValueError, too
        raise Refused(HTTPStatus.BAD_REQUEST, "is no JSON that can be read") from e
    if not isinstance(row, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "wants a JSON object")
    return row


def is_text(text: str) -> bool:
    """Return whether a text can be written as UTF-8: JSON may have halves of surrogate pairs."""
    return not any("\ud800" <= sign <= "\udfff" for sign in text)


def short(value: Any) -> str:
    """Return a value of a request for a message."""
    return printable(repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}", 100)
