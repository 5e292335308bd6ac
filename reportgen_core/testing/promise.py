"""Hold a part to a promise."""

from __future__ import annotations

from collections.abc import Iterable


def promise(kept: object, otherwise: str) -> None:
    """Raise AssertionError with one line unless the promise is kept: what came, the promise, what would keep it."""
    if not kept:
        raise AssertionError(otherwise)


def first(names: Iterable[object]) -> str:
    """Return the first of some names for a message; "" if there is none."""
    return str(next(iter(names), ""))
