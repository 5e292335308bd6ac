"""soft-att: an LSTM that attends to the regions of the image again for every word and writes the report as one row.

Xu et al.: Show, Attend and Tell: Neural Image Caption Generation with Visual Attention, ICML 2015, arXiv:1502.03044,
the deterministic "soft" attention; equation numbers are the paper's.

- f_att of eq. 4 is the additive one, w · tanh(W a_i + U h_(t-1)) (Bahdanau et al.).
- f_init,h and f_init,c are one layer with tanh each on the mean of the regions (section 3.1.2).
- The gate β_t = σ(f_β(h_(t-1))) of section 4.2.1 is one number for each step, on z_t = β_t Σ α_i a_i.
- Eq. 7: p ∝ exp(L_o (E y_(t-1) + L_h h_t + L_z z_t)). The L have no biases, as printed.
- Eq. 14's term Σ_i (1 - Σ_t α_ti)² is loss attention, over real regions; its λ is the training setting `weights`.
- The loss is the sum over the words of a study, mean over studies.

Letters: B studies, R rows of a search, N regions, D their width, H hidden, E embedding, T words, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reportgen_core import Decoded, Decoder, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.text.spec import PAD
from reportgen_core.writing.attention import AdditiveAttention, attend
from reportgen_core.writing.lstm_step import WeightCache, WordCell, few_rows, joined
from reportgen_core.writing.report_words import StudyMemory, most_words, shift_targets, to_generated, word_loss
from reportgen_core.writing.word_search import SEARCH_SETTINGS, State, search


@dataclass(frozen=True, slots=True)
class _StepWeights:
    """The weights of one generation step."""

    cell: WordCell  # eq. 1-3
    queries: Tensor  # (H + 1, H): U of eq. 4 and f_β
    words: Tensor  # (V, E)
    deep: Tensor  # (E, H + D): L_h and L_z
    out: Tensor  # (V, E): L_o


class SoftAttentionLSTM(Decoder):
    """Show, Attend and Tell with soft attention.

    Args:
        hidden: numbers of the state of the LSTM.
        embedding: numbers of a word vector.
        dropout: share of the inputs and outputs of the LSTM that is dropped in training, 0..1.
    """

    needs = frozenset({"words"})
    follows = SEARCH_SETTINGS

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        hidden: int = 512,
        embedding: int = 512,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(features, targets)
        V, D = len(targets.words), features.dim
        self.embedding = nn.Embedding(V, embedding, padding_idx=PAD)
        self.first_hidden, self.first_cell = nn.Linear(D, hidden), nn.Linear(D, hidden)  # f_init,h and f_init,c
        self.attention = AdditiveAttention(D, hidden, hidden)  # eq. 4
        self.gate = nn.Linear(hidden, 1)  # f_β
        self.cell = nn.LSTMCell(embedding + D, hidden)  # eq. 1-3
        self.from_hidden = nn.Linear(hidden, embedding, bias=False)  # L_h
        self.from_context = nn.Linear(D, embedding, bias=False)  # L_z
        self.out = nn.Linear(embedding, V, bias=False)  # L_o
        self.dropout = nn.Dropout(dropout)
        self._step_weights: WeightCache[_StepWeights] = WeightCache()

    def start(self, features: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Return h_0 and c_0 (B, H), and W a_i of eq. 4 (B, N, H)."""
        share = features.mask / features.mask.sum(1, keepdim=True).clamp(min=1)  # (B, N)
        mean = torch.einsum("bn,bnd->bd", share.to(features.tokens.dtype), features.tokens)
        hidden, cell = torch.tanh(self.first_hidden(mean)), torch.tanh(self.first_cell(mean))
        return hidden, cell, self.attention.keys(features.tokens)

    def context(self, tokens: Tensor, mask: Tensor, keys: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Return z_t (R, D) and α_t (R, N) at h_(t-1) (R, H), for R / B rows of each study."""
        weights = self.attention(keys, hidden, mask)  # eq. 4-5
        return self.gate(hidden).sigmoid() * attend(weights, tokens), weights

    def logits(self, embedded: Tensor, hidden: Tensor, context: Tensor) -> Tensor:
        """Return eq. 7, the deep output, before the softmax."""
        logits: Tensor = self.out(self.dropout(embedded + self.from_hidden(hidden) + self.from_context(context)))
        return logits

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return the losses word and attention, eq. 14, with teacher forcing."""
        assert targets.words is not None
        inputs, wanted, real = shift_targets(targets.words)
        embedded = self.dropout(self.embedding(inputs))  # (B, T, E)
        hidden, cell, keys = self.start(features)
        states, contexts, alphas = [], [], []
        for t in range(max(int(real.sum(1).max()), 1)):
            context, alpha = self.context(features.tokens, features.mask, keys, hidden)
            hidden, cell = self.cell(torch.cat([embedded[:, t], context], -1), (hidden, cell))
            states.append(hidden)
            contexts.append(context)
            alphas.append(alpha)
        real = real[:, : len(states)]
        wanted, embedded = wanted[:, : len(states)], embedded[:, : len(states)]
        out = word_loss(
            self.logits(embedded[real], torch.stack(states, 1)[real], torch.stack(contexts, 1)[real]), wanted, real
        )
        lack = 1 - (torch.stack(alphas, 1) * real[..., None]).sum(1)  # (B, N)
        spread = (lack.square() * features.mask).sum(1)  # (B,)
        return replace(out, losses={**out.losses, "attention": (spread * real[:, 0]).sum() / len(real)})

    def first_state(self, features: Features) -> tuple[State, State]:
        """Return h_0 and c_0 (B, H), and tokens, mask and keys of the regions."""
        hidden, cell, keys = self.start(features)
        return (hidden, cell), (features.tokens, features.mask, keys)

    def next_word(self, words: Tensor, state: State, memory: State) -> tuple[Tensor, State]:
        """Return the logits (B, V) after words (B,), and the new state."""
        embedded = self.embedding(words)
        tokens, mask, keys = memory
        context, _ = self.context(tokens, mask, keys, state[0])
        hidden, cell = self.cell(torch.cat([embedded, context], -1), (state[0], state[1]))
        return self.logits(embedded, hidden, context), (hidden, cell)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write the reports of all studies together, with weights that are rearranged for it."""
        hidden, cell, keys = self.start(features)
        memory, weights = StudyMemory(features.tokens, features.mask, keys), self._weights()

        def step(words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
            hidden, cell, studies = state
            tokens, mask, keys = memory.of(studies)
            queries = few_rows(hidden.to(weights.queries.dtype), weights.queries)
            alpha = self.attention.weigh(keys, queries[:, :-1], mask)  # eq. 4-5
            context = (queries[:, -1:] + self.gate.bias).sigmoid() * attend(alpha, tokens)
            hidden, cell = weights.cell(words, hidden, cell, context)
            deep = F.embedding(words, weights.words)
            deep += few_rows(joined(hidden, context, weights.deep.dtype), weights.deep)
            return few_rows(deep, weights.out).float(), (hidden, cell, studies), alpha  # eq. 7

        state = (hidden, cell, torch.arange(len(hidden), device=hidden.device))
        length = most_words(self.targets, settings)
        result = search(step, state, settings, rows=len(hidden), max_words=length)
        return to_generated(result, settings)

    def _weights(self) -> _StepWeights:
        """Return the weights of a generation step, in autocast's dtype if autocast is on."""
        cell, words = self.cell, self.embedding.weight

        def build(dtype: torch.dtype) -> _StepWeights:
            queries = torch.cat([self.attention.query.weight, self.gate.weight])
            deep = torch.cat([self.from_hidden.weight, self.from_context.weight], 1)
            step_cell = WordCell.build(words, cell.weight_ih, cell.weight_hh, cell.bias_ih + cell.bias_hh, dtype)
            return _StepWeights(step_cell, *(w.to(dtype) for w in (queries, words, deep, self.out.weight)))

        return self._step_weights.of(list(self.parameters()), build)
