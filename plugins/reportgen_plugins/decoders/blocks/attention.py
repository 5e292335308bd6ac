"""Additive attention over a set of vectors, as equations 2 and 3 of Jing et al. have it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AdditiveAttention(nn.Module):
    """α_n ∝ exp(w · tanh(W v_n + U h)), over the real ones of N vectors.

    The share of the vectors, W v_n, does not change while a report is written: `keys` computes it once.
    """

    def __init__(self, width: int, state: int, hidden: int, *, bias: bool = False) -> None:
        super().__init__()
        self.key = nn.Linear(width, hidden, bias=bias)
        self.query = nn.Linear(state, hidden, bias=bias)
        self.score = nn.Linear(hidden, 1, bias=False)  # a bias here would cancel in the softmax

    def keys(self, vectors: Tensor) -> Tensor:
        """(B, N, width) -> (B, N, hidden)."""
        keys: Tensor = self.key(vectors)
        return keys

    def forward(self, keys: Tensor, state: Tensor, mask: Tensor | None = None) -> Tensor:
        """keys (B, N, hidden), state (B·n, ·), mask (B, N) True where real -> weights (B·n, N) that sum to 1."""
        return self.weigh(keys, self.query(state), mask)

    def weigh(self, keys: Tensor, queries: Tensor, mask: Tensor | None = None) -> Tensor:
        """The same from states' shares U h (B·n, hidden), n of them to a set of keys: weights (B·n, N)."""
        asked = queries.unflatten(0, (len(keys), -1))  # (B, n, hidden)
        scores = self.score((keys[:, None] + asked[:, :, None]).tanh_()).squeeze(-1).float()  # (B, n, N)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None], -torch.inf)
        weights: Tensor = scores.softmax(-1).flatten(0, 1)
        return weights


def attend(weights: Tensor, vectors: Tensor) -> Tensor:
    """Σ_n α_n v_n: weights (B·n, N), n to a set of vectors (B, N, D) -> (B·n, D)."""
    return torch.bmm(weights.to(vectors.dtype).unflatten(0, (len(vectors), -1)), vectors).flatten(0, 1)
