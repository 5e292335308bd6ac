"""Search in two stages: regions of the image propose texts, the conditional score ranks what is proposed.

CVSE's score depends on the pair, so that no index of inner products can hold it. Each region m_j asks FAISS for the
texts nearest to it; so does, for each view, the vector it shows to the mean text, Σ α_j m_j, because the score is a
mean over regions and not the best of them. The texts proposed for a study are scored exactly, in batches on the model's
device. What the first stage loses is measured against the exact search (`recall_of`).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from reportgen_core.textindex import TextIndex

from .conditional import Conditional, Regions
from .finding import Found, search_exactly
from .proposals import Proposer

MEAN_OF = 4096  # texts whose mean the views are shown to
PAIRS = 2**16  # candidate vectors that are held at a time


class Stages:
    """An open index, and its first stage, which is made when it is first asked."""

    def __init__(self, index: TextIndex, first: Proposer | None = None) -> None:
        self.index, self._first = index, first
        self._mean: Tensor | None = None

    @property
    def first(self) -> Proposer:
        """What proposes."""
        self._first = self._first or Proposer(self.index)
        return self._first

    @property
    def mean(self) -> Tensor:
        """The mean (d,) of texts at even distances."""
        if self._mean is None:
            rows = np.linspace(0, self.index.rows - 1, min(MEAN_OF, self.index.rows)).astype(np.int64)
            self._mean = torch.from_numpy(self.index.vectors(rows).mean(0))
        return self._mean

    @torch.no_grad()
    def search(self, conditional: Conditional, regions: Regions, k: int, each: int) -> Found:
        """The k best texts, in one stage or in two as the kind of the index says."""
        k, index = min(k, len(self.index)), self.index
        if index.kind == "exact":
            scores, numbers = search_exactly(conditional, regions, index, k)
        else:
            scores, numbers = search_proposed(conditional, regions, self, k, each)
        rows = [[index.row(n) for n in row if n >= 0] for row in numbers.tolist()]
        found = index.vectors(numbers.clamp_min(0).flatten().cpu().numpy())
        vectors = torch.from_numpy(found).to(scores.device).reshape(*numbers.shape, -1)
        return Found(rows, scores, vectors)


@torch.no_grad()
def search_proposed(
    conditional: Conditional, regions: Regions, stages: Stages, k: int, each: int
) -> tuple[Tensor, Tensor]:
    """The k best scores (B, k) and row numbers (B, k) among what is proposed, `each` a query; -1: there are no more."""
    index, candidates = stages.index, _candidates(conditional, regions, stages, max(each, k))
    B, device = len(candidates), regions.half.device
    scores = torch.full((B, k), -torch.inf, device=device)
    numbers = torch.full((B, k), -1, dtype=torch.long, device=device)
    widest = max(map(len, candidates))
    step = max(1, PAIRS // max(widest, 1))
    for at in range(0, B, step):
        rows = candidates[at : at + step]
        table = np.full((len(rows), max(map(len, rows))), -1, np.int64)
        for b, row in enumerate(rows):
            table[b, : len(row)] = row
        ids = torch.from_numpy(table).to(device)
        vectors = torch.from_numpy(index.vectors(table.clip(0).ravel())).to(device).reshape(*table.shape, -1)
        found = conditional.scores(regions.rows(slice(at, at + step)), vectors).masked_fill(ids < 0, -torch.inf)
        best = found.sort(dim=1, descending=True, stable=True)  # candidates are in the order of the texts
        width = min(k, table.shape[1])
        scores[at : at + step, :width] = best.values[:, :width]
        numbers[at : at + step, :width] = ids.gather(1, best.indices[:, :width])
    return scores, numbers


def _candidates(
    conditional: Conditional, regions: Regions, stages: Stages, each: int
) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """The row numbers that the regions and views of each study propose, sorted."""
    shown = conditional.attended(regions, stages.mean.to(regions.half.device))  # (B, V, d)
    owner = [regions.mask.flatten(1).nonzero()[:, 0], regions.views.nonzero()[:, 0]]
    queries = torch.cat([regions.vectors[regions.mask], shown[regions.views]])
    found = stages.first.propose(queries.float().cpu().numpy(), each)
    of = torch.cat(owner).cpu().numpy()
    order = np.argsort(of, kind="stable")
    ends = np.searchsorted(of[order], np.arange(len(regions.half) + 1))
    made = [np.unique(found[order[a:b]]) for a, b in pairwise(ends)]
    return [row[row >= 0] for row in made]


def recall_of(found: Tensor, exact: Tensor) -> float:
    """The share of the exact search's row numbers (B, k) that the two stages found, in any order."""
    same = (exact[:, :, None] == found[:, None]).any(-1) & (exact >= 0)
    return float(same.sum() / (exact >= 0).sum())
