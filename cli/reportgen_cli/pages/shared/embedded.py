"""Write values into an HTML page as JSON."""

from __future__ import annotations

from reportgen_core.text.printable import printable_json

_SIGNS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def embedded_json(value: object) -> str:
    """Return a value as JSON that a page can hold inside a script element.

    What could end the element, begin a tag or an entity, end a line of a script or turn the direction of reading is
    written as an escape. These signs occur in texts alone, so that JSON reads the same value. Raises ValueError for
    numbers that are not finite.
    """
    return printable_json(value, allow_nan=False).translate(_SIGNS)
