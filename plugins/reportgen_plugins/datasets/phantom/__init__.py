"""Draw synthetic chest radiographs with known findings, and write their reports. The phantom tests whether a system
learns, and whether its attention is at the right place: the box of each finding is known. Its images are drawings, not
data of patients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reportgen_core.lazy import lazy_names

if TYPE_CHECKING:
    from .phantom import Phantom

__all__ = ["Phantom"]

__getattr__, __dir__ = lazy_names(__name__, {"phantom": ["Phantom"]})
