"""How a published system does here, compared with its paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reportgen_core.lazy import lazy_names

if TYPE_CHECKING:
    from .run import asked_for, reproduce

__all__ = ["asked_for", "reproduce"]

__getattr__, __dir__ = lazy_names(__name__, {"run": ["asked_for", "reproduce"]})
