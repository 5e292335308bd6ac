"""Predict the next word with an LSTM: all words at once in training, one word for each step of generation.

For generation the input weights are multiplied into the embedding table once (`W_ih E + b`, one row for each word).
So a step of the first layer needs the recurrent product alone. The folded tables are stored until the weights change.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..text.spec import PAD
from .lstm_step import WeightCache, advance, gate_order
from .word_search import State


@dataclass(frozen=True, slots=True)
class Folded:
    """The weights of one generation step. The gates are in the order input, forget, output, cell."""

    table: Tensor  # (V, 4H): the gates' input from each word
    recurrent: tuple[Tensor, ...]  # for each layer: (H, 4H)
    inputs: tuple[Tensor, ...]  # for each layer above the first: (H, 4H)
    biases: tuple[Tensor, ...]  # for each layer above the first: (4H,)
    out: Tensor  # (H, V)


class WordLSTM(nn.Module):
    """Embedding, LSTM of one or two layers, and a linear layer to words, without bias as in the papers.

    `extra` is the width of a vector that every step reads together with the word, for example a topic; 0 for none.
    """

    def __init__(self, words: int, embedding: int, hidden: int, layers: int = 1, extra: int = 0) -> None:
        super().__init__()
        self.hidden, self.layers, self.extra = hidden, layers, extra
        self.embedding = nn.Embedding(words, embedding, padding_idx=PAD)
        self.lstm = nn.LSTM(extra + embedding, hidden, layers, batch_first=True)
        self.out = nn.Linear(hidden, words, bias=False)
        self._folded: WeightCache[Folded] = WeightCache()

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Return the hidden states (Σ lengths, H), row after row, of input vectors (R, T, ·) with `lengths` (R,)."""
        packed = nn.utils.rnn.pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = self.lstm(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=inputs.shape[1])
        real = torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]
        out: Tensor = padded[real]
        return out

    def zeros(self, like: Tensor) -> State:
        """Return the hidden and cell states (B, layers, H) before anything is read, for the rows of a tensor (B, ·)."""
        shape = (len(like), self.layers, self.hidden)
        return like.new_zeros(shape), like.new_zeros(shape)

    def advance(self, vectors: Tensor, state: State) -> tuple[Tensor, State]:
        """Read vectors (B, ·) as torch's LSTM does; return the logits (B, V), and the states (B, layers, H)."""
        hidden, cell = (s.transpose(0, 1).contiguous() for s in state)
        top, (hidden, cell) = self.lstm(vectors[:, None], (hidden, cell))
        return self.out(top[:, 0]), (hidden.transpose(0, 1), cell.transpose(0, 1))

    def begun(self, topic: Tensor) -> tuple[State, State]:
        """Return the states (B, layers, H) before BOS, and what every step reads: of topics (B, ·), one or the other.

        The topic is read by every step if there is room for it, else it is the first input.
        """
        zeros = self.zeros(topic)
        return (zeros, (topic,)) if self.extra else (self.advance(topic, zeros)[1], ())

    def read(self, words: Tensor, state: State, every: State) -> tuple[Tensor, State]:
        """Read words (B,) with the vectors that every step reads, as `advance` does."""
        logits, after = self.advance(torch.cat([*every, self.embedding(words)], -1), state)
        return logits.float(), after

    def start(self, rows: int, first: Tensor | None = None, extra: Tensor | None = None) -> State:
        """Return the state before BOS: zeros, or the state after reading `first` (R, embedding) if it is given.

        `extra` (R, ·) is read at every step. Its part of the gates is computed once and carried in the state.
        """
        folded, weight = self.fold(), self.out.weight
        zero = weight.new_zeros(rows, self.hidden, dtype=folded.out.dtype)
        state: State = (zero,) * self.layers + (zero.float(),) * self.layers
        inputs = self._weight("weight_ih", 0)
        if extra is not None:
            constant = F.linear(extra.to(weight.dtype), inputs[:, : self.extra])
            state = (*state, gate_order(constant).to(folded.table.dtype))
        if first is not None:
            bias = self._weight("bias_ih", 0) + self._weight("bias_hh", 0)
            gates = F.linear(first.to(weight.dtype), inputs[:, self.extra :], bias)
            state, _ = self._advance(folded, gate_order(gates).to(folded.table.dtype), state, zero=True)
        return state

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State, None]:
        """Read words (R,); return the logits (R, V) of the next words, the new state, and None for attention."""
        folded = self.fold()
        state, top = self._advance(folded, F.embedding(words, folded.table), state)
        return (top @ folded.out).float(), state, None

    def _advance(self, folded: Folded, gates: Tensor, state: State, zero: bool = False) -> tuple[State, Tensor]:
        """Advance all layers by one step. `gates` (R, 4H), from the first layer's input, are overwritten.

        `zero` means that the hidden state is zero, so that its product can be left out.
        """
        n = self.layers
        hidden, cells, rest = list(state[:n]), list(state[n : 2 * n]), state[2 * n :]
        if rest:
            gates = gates + rest[0]
        for layer in range(n):
            if layer:
                gates = torch.addmm(folded.biases[layer - 1], hidden[layer - 1], folded.inputs[layer - 1])
            if not zero:
                gates = gates.addmm_(hidden[layer], folded.recurrent[layer])
            hidden[layer], cells[layer] = advance(gates, cells[layer])
        return (*hidden, *cells, *rest), hidden[-1]

    def fold(self) -> Folded:
        """Return the folded weights, in autocast's dtype if autocast is on."""
        return self._folded.of([self.out.weight, self.embedding.weight, *self.lstm.parameters()], self._fold)

    def _weight(self, name: str, layer: int) -> Tensor:
        """Return a weight or bias of one layer of the LSTM, by torch's name, without gradient."""
        weight: Tensor = getattr(self.lstm, f"{name}_l{layer}").detach()
        return weight

    def _fold(self, dtype: torch.dtype) -> Folded:
        of = self._weight

        def transpose(weight: Tensor) -> Tensor:
            return gate_order(weight.T).contiguous().to(dtype)  # (4H, ·) -> (·, 4H)

        bias = [of("bias_ih", n) + of("bias_hh", n) for n in range(self.layers)]
        table = self.embedding.weight.detach() @ of("weight_ih", 0)[:, self.extra :].T + bias[0]  # (V, 4H)
        return Folded(
            table=gate_order(table).to(dtype),
            recurrent=tuple(transpose(of("weight_hh", n)) for n in range(self.layers)),
            inputs=tuple(transpose(of("weight_ih", n)) for n in range(1, self.layers)),
            biases=tuple(gate_order(bias[n]).to(dtype) for n in range(1, self.layers)),
            out=self.out.weight.detach().T.contiguous().to(dtype),
        )
