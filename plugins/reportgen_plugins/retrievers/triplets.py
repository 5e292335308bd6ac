"""The triplet loss of CVSE, eq. 4 of Ni et al., 2020, arXiv:2010.02467, in both directions.

    Σ [d(a-, I) - d(a+, I) + δ]_+  +  Σ [d(a, I-) - d(a, I+) + δ]_+

Eight negatives are drawn for each matched pair and direction, without replacement and none of a group that the report
itself has; the sum goes over pairs and negatives. Sentences a- come from all training sentences, images I- from the
batch, whose images are encoded anyway. Where fewer than eight qualify, all of them are taken.
"""

from __future__ import annotations

import torch
from torch import Tensor


def draw(eligible: Tensor, count: int, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """For each row of `eligible` (P, n) bool up to `count` columns at random: (row, column) of each draw."""
    keys = torch.rand(eligible.shape, generator=generator, device="cpu").to(eligible.device)
    keys = keys.masked_fill(~eligible, -1.0)
    found = keys.topk(min(count, eligible.shape[1]), 1)
    rows, places = (found.values >= 0).nonzero(as_tuple=True)
    return rows, found.indices[rows, places]


def not_of_report(owner: Tensor, group: Tensor, candidates: Tensor, groups: int, reports: int) -> Tensor:
    """(reports, n) bool: which candidates, by their groups (n,), are of no group that the report has.

    `owner` and `group` (P,) are the report and the group of each matched pair.
    """
    has = torch.zeros(reports, groups, dtype=torch.bool, device=owner.device)
    has[owner, group] = True
    return ~has[:, candidates]


def images_without(owner: Tensor, group: Tensor, groups: int, reports: int) -> Tensor:
    """(P, reports) bool: for each pair the studies of the batch whose report has not its group."""
    has = torch.zeros(reports, groups, dtype=torch.bool, device=owner.device)
    has[owner, group] = True
    return ~has[:, group].T


def hinge(matched: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Σ [negative - matched + δ]_+ over rows (n,) of negatives and their matched scores."""
    return (negative - matched + margin).clamp_min(0).sum()
