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
        """keys (B, N, hidden), state (B, ·), mask (B, N) True where real -> weights (B, N) that sum to 1."""
        return self.weigh(keys, self.query(state), mask)

    def weigh(self, keys: Tensor, query: Tensor, mask: Tensor | None = None) -> Tensor:
        """The same from the state's share, U h (B, hidden)."""
        scores = self.score((keys + query[:, None]).tanh_()).squeeze(-1).float()  # (B, N)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        weights: Tensor = scores.softmax(-1)
        return weights


def attend(weights: Tensor, vectors: Tensor) -> Tensor:
    """Σ_n α_n v_n: weights (B, N), vectors (B, N, D) -> (B, D)."""
    return torch.bmm(weights[:, None].to(vectors.dtype), vectors).squeeze(1)
