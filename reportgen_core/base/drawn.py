"""Values that draw themselves in a notebook. The wing `drawing` says how; the core's `__init__` connects the two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
PICTURE_SIDE = 640  # pixels of the longer side of an image in memory that its report keeps, to be drawn
DRAWING: dict[str, Callable[..., Any]] = {}  # "html" and "show", set when `reportgen_core` is imported


class Drawn:
    """A value with a picture or a table in a notebook: the last line of a cell, or `show()`."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        html: str = DRAWING["html"](self)
        return html

    def show(self, out: str | Path | None = None) -> Path | None:
        """Draw the value in the notebook; elsewhere, or with `out`, write it as an HTML page and return its path.

        A page without `out` is opened in the browser.
        """
        page: Path | None = DRAWING["show"](self, out)
        return page


class Reports(list[T], Drawn):
    """A list of reports. A list of one has the attributes of its report: `reports.text` is `reports[0].text`."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if len(self) == 1:
            return getattr(self[0], name)
        raise AttributeError(f"these are {len(self)} reports; take one of them: reports[0].{name}")
