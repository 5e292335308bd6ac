"""Search by scoring every stored text, and hold the result of any search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from reportgen_core.retrieval.index import TextIndex, TextRow

from .conditional import Conditional, Regions


class NearestTexts(NamedTuple):
    """The k best texts of B studies, best first."""

    rows: list[list[TextRow]]  # B lists of k
    scores: Tensor  # (B, k)
    vectors: Tensor  # (B, k, d)


def search(
    conditional: Conditional, regions: Regions, texts: Sequence[TextRow], vectors: Tensor, k: int
) -> NearestTexts:
    """Return the k best of texts with vectors (A, d). Equal scores are in the order of the texts."""
    scores = conditional.scores(regions, vectors)
    best = scores.sort(dim=1, descending=True, stable=True)
    numbers = best.indices[:, :k]
    rows = [[texts[i] for i in row] for row in numbers.tolist()]
    return NearestTexts(rows, best.values[:, :k], vectors[numbers])


def merge(best: tuple[Tensor, Tensor], scores: Tensor, numbers: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k best scores and numbers of `best`, both (B, j), and of new ones, both (B, n).

    Of equal scores the one with the lower number comes first.
    """
    values, ids = torch.cat([best[0], scores], 1), torch.cat([best[1], numbers], 1)
    order = ids.argsort(dim=1, stable=True)
    values, ids = values.gather(1, order), ids.gather(1, order)
    ranked = values.sort(dim=1, descending=True, stable=True)
    return ranked.values[:, :k], ids.gather(1, ranked.indices)[:, :k]


def live_blocks(index: TextIndex, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield row numbers (n,) and vectors (n, d) of an index, block by block, without the hidden rows."""
    hidden = torch.tensor(sorted(index.hidden), dtype=torch.long)
    for first, block in index.blocks():
        numbers = torch.arange(first, first + len(block))
        live = ~torch.isin(numbers, hidden)
        vectors = torch.tensor(block)  # a copy: the file is mapped for reading
        yield numbers[live].to(device), vectors[live].to(device)


def search_exactly(conditional: Conditional, regions: Regions, index: TextIndex, k: int) -> tuple[Tensor, Tensor]:
    """Score every text of an index, and return the k best scores (B, k) and their row numbers (B, k)."""
    B, device = len(regions.half), regions.half.device
    best = (torch.empty(B, 0, device=device), torch.empty(B, 0, dtype=torch.long, device=device))
    for numbers, vectors in live_blocks(index, device):
        best = merge(best, conditional.scores(regions, vectors), numbers.expand(B, -1), k)
    return best
