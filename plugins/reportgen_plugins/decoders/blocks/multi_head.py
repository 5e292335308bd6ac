"""Multi-head attention whose keys and values are computed apart, so that a search can hold them between its steps.

Vaswani et al.: Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762, section 3.2: each of h heads is
softmax(Q Kᵀ / √d_k) V, eq. 1; the heads are joined and projected. All four projections have a bias.

Letters: B studies, T queries, N keys, H width, h heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from reportgen_core.errors import OptionError


def check_sizes(name: str, hidden: int, layers: int, **heads: int) -> None:
    """Raise OptionError unless there is a layer, and `hidden` is even and a multiple of each number of heads."""
    if layers < 1:
        raise OptionError(f"{name} takes layers of at least 1, got {layers!r}")
    for option, count in heads.items():
        if count < 1 or hidden % count or hidden % 2:
            raise OptionError(f"{name} takes an even hidden that is a multiple of {option}, got {hidden} and {count}")


class MultiHeadAttention(nn.Module):
    """Multi-head attention over keys and values that `keys` makes.

    Args:
        hidden: width of queries, keys and outputs.
        heads: number of heads, which share the width.
        dropout: share of the weights that is dropped in training, 0..1.
    """

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.value, self.out = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)

    def split(self, vectors: Tensor) -> Tensor:
        """Divide vectors (B, N, H) among the heads: (B, h, N, H / h)."""
        heads: Tensor = vectors.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads

    def join(self, heads: Tensor) -> Tensor:
        """Join the heads (B, h, T, H / h), and project them: (B, T, H)."""
        out: Tensor = self.out(heads.transpose(1, 2).flatten(2))
        return out

    def keys(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and the values (B, h, N, H / h) of vectors (B, N, H)."""
        return self.split(self.key(vectors)), self.split(self.value(vectors))

    def scores(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Return Q Kᵀ / √d_k (B, h, T, N) of queries (B, T, H) and keys (B, h, N, H / h)."""
        split = self.split(self.query(queries))
        return split @ keys.transpose(2, 3) / math.sqrt(split.shape[-1])

    def forward(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the outputs (B, T, H) at queries (B, T, H), and the weights (B, h, T, N), each row of sum 1.

        `mask`, which is broadcast to (B, h, T, N), is True where a key is real.
        """
        scores = self.scores(queries, keys).float()
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        weights = scores.softmax(-1)
        return self.join(self.dropout(weights).to(values.dtype) @ values), weights
