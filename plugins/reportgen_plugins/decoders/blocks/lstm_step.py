"""One step of an LSTM as generation takes it: gates in the order input, forget, output, cell; weights laid out for it.

What is laid out of the weights is kept until one of them changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

T = TypeVar("T")


class Kept(Generic[T]):
    """Something made of weights, made again when one of them, its device or autocast's dtype changes."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[object, ...], T] | None = None

    def of(self, weights: Sequence[Tensor], make: Callable[[torch.dtype], T]) -> T:
        """What `make` makes of these weights, in autocast's dtype where that is on."""
        kind, dtype = weights[0].device.type, weights[0].dtype
        if torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
        key = (dtype, *((w.data_ptr(), w._version, w.device) for w in weights))
        if self._kept is None or self._kept[0] != key:
            with torch.autocast(kind, enabled=False), torch.no_grad():
                self._kept = (key, make(dtype))
        return self._kept[1]


class StepCell(nn.LSTMCell):
    """torch's LSTM cell, which without gradients multiplies input and state by both weights at once."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__(inputs, hidden)
        self._laid: Kept[tuple[Tensor, Tensor]] = Kept()

    def forward(self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """inputs (R, ·), hidden and cell state (R, H) -> hidden and cell state (R, H)."""
        if state is None or torch.is_grad_enabled():
            after: tuple[Tensor, Tensor] = super().forward(inputs, state)
            return after
        weight, bias = self._laid.of(list(self.parameters()), self._lay)
        hidden, cell = state
        gates = few_rows(joined(inputs, hidden, weight.dtype), weight)
        return advance(gates.add_(bias), cell.float())

    def _lay(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The weights (4H, · + H) and the bias (4H,)."""
        weight = gate_order(torch.cat([self.weight_ih, self.weight_hh], 1).T).T
        return weight.contiguous().to(dtype), gate_order(self.bias_ih + self.bias_hh).to(dtype)


@dataclass(frozen=True, slots=True)
class WordCell:
    """An LSTM cell that reads a word and, where it has one, a vector beside it, laid out for generation."""

    table: Tensor  # (V, 4H): what each word gives to the gates, the bias with it
    weight: Tensor  # (4H, H + ·): of the state and the vector beside the word; without such a vector (H, 4H)

    @classmethod
    def lay(cls, words: Tensor, inputs: Tensor, recurrent: Tensor, bias: Tensor | None, dtype: torch.dtype) -> WordCell:
        """From embeddings (V, E), torch's weights (4H, E + ·) and (4H, H), and the sum of its biases (4H,)."""
        E = words.shape[1]
        table = gate_order(F.linear(words, inputs[:, :E], bias)).to(dtype)
        weight = gate_order(torch.cat([recurrent, inputs[:, E:]], 1).T)
        return cls(table, (weight.T if inputs.shape[1] > E else weight).contiguous().to(dtype))

    def __call__(
        self, words: Tensor, hidden: Tensor, cell: Tensor, beside: Tensor | None = None, gates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """words (R,), state (R, H), `beside` (R, ·), `gates` (R, 4H) in `gate_order` that are added -> the state."""
        found = F.embedding(words, self.table)
        if beside is None:
            found.addmm_(hidden.to(self.weight.dtype), self.weight)
        else:
            found += few_rows(joined(hidden, beside, self.weight.dtype), self.weight)
        return advance(found if gates is None else found.add_(gates), cell.float())


class Together:
    """Linear layers that read the same vector, without gradients in one product; it owns none of them.

    Either all of them have a bias or none has.
    """

    def __init__(self, *layers: nn.Linear) -> None:
        self.layers = layers
        self._laid: Kept[tuple[Tensor, Tensor | None]] = Kept()

    def __call__(self, vector: Tensor) -> tuple[Tensor, ...]:
        """(B, ·) -> what each layer says of it."""
        if torch.is_grad_enabled():
            return tuple(layer(vector) for layer in self.layers)
        weight, bias = self._laid.of([w for layer in self.layers for w in layer.parameters()], self._lay)
        said = few_rows(vector.to(weight.dtype), weight)
        if bias is not None:
            said = said + bias
        shares: tuple[Tensor, ...] = said.split([layer.out_features for layer in self.layers], -1)
        return shares

    def _lay(self, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        """The weights (Σ ·, ·) and, where the layers have one, the bias (Σ ·,)."""
        weight = torch.cat([layer.weight for layer in self.layers]).to(dtype)
        if self.layers[0].bias is None:
            return weight, None
        return weight, torch.cat([layer.bias for layer in self.layers]).to(dtype)


def joined(first: Tensor, second: Tensor, dtype: torch.dtype) -> Tensor:
    """(R, ·) and (R, ·) side by side in that dtype."""
    return torch.cat([first.to(dtype), second.to(dtype)], -1)


def few_rows(vectors: Tensor, weight: Tensor) -> Tensor:
    """vectors (R, K) · weight (N, K)ᵀ -> (R, N), for so few rows that reading the weight is what costs."""
    return (weight @ vectors.T).T.contiguous()


def gate_order(gates: Tensor) -> Tensor:
    """torch's order of gates along the last dimension, i f g o -> i f o g, so that one sigmoid serves three of them."""
    i, f, g, o = gates.chunk(4, -1)
    return torch.cat([i, f, o, g], -1)


def advance(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """The LSTM's nonlinear part on gates (R, 4H), which are used up: hidden (R, H) in their dtype, cell in float32."""
    H = cell.shape[-1]
    open_ = gates[:, : 3 * H].sigmoid_()
    new = gates[:, 3 * H :].tanh_()
    cell = torch.addcmul(open_[:, H : 2 * H] * cell, open_[:, :H], new)
    return open_[:, 2 * H :] * cell.tanh().to(gates.dtype), cell
