"""Compute one step of an LSTM for generation, with weights that are rearranged once for speed.

The gates come in the order input, forget, output, cell. The rearranged weights are stored until a weight changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

T = TypeVar("T")


class WeightCache(Generic[T]):
    """Store a value computed from weights, until one of them, its device or autocast's dtype changes."""

    def __init__(self) -> None:
        self._entry: tuple[tuple[object, ...], T] | None = None

    def of(self, weights: Sequence[Tensor], make: Callable[[torch.dtype], T]) -> T:
        """Return `make(dtype)`, computed again only if `weights` changed. The dtype is autocast's if autocast is on."""
        kind, dtype = weights[0].device.type, weights[0].dtype
        if torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
        key = (dtype, *((w.data_ptr(), w._version, w.device) for w in weights))
        if self._entry is None or self._entry[0] != key:
            with torch.autocast(kind, enabled=False), torch.no_grad():
                self._entry = (key, make(dtype))
        return self._entry[1]


class StepCell(nn.LSTMCell):
    """torch's LSTM cell. Without gradients, one product multiplies input and state by both weights."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self._step_weights: WeightCache[tuple[Tensor, Tensor]] = WeightCache()

    def forward(self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Return the next hidden and cell state (R, H), from inputs (R, ·) and a state; None is a state of zeros."""
        if state is None or torch.is_grad_enabled():
            after: tuple[Tensor, Tensor] = super().forward(inputs, state)
            return after
        weight, bias = self._step_weights.of(list(self.parameters()), self._join_weights)
        hidden, cell = state
        gates = few_rows(joined(inputs, hidden, weight.dtype), weight)
        return advance(gates.add_(bias), cell.float())

    def _join_weights(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return both weights as one (4H, · + H), and the sum of the biases (4H,)."""
        weight = gate_order(torch.cat([self.weight_ih, self.weight_hh], 1).T).T
        return weight.contiguous().to(dtype), gate_order(self.bias_ih + self.bias_hh).to(dtype)


@dataclass(frozen=True, slots=True)
class WordCell:
    """The weights of an LSTM cell for generation. A step of the cell reads a word and, optionally, one more vector."""

    table: Tensor  # (V, 4H): the gates' input from each word, with the bias
    weight: Tensor  # (4H, H + ·): of the state and the further vector; without such a vector (H, 4H)

    @classmethod
    def build(
        cls, words: Tensor, inputs: Tensor, recurrent: Tensor, bias: Tensor | None, dtype: torch.dtype
    ) -> WordCell:
        """Build a cell from embeddings (V, E), weights (4H, E + ·) and (4H, H), and the sum of the biases (4H,)."""
        E = words.shape[1]
        table = gate_order(F.linear(words, inputs[:, :E], bias)).to(dtype)
        weight = gate_order(torch.cat([recurrent, inputs[:, E:]], 1).T)
        return cls(table, (weight.T if inputs.shape[1] > E else weight).contiguous().to(dtype))

    def __call__(
        self, words: Tensor, hidden: Tensor, cell: Tensor, vector: Tensor | None = None, gates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the next hidden and cell state (R, H), after words (R,) and a further vector (R, ·).

        `gates` (R, 4H), in `gate_order`, are added to the gates.
        """
        total = F.embedding(words, self.table)
        if vector is None:
            total.addmm_(hidden.to(self.weight.dtype), self.weight)
        else:
            total += few_rows(joined(hidden, vector, self.weight.dtype), self.weight)
        return advance(total if gates is None else total.add_(gates), cell.float())


class JoinedLinears:
    """Linear layers that read the same vector. Without gradients, one product computes all of them.

    The layers belong to another module. Either all of them have a bias or none has.
    """

    def __init__(self, *layers: nn.Linear) -> None:
        self.layers = layers
        self._step_weights: WeightCache[tuple[Tensor, Tensor | None]] = WeightCache()

    def __call__(self, vector: Tensor) -> tuple[Tensor, ...]:
        """Return the output of each layer for the same vector (B, ·)."""
        if torch.is_grad_enabled():
            return tuple(layer(vector) for layer in self.layers)
        weight, bias = self._step_weights.of(
            [w for layer in self.layers for w in layer.parameters()], self._join_weights
        )
        joined_outputs = few_rows(vector.to(weight.dtype), weight)
        if bias is not None:
            joined_outputs = joined_outputs + bias
        outputs: tuple[Tensor, ...] = joined_outputs.split([layer.out_features for layer in self.layers], -1)
        return outputs

    def _join_weights(self, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """Return all weights as one (Σ ·, ·), and all biases as one (Σ ·,), or None if the layers have no bias."""
        weight = torch.cat([layer.weight for layer in self.layers]).to(dtype)
        if self.layers[0].bias is None:
            return weight, None
        return weight, torch.cat([layer.bias for layer in self.layers]).to(dtype)


def joined(first: Tensor, second: Tensor, dtype: torch.dtype) -> Tensor:
    """Return (R, ·) and (R, ·) concatenated along the last dimension, in `dtype`."""
    return torch.cat([first.to(dtype), second.to(dtype)], -1)


def few_rows(vectors: Tensor, weight: Tensor) -> Tensor:
    """Return vectors (R, K) · weight (N, K)ᵀ -> (R, N), fast if R is small and reading the weight takes most time."""
    return (weight @ vectors.T).T.contiguous()


def gate_order(gates: Tensor) -> Tensor:
    """Reorder torch's gates along the last dimension, i f g o -> i f o g, so that one sigmoid covers three of them."""
    i, f, g, o = gates.chunk(4, -1)
    return torch.cat([i, f, o, g], -1)


def advance(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return hidden (R, H), in the dtype of the gates, and cell (R, H) in float32. Overwrites the gates (R, 4H)."""
    H = cell.shape[-1]
    open_ = gates[:, : 3 * H].sigmoid_()
    new = gates[:, 3 * H :].tanh_()
    cell = torch.addcmul(open_[:, H : 2 * H] * cell, open_[:, :H], new)
    return open_[:, 2 * H :] * cell.tanh().to(gates.dtype), cell
