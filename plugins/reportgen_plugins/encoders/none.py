"""none: no image at all, so that a decoder that reads reports alone is composed like any other.

It promises no token and looks at no view. The pooled vector is one zero a study, which says how many studies there are
and nothing else; a decoder that wants a pooled vector becomes a model of language alone.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reportgen_core import Features, FeatureSpec, ImageSpec
from reportgen_core.interfaces import Encoder


class NoImage(Encoder):
    """Features without a token."""

    def __init__(self) -> None:
        super().__init__()
        self.image = ImageSpec(height=1, width=1, views=0)
        self.features = FeatureSpec(dim=1, pooled=1, count=0)

    def encode(self, images: Tensor) -> Features:
        """Single images (n, C, H, W), whatever they show."""
        return _nothing(len(images), images.device)

    def forward(self, images: Tensor, mask: Tensor | None = None) -> Features:
        """Studies (B, V, C, H, W) with any number of views: none is looked at."""
        return _nothing(len(images), images.device)


def _nothing(rows: int, device: torch.device) -> Features:
    mask = torch.zeros(rows, 0, dtype=torch.bool, device=device)
    return Features(torch.zeros(rows, 0, 1, device=device), torch.zeros(rows, 1, device=device), mask)
