"""Find which findings a report states, denies or doubts, by rules. The phrases of each finding and the cues of negation
and doubt are data in two TOML files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reportgen_core.lazy import lazy_names

if TYPE_CHECKING:
    from .labeler import CHEXPERT5, LABELS, Labeler, Scheme

__all__ = ["CHEXPERT5", "LABELS", "Labeler", "Scheme"]

__getattr__, __dir__ = lazy_names(__name__, {"labeler": ["CHEXPERT5", "LABELS", "Labeler", "Scheme"]})
