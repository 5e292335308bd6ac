"""Search in two stages: regions of the image propose texts, and the conditional score ranks the proposals.

The score of CVSE depends on the image and the text together, so an index of inner products cannot compute it. In the
first stage each region m_j is a query to FAISS for its nearest texts. The score is a weighted mean over regions, not
the best region, so the attended vector of the study for the mean of all texts, Σ α_j m_j, is a query, too. In the
second stage the proposed texts are scored exactly, in batches on the model's device. Then the attended vectors for the
best texts are queries once more, because a text that attends to the same regions is scored by that product; new texts
are scored as well. `recall_of` measures what is still lost against exact search.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reportgen_core.retrieval.index import TextIndex
from reportgen_core.retrieval.stores import TextStore, searchable_store

from .conditional import Conditional, Regions
from .exact_search import NearestTexts, merge, search_exactly

Numbers = NDArray[np.int64]
MEAN_OF = 4096  # texts of which the mean is computed
LEADS = 4  # best texts whose attended vectors are queries once more
WIDER = 8  # factor of lists, and of texts, for the queries of a whole study against those of a region
MAX_PAIRS = 2**16  # candidate vectors at a time


class Stages:
    """An open index and its first stage, which is built at its first use."""

    def __init__(self, index: TextIndex, first: TextStore | None = None) -> None:
        self.index, self._first = index, first
        self._mean: Tensor | None = None

    @property
    def first(self) -> TextStore:
        """Return the first stage, which proposes texts: the store of the index. Raises CheckpointError without it."""
        self._first = self._first or searchable_store(self.index)
        return self._first

    @property
    def mean(self) -> Tensor:
        """Return the mean (d,) of the vectors of evenly spaced texts."""
        if self._mean is None:
            rows = np.linspace(0, self.index.rows - 1, min(MEAN_OF, self.index.rows)).astype(np.int64)
            self._mean = torch.from_numpy(self.index.vectors(rows).mean(0))
        return self._mean

    @torch.no_grad()
    def search(self, conditional: Conditional, regions: Regions, k: int, each: int) -> NearestTexts:
        """Return the k best texts of each study. The kind of the index decides whether in one stage or in two.

        `each` is the number of texts that are proposed for each region.
        """
        index = self.index
        k = min(k, index.rows if index.where else len(index))
        if index.kind == "exact":
            scores, numbers = search_exactly(conditional, regions, index, k)
        else:
            scores, numbers = search_proposed(conditional, regions, self, k, each)
        rows = [[index.row(n) for n in row if n >= 0] for row in numbers.tolist()]
        return NearestTexts(rows, scores, _vectors(index, numbers))


@torch.no_grad()
def search_proposed(
    conditional: Conditional, regions: Regions, stages: Stages, k: int, each: int
) -> tuple[Tensor, Tensor]:
    """Return the k best scores (B, k) and row numbers (B, k) of the proposed texts; -1 where there are no more.

    `each` is the number of texts that are proposed for each region.
    """
    mean = stages.mean.to(regions.half.device).expand(len(regions.half), 1, -1)
    by_region = _propose(regions.vectors.flatten(1, 2), regions.mask.flatten(1), stages, max(each, k), 1)
    by_mean = _propose(_attended(conditional, regions, mean), None, stages, WIDER * max(each, k), WIDER)
    proposed = [np.union1d(a, b) for a, b in zip(by_region, by_mean, strict=True)]
    best = _rank(conditional, regions, stages.index, proposed, max(k, LEADS))
    leads = _vectors(stages.index, best[1][:, :LEADS])
    queries, real = _attended(conditional, regions, leads), best[1][:, :LEADS] >= 0
    near = _propose(queries, real, stages, WIDER * max(each, k), WIDER)
    new = [np.setdiff1d(a, b) for a, b in zip(near, proposed, strict=True)]
    return merge(best, *_rank(conditional, regions, stages.index, new, k), k)


def _attended(conditional: Conditional, regions: Regions, texts: Tensor) -> Tensor:
    """Return the attended region vector Σ_j α_j m_j of each study for each of its texts, averaged over its views.

    Texts (B, A, d) -> (B, A, d). Its dot product x with a text that attends to the same regions gives that text's
    score, 2 x - 2.
    """
    return conditional.attention_weights(regions, texts) @ regions.vectors.flatten(1, 2)


def _propose(queries: Tensor, real: Tensor | None, stages: Stages, count: int, breadth: int) -> list[Numbers]:
    """Return the row numbers, sorted, near any of the queries (B, Q, d) of each study.

    `real` (B, Q) is True where there is a query; None: everywhere.
    """
    B, Q = queries.shape[:2]
    mask = np.ones((B, Q), bool) if real is None else real.cpu().numpy()
    count = min(count, stages.index.rows)
    numbers = np.full((B, Q, count), -1, np.int64)
    numbers[mask] = stages.first.propose(queries.float().cpu().numpy()[mask], count, breadth)
    rows = [np.unique(of_study) for of_study in numbers]
    return [row[row >= 0] for row in rows]


def _rank(
    conditional: Conditional, regions: Regions, index: TextIndex, candidates: Sequence[Numbers], k: int
) -> tuple[Tensor, Tensor]:
    """Return the k best scores (B, k) and row numbers (B, k) of each study's own candidates; -1 after the last."""
    B, device = len(candidates), regions.half.device
    scores = torch.full((B, k), -torch.inf, device=device)
    numbers = torch.full((B, k), -1, dtype=torch.long, device=device)
    step = max(1, MAX_PAIRS // max(*map(len, candidates), 1))
    for start in range(0, B, step):
        rows = candidates[start : start + step]
        table = np.full((len(rows), max(map(len, rows))), -1, np.int64)
        for b, row in enumerate(rows):
            table[b, : len(row)] = row
        ids = torch.from_numpy(table).to(device)
        exact = conditional.scores(regions.rows(slice(start, start + step)), _vectors(index, ids))
        best = exact.masked_fill(ids < 0, -torch.inf).sort(dim=1, descending=True, stable=True)  # equals in order
        width = min(k, table.shape[1])
        scores[start : start + step, :width] = best.values[:, :width]
        numbers[start : start + step, :width] = ids.gather(1, best.indices[:, :width])
    return scores, numbers


def _vectors(index: TextIndex, numbers: Tensor) -> Tensor:
    """Return the vectors (B, n, d) of rows (B, n); the vector of row 0 for -1."""
    vectors = torch.from_numpy(index.vectors(numbers.clamp_min(0).flatten().cpu().numpy()))
    return vectors.to(numbers.device).reshape(*numbers.shape, index.dim)


def recall_of(numbers: Tensor, exact: Tensor) -> float:
    """Return the share, 0..1, of the exact search's row numbers (B, k) that are among `numbers` (B, k)."""
    same = (exact[:, :, None] == numbers[:, None]).any(-1) & (exact >= 0)
    return float(same.sum() / (exact >= 0).sum())
