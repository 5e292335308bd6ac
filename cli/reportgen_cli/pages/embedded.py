"""Write values into an HTML page as JSON."""

from __future__ import annotations

import json

_SIGNS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"}


def embedded_json(value: object) -> str:
    """Return a value as JSON that a page can hold inside a script element.

    What could end the element, begin a tag or an entity, or end a line of a script is written as an escape: `<`, `>`,
    `&`, U+2028 and U+2029. These signs occur in texts alone, so that JSON reads the same value. Raises ValueError for
    numbers that are not finite.
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False).translate(_SIGNS)
