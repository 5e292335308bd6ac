"""Search in two stages: regions of the image propose texts, the conditional score ranks what is proposed.

CVSE's score depends on the pair, so that no index of inner products can hold it. Each region m_j asks FAISS for the
texts nearest to it. The score is a mean over regions and not the best of them, so what the study shows to the mean
text, Σ α_j m_j, asks for more. The texts that are proposed are scored exactly, in batches on the model's device; what
the study shows to the best of them asks once more, because a text that is looked for in the same places is scored by
just that product; and what is new is scored, too. What the first stage still loses is measured against exact search.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reportgen_core.retrieval.index import TextIndex

from .conditional import Conditional, Regions
from .exact_search import Found, merge, search_exactly
from .proposals import Proposer

Numbers = NDArray[np.int64]
MEAN_OF = 4096  # texts whose mean a study is shown to
LEADS, WIDER = (
    4,
    8,
)  # best texts that ask again; a whole study looks so many times wider than a region, for as many more
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
        return Found(rows, scores, _vectors(index, numbers))


@torch.no_grad()
def search_proposed(
    conditional: Conditional, regions: Regions, stages: Stages, k: int, each: int
) -> tuple[Tensor, Tensor]:
    """The k best scores (B, k) and row numbers (B, k) of what is proposed, `each` a region; -1: there are no more."""
    mean = stages.mean.to(regions.half.device).expand(len(regions.half), 1, -1)
    by_region = _propose(regions.vectors.flatten(1, 2), regions.mask.flatten(1), stages, max(each, k), 1)
    by_mean = _propose(_shown(conditional, regions, mean), None, stages, WIDER * max(each, k), WIDER)
    known = [np.union1d(a, b) for a, b in zip(by_region, by_mean, strict=True)]
    best = _rank(conditional, regions, stages.index, known, max(k, LEADS))
    leads = _vectors(stages.index, best[1][:, :LEADS])
    near = _propose(_shown(conditional, regions, leads), best[1][:, :LEADS] >= 0, stages, WIDER * max(each, k), WIDER)
    new = [np.setdiff1d(a, b) for a, b in zip(near, known, strict=True)]
    return merge(best, *_rank(conditional, regions, stages.index, new, k), k)


def _shown(conditional: Conditional, regions: Regions, texts: Tensor) -> Tensor:
    """What a study shows each of its texts (B, A, d): Σ α_j m_j over all views, (B, A, d). Its product with a text
    that is looked for in the same places is that text's score, up to 2 x - 2."""
    return conditional.looks(regions, texts) @ regions.vectors.flatten(1, 2)


def _propose(queries: Tensor, real: Tensor | None, stages: Stages, count: int, breadth: int) -> list[Numbers]:
    """The row numbers near any of the queries (B, Q, d) of each study, sorted; `real` (B, Q) says which are queries."""
    B, Q = queries.shape[:2]
    there = np.ones((B, Q), bool) if real is None else real.cpu().numpy()
    found = np.full((B, Q, min(count, stages.index.rows)), -1, np.int64)
    found[there] = stages.first.propose(queries.float().cpu().numpy()[there], count, breadth)
    rows = [np.unique(of_study) for of_study in found]
    return [row[row >= 0] for row in rows]


def _rank(
    conditional: Conditional, regions: Regions, index: TextIndex, candidates: Sequence[Numbers], k: int
) -> tuple[Tensor, Tensor]:
    """The k best scores (B, k) and row numbers (B, k) of each study's own candidates; -1 where it has no more."""
    B, device = len(candidates), regions.half.device
    scores = torch.full((B, k), -torch.inf, device=device)
    numbers = torch.full((B, k), -1, dtype=torch.long, device=device)
    step = max(1, PAIRS // max(*map(len, candidates), 1))
    for at in range(0, B, step):
        rows = candidates[at : at + step]
        table = np.full((len(rows), max(map(len, rows))), -1, np.int64)
        for b, row in enumerate(rows):
            table[b, : len(row)] = row
        ids = torch.from_numpy(table).to(device)
        found = conditional.scores(regions.rows(slice(at, at + step)), _vectors(index, ids))
        best = found.masked_fill(ids < 0, -torch.inf).sort(dim=1, descending=True, stable=True)  # equals in order
        width = min(k, table.shape[1])
        scores[at : at + step, :width] = best.values[:, :width]
        numbers[at : at + step, :width] = ids.gather(1, best.indices[:, :width])
    return scores, numbers


def _vectors(index: TextIndex, numbers: Tensor) -> Tensor:
    """The vectors (B, n, d) of rows (B, n); those of row 0 for -1."""
    found = torch.from_numpy(index.vectors(numbers.clamp_min(0).flatten().cpu().numpy()))
    return found.to(numbers.device).reshape(*numbers.shape, index.dim)


def recall_of(found: Tensor, exact: Tensor) -> float:
    """The share of the exact search's row numbers (B, k) that the two stages found, in any order."""
    same = (exact[:, :, None] == found[:, None]).any(-1) & (exact >= 0)
    return float(same.sum() / (exact >= 0).sum())
