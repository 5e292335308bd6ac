"""Options as they are written on a command line: `name=value`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from reportgen_core import OptionError


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """`["depth=3", "name=x"]` as {"depth": 3, "name": "x"}: a value is JSON where it parses as that, else a string.

    Raises OptionError for a pair without `=` or a name that is there twice.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or not name.isidentifier():
            raise OptionError(f"option {pair!r} is not written name=value, as in views=2")
        if name in found:
            raise OptionError(f"option {name!r} is given twice")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
