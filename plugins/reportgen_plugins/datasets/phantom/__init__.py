"""Draw synthetic chest radiographs with known findings, and write their reports. The phantom tests that a system learns
and looks at the right place, since each finding's box is known. Its images are drawings, not data of patients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reportgen_core.lazy import lazy_names

if TYPE_CHECKING:
    from .phantom import Phantom

__all__ = ["Phantom"]

__getattr__, __dir__ = lazy_names(__name__, {"phantom": ["Phantom"]})
