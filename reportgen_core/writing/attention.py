"""Compute additive attention over a set of vectors: equations 2 and 3 of Jing et al., arXiv:1711.08195."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AdditiveAttention(nn.Module):
    """Additive attention α_n ∝ exp(w · tanh(W v_n + U h)) over the real vectors of N.

    W v_n does not change while a report is written, so `keys` computes it once.
    """

    def __init__(self, width: int, state: int, hidden: int, *, bias: bool = False) -> None:
        super().__init__()
        self.key = nn.Linear(width, hidden, bias=bias)
        self.query = nn.Linear(state, hidden, bias=bias)
        self.score = nn.Linear(hidden, 1, bias=False)  # a bias here would cancel in the softmax

    def keys(self, vectors: Tensor) -> Tensor:
        """Return W v_n: vectors (B, N, width) -> (B, N, hidden)."""
        keys: Tensor = self.key(vectors)
        return keys

    def forward(self, keys: Tensor, state: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the weights α (B·n, N), each row of sum 1, of keys (B, N, hidden) at states (B·n, ·).

        There are n states for each of the B sets of vectors. `mask` (B, N) is True where a vector is real.
        """
        return self.weigh(keys, self.query(state), mask)

    def weigh(self, keys: Tensor, queries: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the weights α (B·n, N) from the queries U h (B·n, hidden), as `forward` does from the states h."""
        grouped = queries.unflatten(0, (len(keys), -1))  # (B, n, hidden)
        scores = self.score((keys[:, None] + grouped[:, :, None]).tanh_()).squeeze(-1).float()  # (B, n, N)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None], -torch.inf)
        weights: Tensor = scores.softmax(-1).flatten(0, 1)
        return weights


def attend(weights: Tensor, vectors: Tensor) -> Tensor:
    """Return Σ_n α_n v_n: weights (B·n, N), n rows for each set of vectors (B, N, D) -> (B·n, D)."""
    return torch.bmm(weights.to(vectors.dtype).unflatten(0, (len(vectors), -1)), vectors).flatten(0, 1)
