"""none: no image at all, so that a decoder that reads reports alone is composed like any other.

It gives no tokens and reads no view. The pooled vector of a study is a single zero: its only information is the number
of studies. A decoder that takes a pooled vector becomes a model of language alone.
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
        """Return features without tokens for single images (n, C, H, W). The pixels are not read."""
        return _empty_features(len(images), images.device)

    def forward(self, images: Tensor, mask: Tensor | None = None) -> Features:
        """Return features without tokens for studies (B, V, C, H, W) with any number of views."""
        return _empty_features(len(images), images.device)


def _empty_features(rows: int, device: torch.device) -> Features:
    """Return tokens (rows, 0, 1), pooled zeros (rows, 1) and a mask (rows, 0)."""
    mask = torch.zeros(rows, 0, dtype=torch.bool, device=device)
    return Features(torch.zeros(rows, 0, 1, device=device), torch.zeros(rows, 1, device=device), mask)
