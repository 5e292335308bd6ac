"""A word LSTM that predicts the next word, taught all words at once and generating one word a step.

For generation the input weights are multiplied into the embedding table once (`W_ih E + b`, one row a word), so that a
step of the first layer costs the recurrent product alone. The folded tables are kept until the weights change.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reportgen_core.text.spec import PAD

from .lstm_step import Kept, advance, gate_order
from .search import State


@dataclass(frozen=True, slots=True)
class Folded:
    """The weights of one generation step, laid out for it. Gates stand in the order input, forget, output, cell."""

    table: Tensor  # (V, 4H): what each word adds to the gates
    recurrent: tuple[Tensor, ...]  # a layer: (H, 4H)
    inputs: tuple[Tensor, ...]  # a layer above the first: (H, 4H)
    biases: tuple[Tensor, ...]  # a layer above the first: (4H,)
    out: Tensor  # (H, V)


class WordLSTM(nn.Module):
    """Embedding, LSTM of one or two layers, and a linear layer to words, without bias as in the papers.

    `beside` is the width of a vector that stands beside every word's embedding (a topic, say); 0 for none.
    """

    def __init__(self, words: int, embedding: int, hidden: int, layers: int = 1, beside: int = 0) -> None:
        super().__init__()
        self.hidden, self.layers, self.beside = hidden, layers, beside
        self.embedding = nn.Embedding(words, embedding, padding_idx=PAD)
        self.lstm = nn.LSTM(beside + embedding, hidden, layers, batch_first=True)
        self.out = nn.Linear(hidden, words, bias=False)
        self._folded: Kept[Folded] = Kept()

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Run over ready input vectors (R, T, ·) of these lengths: hidden states (Σ lengths, H), row after row."""
        packed = nn.utils.rnn.pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        states, _ = self.lstm(packed)
        padded, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=inputs.shape[1])
        real = torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]
        out: Tensor = padded[real]
        return out

    def start(self, rows: int, first: Tensor | None = None, beside: Tensor | None = None) -> State:
        """The state before BOS: after reading `first` (R, embedding) if it is given, from zeros.

        `beside` (R, ·) stands beside every word; its share of the gates is computed once and carried in the state.
        """
        folded, weight = self.fold(), self.out.weight
        zero = weight.new_zeros(rows, self.hidden, dtype=folded.out.dtype)
        state: State = (zero,) * self.layers + (zero.float(),) * self.layers
        inputs = self._weight("weight_ih", 0)
        if beside is not None:
            constant = F.linear(beside.to(weight.dtype), inputs[:, : self.beside])
            state = (*state, gate_order(constant).to(folded.table.dtype))
        if first is not None:
            bias = self._weight("bias_ih", 0) + self._weight("bias_hh", 0)
            gates = F.linear(first.to(weight.dtype), inputs[:, self.beside :], bias)
            state, _ = self._advance(folded, gate_order(gates).to(folded.table.dtype), state, zero=True)
        return state

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State, None]:
        """One word further: words (R,) -> logits (R, V) and the state (see `search.Step`)."""
        folded = self.fold()
        state, top = self._advance(folded, F.embedding(words, folded.table), state)
        return (top @ folded.out).float(), state, None

    def _advance(self, folded: Folded, gates: Tensor, state: State, zero: bool = False) -> tuple[State, Tensor]:
        """One step of all layers, from the first layer's input share of the gates (R, 4H), which is used up.

        `zero`: the hidden state is zero and adds nothing.
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
        """The folded weights, in autocast's dtype where that is on."""
        return self._folded.of([self.out.weight, self.embedding.weight, *self.lstm.parameters()], self._fold)

    def _weight(self, name: str, layer: int) -> Tensor:
        """A tensor of the LSTM, as torch names it."""
        found: Tensor = getattr(self.lstm, f"{name}_l{layer}").detach()
        return found

    def _fold(self, dtype: torch.dtype) -> Folded:
        of = self._weight

        def lay(weight: Tensor) -> Tensor:
            return gate_order(weight.T).contiguous().to(dtype)  # (4H, ·) -> (·, 4H)

        bias = [of("bias_ih", n) + of("bias_hh", n) for n in range(self.layers)]
        table = self.embedding.weight.detach() @ of("weight_ih", 0)[:, self.beside :].T + bias[0]  # (V, 4H)
        return Folded(
            table=gate_order(table).to(dtype),
            recurrent=tuple(lay(of("weight_hh", n)) for n in range(self.layers)),
            inputs=tuple(lay(of("weight_ih", n)) for n in range(1, self.layers)),
            biases=tuple(gate_order(bias[n]).to(dtype) for n in range(1, self.layers)),
            out=self.out.weight.detach().T.contiguous().to(dtype),
        )
