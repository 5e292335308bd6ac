"""How a radiograph with known findings is drawn, and how its report is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reportgen_core.lazy import lazy_names

if TYPE_CHECKING:
    from .phantom import Phantom

__all__ = ["Phantom"]

__getattr__, __dir__ = lazy_names(__name__, {"phantom": ["Phantom"]})
