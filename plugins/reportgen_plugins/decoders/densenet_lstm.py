"""densenet-lstm: an LSTM with the pooled image in its gates and soft attention after its cell, for a report as one row.

The paper is the one of Nanjing Drum Tower Hospital, where a DenseNet-121, an LSTM and soft attention write the Chinese
impressions of chest radiographs. Equations 1-3, the gates, are lost in its text; 4-7 are as printed:

- Gates: W_y E y_(t-1) + W_h h_(t-1) + W_v V_gav in all four, without biases, from zero states. The paper explains V_gav
  with the gates, and eq. 4 needs h_t; so attention comes after the cell.
- Eq. 4: α_t = softmax(W_p,h h_t + W_1,c V): W_p,h gives one number to each position. So the number of positions,
  and with it the size of the image, is part of the model. No tanh and no common hidden layer, unlike Xu et al.
- Eq. 5: C_t = Σ_n α_t,n V_n. Eq. 6: p_t ∝ exp(W_e,h h_t + W_e,c C_t).
- Eq. 7: -(1/l) Σ log p, l words and the end mark; mean over the studies. (The minus is lost in the text.)
- "e is the vocabulary size", but E y should have the embedding's 256 numbers. So there are two sizes, E (m, e) and
  W_e,h (e, h).

The fixed dense blocks, histogram equalisation and the size of the images are options of the encoder; the recipe
`chinese` writes rare words <nou>; beam 3 is a setting of generation.

Letters: B studies, R rows of a search, N positions, D channels, P pooled width, H hidden, E embedding, V vocabulary.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reportgen_core import Decoded, Decoder, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.text.spec import PAD
from reportgen_core.writing.attention import attend
from reportgen_core.writing.lstm_step import WeightCache, WordCell, gate_order
from reportgen_core.writing.report_words import StudyMemory, most_words, shift_targets, to_generated
from reportgen_core.writing.word_search import SEARCH_SETTINGS, State, search


class PooledGateLSTM(Decoder):
    """The report writer of the DenseNet-LSTM paper. The options' defaults are the paper's.

    Args:
        hidden: numbers of the state of the LSTM.
        embedding: numbers of a word vector.
    """

    needs = frozenset({"words"})
    follows = SEARCH_SETTINGS

    def __init__(self, features: FeatureSpec, targets: TargetSpec, *, hidden: int = 512, embedding: int = 256) -> None:
        super().__init__(features, targets)
        V = len(targets.words)
        self.embedding = nn.Embedding(V, embedding, padding_idx=PAD)
        self.lstm = nn.LSTM(embedding + features.pooled, hidden, bias=False, batch_first=True)  # eq. 1-3
        self.place = nn.Linear(hidden, features.tokens, bias=False)  # W_p,h
        self.region = nn.Linear(features.dim, 1, bias=False)  # W_1,c
        self.from_hidden = nn.Linear(hidden, V, bias=False)  # W_e,h
        self.from_context = nn.Linear(features.dim, V, bias=False)  # W_e,c
        self._step_weights: WeightCache[WordCell] = WeightCache()

    def attend(self, hidden: Tensor, tokens: Tensor, mask: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Return C_t (B·n, D) and α_t (B·n, N), eq. 4-5, of states (B·n, H), n for each study.

        `scores` (B, N) are W_1,c V.
        """
        scores = self.place(hidden).unflatten(0, (len(tokens), -1)) + scores[:, None]  # (B, n, N)
        weights = scores.float().masked_fill(~mask[:, None], -torch.inf).softmax(-1)
        weights = weights.flatten(0, 1)
        return attend(weights, tokens), weights

    def region_scores(self, features: Features) -> Tensor:
        """Return W_1,c V (B, N)."""
        scores: Tensor = self.region(features.tokens).squeeze(-1)
        return scores

    def logits(self, hidden: Tensor, context: Tensor) -> Tensor:
        """Return eq. 6 before the softmax."""
        logits: Tensor = self.from_hidden(hidden) + self.from_context(context)
        return logits

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return loss word, eq. 7, with teacher forcing."""
        assert targets.words is not None
        inputs, wanted, real = shift_targets(targets.words)
        image = features.pooled[:, None].expand(-1, inputs.shape[1], -1)  # (B, T, P)
        states, _ = self.lstm(torch.cat([self.embedding(inputs), image], -1))  # states after the end are dropped
        scores = self.region_scores(features)
        context, _ = self.attend(states.flatten(0, 1), features.tokens, features.mask, scores)
        counts = real.flatten()
        logits = self.logits(states.flatten(0, 1)[counts], context[counts])  # (Σ T, V)
        nats = F.cross_entropy(logits.float(), wanted[real], reduction="none")
        lengths = real.sum(1, keepdim=True).expand_as(real)[real]  # l of the study of each word
        log = {"nats_per_word": (nats.sum() / max(len(nats), 1)).detach()}
        return Decoded({"word": (nats / lengths).sum() / len(real)}, logits, log)

    def first_state(self, features: Features) -> tuple[State, State]:
        """Return h_0 and c_0 (B, H), zeros, and what stays: tokens, mask, W_1,c V and the pooled image."""
        hidden, cell = (features.pooled.new_zeros(len(features.pooled), self.lstm.hidden_size) for _ in range(2))
        memory = (features.tokens, features.mask, self.region_scores(features), features.pooled)
        return (hidden, cell), memory

    def next_word(self, words: Tensor, state: State, memory: State) -> tuple[Tensor, State]:
        """Return the logits (B, V) after words (B,), and the new state."""
        tokens, mask, scores, pooled = memory
        inputs = torch.cat([self.embedding(words), pooled], -1)[:, None]
        _, (hidden, cell) = self.lstm(inputs, (state[0][None], state[1][None]))
        context, _ = self.attend(hidden[0], tokens, mask, scores)
        return self.logits(hidden[0], context), (hidden[0], cell[0])

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write the reports of all studies together. The words' part of the gates is computed once, as a table."""
        memory = StudyMemory(features.tokens, features.mask, self.region_scores(features))
        E = self.embedding.embedding_dim
        weight, recurrent = (cast(Tensor, getattr(self.lstm, f"weight_{n}_l0")) for n in ("ih", "hh"))  # torch's names
        cell_step = self._step_weights.of(
            [self.embedding.weight, weight, recurrent],
            lambda dtype: WordCell.build(self.embedding.weight, weight[:, :E], recurrent, None, dtype),
        )
        image = gate_order(F.linear(features.pooled, weight[:, E:]))  # (B, 4H)

        def step(words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
            hidden, cell, image, studies = state
            hidden, cell = cell_step(words, hidden, cell, gates=image)
            context, weights = self.attend(hidden, *memory.of(studies))
            return self.logits(hidden, context).float(), (hidden, cell, image, studies), weights

        B = len(features.pooled)
        zero = features.pooled.new_zeros(B, self.lstm.hidden_size, dtype=torch.float32)
        state = (zero, zero, image, torch.arange(B, device=zero.device))
        length = most_words(self.targets, settings)
        result = search(step, state, settings, rows=B, max_words=length)
        return to_generated(result, settings)
