"""Pool a set of vectors into one: by the mean, the maximum, or Log-Sum-Exp, which lies between the two.

Wang et al.: ChestX-ray8, CVPR 2017, arXiv:1705.02315, eq. 1: (1/r) log((1/N) Σ_n exp(r x_n)) is nearly the mean for a
small sharpness r and nearly the maximum for a large one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from reportgen_core import OptionError

POOLINGS = ("lse", "mean", "max")


def check_pooling(part: str, pooling: str, sharpness: float) -> None:
    """Raise OptionError if `pooling` is unknown or `sharpness` is not a positive, finite number."""
    if pooling not in POOLINGS:
        raise OptionError(f"{part} has no pooling {pooling!r}; there are: {', '.join(POOLINGS)}")
    if isinstance(sharpness, bool) or not isinstance(sharpness, int | float) or not 0 < sharpness < math.inf:
        raise OptionError(f"{part} takes a sharpness above 0, got {sharpness!r}; pooling mean and max are its ends")


def pool_tokens(tokens: Tensor, mask: Tensor, pooling: str, sharpness: float) -> Tensor:
    """Pool tokens (B, N, C) into (B, C), over the tokens whose mask (B, N) is True."""
    real, count = mask[..., None], mask.sum(1, keepdim=True).clamp(min=1)
    if pooling == "mean":
        return (tokens * real).sum(1) / count
    if pooling == "max":
        return tokens.masked_fill(~real, -torch.inf).amax(1)
    sharp = (sharpness * tokens.float()).masked_fill(~real, -torch.inf)
    return (sharp.logsumexp(1) - count.float().log()) / sharpness  # eq. 1
