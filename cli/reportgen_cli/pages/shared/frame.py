"""Put a page together: the shared styles and scripts, a title, and a band with the purpose and the origin of the page.

A page loads nothing from elsewhere. Its data are JSON inside it, and its scripts show them as text, never as markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from reportgen_core.text.printable import printable

from .embedded import embedded_json
from .origin import PURPOSE, Origin

HERE = Path(__file__).parent


def fill_page(
    body: str,
    *,
    title: str,
    origin: Origin,
    style: str = "",
    script: str = "",
    data: object = None,
    warnings: Sequence[str] = (),
    heading: bool = True,
    served: bool = False,
) -> str:
    """Return a page as HTML: a band, the title as heading, and `body`, which is HTML that the caller has escaped.

    `style` and `script` follow the shared ones; a script finds `data` in the element with the id "data", and the
    helpers of base.js. `warnings` are further words of the band. Without `heading` the body has an `h1` of its own.
    A `served` page may load images from the server that it came from, and send requests to it.
    """
    shown = escape_text(title)
    words = [f'<p class="purpose">{escape_text(PURPOSE)}</p>']
    words += [f'<p class="purpose">{escape_text(warning)}</p>' for warning in warnings]
    words += [f"<p>{escape_text(part)}</p>" for part in origin.parts()]
    return Template(_read("frame.html")).substitute(
        title=shown,
        style=_read("base.css") + style,
        band="".join(words),
        heading=f"<h1>{shown}</h1>" if heading else "",
        body=body,
        data=embedded_json(data),
        shared=_read("base.js"),
        script=script,
        images=" 'self'" if served else "",
        connect=" connect-src 'self';" if served else "",
    )


def escape_text(text: str) -> str:
    """Return a text as HTML that is shown as it is, with characters that turn or hide text as escapes."""
    return escape(printable(text))


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
