"""Find the name that a user means, and the names that are near to one that does not exist."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

MIN_PREFIX = 3  # letters of the beginning of a name that stand for it
MAX_NEAR = 4  # names that a message proposes


def fold(name: str) -> str:
    """Return a name without capitals, spaces, "_" and "-": "Hier_LSTM" and "hier-lstm" are one."""
    return re.sub(r"[\s_-]+", "", name).casefold()


def match_name(name: str, names: Iterable[str]) -> str | None:
    """Return the only name that `name` can mean, or None: the same, the same folded, or the only one that begins so.

    A name that ends with "*" is a pattern, and is never meant.
    """
    known = [n for n in names if not n.endswith("*")]
    if name in known:
        return name
    folded = fold(name)
    same = [n for n in known if fold(n) == folded]
    begin = [n for n in known if fold(n).startswith(folded)] if len(folded) >= MIN_PREFIX else []
    alike = same or begin
    return alike[0] if len(alike) == 1 and folded else None


def near_names(name: str, names: Iterable[str]) -> list[str]:
    """Return the names that begin like `name`, else those that have it inside, else the nearest one; [] if none is."""
    known, folded = sorted(names), fold(name)
    begin = [n for n in known if fold(n).startswith(folded)] if len(folded) > 1 else []
    inside = [n for n in known if folded in fold(n)] if len(folded) >= MIN_PREFIX else []
    by_fold = {fold(n): n for n in reversed(known)}
    close = difflib.get_close_matches(name, known, n=1)
    close = close or [by_fold[f] for f in difflib.get_close_matches(folded, by_fold, n=1)]
    return (begin or inside or close)[:MAX_NEAR]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the end of an error message: "did you mean 'x' or 'y'? there are: x, y, z"."""
    options = sorted(names)
    near = [repr(n) for n in near_names(name, options)]
    hint = f"did you mean {', '.join(near[:-1])}{' or ' if near[:-1] else ''}{near[-1]}? " if near else ""
    return f"{hint}there are: {', '.join(options) or 'none'}"
