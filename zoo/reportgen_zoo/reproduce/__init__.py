"""Train and evaluate a published system, and compare its scores with its paper's. A preset holds the system as data, a
scale says how large a run is, and the result is a folder and a table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reportgen_core.lazy import lazy_names

if TYPE_CHECKING:
    from .run import reproduce, reproduction_request

__all__ = ["reproduce", "reproduction_request"]

__getattr__, __dir__ = lazy_names(__name__, {"run": ["reproduce", "reproduction_request"]})
