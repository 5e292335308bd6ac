"""Read options that are written `name=value` on a command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from reportgen_core import OptionError


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """Return `["depth=3", "name=x"]` as {"depth": 3, "name": "x"}: a value is read as JSON if it is JSON, else as text.

    Raises OptionError for a pair without `=` or a name that occurs twice.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not sign or not name.isidentifier():
            raise OptionError(f"option {pair!r} is not written name=value, as in views=2")
        if name in options:
            raise OptionError(f"option {name!r} is given twice")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options
