"""Compute the triplet loss of CVSE, eq. 4 of Ni et al., 2020, arXiv:2010.02467, in both directions.

    Σ [d(a-, I) - d(a+, I) + δ]_+  +  Σ [d(a, I-) - d(a, I+) + δ]_+

Eight negatives are drawn for each matched pair and direction, without replacement, and never from a group that the
report itself has. The loss is the sum over pairs and negatives. Sentences a- come from all training sentences, images
I- from the batch, whose images are encoded anyway. If fewer than eight are possible, all of them are used.
"""

from __future__ import annotations

import torch
from torch import Tensor


def draw(eligible: Tensor, count: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Draw up to `count` random columns for each row of `eligible` (P, n) bool.

    Return the rows and the columns of all draws, two tensors of equal length.
    """
    keys = torch.rand(eligible.shape, generator=generator, device="cpu").to(eligible.device)
    keys = keys.masked_fill(~eligible, -1.0)
    largest = keys.topk(min(count, eligible.shape[1]), 1)
    rows, places = (largest.values >= 0).nonzero(as_tuple=True)
    return rows, largest.indices[rows, places]


def not_of_report(owner: Tensor, group: Tensor, candidates: Tensor, groups: int, reports: int) -> Tensor:
    """Return (reports, n) bool: True for a candidate, by its group (n,), whose group the report does not have.

    `owner` and `group` (P,) are the report and the group of each matched pair.
    """
    has = torch.zeros(reports, groups, dtype=torch.bool, device=owner.device)
    has[owner, group] = True
    return ~has[:, candidates]


def images_without(owner: Tensor, group: Tensor, groups: int, reports: int) -> Tensor:
    """Return (P, reports) bool: True for a study of the batch whose report does not have the group of the pair."""
    has = torch.zeros(reports, groups, dtype=torch.bool, device=owner.device)
    has[owner, group] = True
    return ~has[:, group].T


def hinge(matched: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Return Σ [negative - matched + δ]_+ over scores (n,) of negatives and of their matched pairs."""
    return (negative - matched + margin).clamp_min(0).sum()
