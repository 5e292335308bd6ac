"""Draw values as HTML for a notebook or a page: reports with their attention, models, scores and audits.
Everything is inside the HTML, so that nothing is loaded from elsewhere, and texts of others are escaped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .heat import enlarge, heat_picture, heatmap
    from .lines import line
    from .page import html, show

__all__ = ["enlarge", "heat_picture", "heatmap", "html", "line", "show"]

__getattr__, __dir__ = lazy_names(
    __name__, {"heat": ["heat_picture", "enlarge", "heatmap"], "lines": ["line"], "page": ["html", "show"]}
)
