"""Put the two pages together: the one to try models on, and the one that describes the API. Both work offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import Request, Response

from ..pages.shared import frame
from ..pages.shared.frame import fill_page
from ..pages.shared.origin import Origin
from ..web.guards import new_token
from ..web.secure_page import secure_page
from .state import State

SCRIPTS = ("viewer.js", "report.js", "archive.js", "page.js")
PAGE = Path(__file__).parent / "page"
WARNING = "A model's report may be wrong or silent about what is there."


class Pages:
    """The pages of the server, which are read once."""

    def __init__(self, state: State) -> None:
        self.state = state
        facts = {
            "edits": state.settings.edits is not None,
            "token": bool(state.settings.token),
            "archive": state.listing is not None,
            "megabytes": state.settings.max_bytes / 1e6,
        }
        self.front = self._fill("Report a radiograph", "body.html", "page.css", SCRIPTS, facts)
        self.api = self._fill("The API of rg serve", "docs.html", "docs.css", ("docs.js",), facts)

    def _fill(self, title: str, body: str, style: str, scripts: tuple[str, ...], data: Any) -> str:
        shared = [frame.HERE / "zoom.js", frame.HERE / "heat.js"] if len(scripts) > 1 else []
        script = "\n".join(path.read_text(encoding="utf-8") for path in (*shared, *(PAGE / name for name in scripts)))
        styles = [frame.HERE / "viewer.css"] if len(scripts) > 1 else []
        return fill_page(
            (PAGE / body).read_text(encoding="utf-8"),
            title=title,
            origin=Origin(),
            style="".join(path.read_text(encoding="utf-8") for path in (*styles, PAGE / style)),
            script=script,
            data=data,
            warnings=[WARNING],
            heading=False,
            served=True,
        )

    async def page(self, request: Request) -> Response:
        """Return the page on which models are tried."""
        return _page(self.front)

    async def docs(self, request: Request) -> Response:
        """Return the page that describes the API; it draws /openapi.json with its own script."""
        return _page(self.api)


def _page(html: str) -> Response:
    html, policy = secure_page(html, new_token())
    return Response(html.encode(), media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy})
