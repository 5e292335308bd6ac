"""Random features of studies, in place of those of an encoder."""

from __future__ import annotations

import torch
from torch import Tensor

from ..types import Features, FeatureSpec

STUDIES = 4


def noise(spec: FeatureSpec, studies: int = STUDIES, seed: int = 3) -> Features:
    """Return random features of studies. The last one lacks its last third of tokens, the one before it its first."""
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randn(studies, spec.tokens, spec.dim, generator=draw)
    pooled = torch.randn(studies, spec.pooled, generator=draw)
    mask = torch.ones(studies, spec.tokens, dtype=torch.bool)
    third = max(1, spec.tokens // 3)
    if spec.tokens > 1:
        mask[-1, -third:] = False
        mask[-2:-1, :third] = False
    return Features(tokens, pooled, mask, tag_noise(spec, studies, draw))


def tag_noise(spec: FeatureSpec, studies: int, draw: torch.Generator, tags: int = 4) -> Tensor | None:
    """Return random tag logits (studies, heads, tags) of an encoder with tag classifiers; None of any other encoder."""
    return torch.randn(studies, spec.tag_heads, tags, generator=draw) if spec.tag_heads else None
