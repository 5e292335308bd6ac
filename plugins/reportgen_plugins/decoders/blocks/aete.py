"""Attention-encoded text embedding: a report's hidden states, weighted by several attentions over its words.

Wang et al., TieNet: Text-Image Embedding Network for Common Thorax Disease Classification and Reporting in Chest
X-rays, CVPR 2018, arXiv:1801.04334, section 3.2, after Lin et al., A Structured Self-attentive Sentence Embedding,
ICLR 2017, arXiv:1703.03130.

- Eq. 3's softmax runs along the words, as in Lin et al.: each of the r rows of G sums to 1 over a report's words.
- "M = GH" with H (dh × T) has the wrong shape; M = G Hᵀ is meant.
- The penalty, whose formula TieNet leaves out, is Lin et al.'s ||G Gᵀ - I||², squared Frobenius norm.
- Sizes: "s = 2000 in W_s1 and W_s2" and, of the same layer, "a hidden layer with 350 units". The second
  sentence is from Lin et al. (with its rows and its coefficient of 1), who have 350 units in this layer and 2000 in a
  layer that TieNet lacks. s = 350 is the default; 2000 is an option and five times the work. The LSTM has the paper's
  "256 dimensional cell".

Letters: B studies, T words, H hidden (dh), r rows, s attention units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AttentionEncodedText(nn.Module):
    """Compute G, eq. 3, and the embedding of a report."""

    def __init__(self, hidden: int, units: int, rows: int) -> None:
        super().__init__()
        self.first = nn.Linear(hidden, units, bias=False)  # W_s1
        self.second = nn.Linear(units, rows, bias=False)  # W_s2

    def weights(self, states: Tensor, real: Tensor) -> Tensor:
        """Return G (B, r, T) of states (B, T, H) and a mask `real` (B, T) that is True at least once in each row."""
        scores = self.second(torch.tanh(self.first(states))).float().transpose(1, 2)  # (B, T, r) -> (B, r, T)
        weights: Tensor = scores.masked_fill(~real[:, None], -torch.inf).softmax(-1)  # eq. 3
        return weights

    def embed(self, weights: Tensor, states: Tensor) -> Tensor:
        """Return the maximum over the r rows of M = G Hᵀ: weights (B, r, T) and states (B, T, H) -> (B, H)."""
        return torch.bmm(weights.to(states.dtype), states).amax(1)


def saliency(weights: Tensor) -> Tensor:
    """Return g_t, the largest weight that any row gives to a word: (B, r, T) -> (B, T)."""
    return weights.amax(1)


def penalty(weights: Tensor) -> Tensor:
    """Return ||G Gᵀ - I||² of each study, (B, r, T) -> (B,): small if the rows attend to different words."""
    overlap = torch.bmm(weights, weights.transpose(1, 2))  # (B, r, r)
    return (overlap - torch.eye(overlap.shape[1], device=overlap.device)).square().sum((1, 2))
