"""lstm: one LSTM that reads the image once, before the first word, and writes the whole report as one row.

Vinyals, Toshev, Bengio, Erhan: Show and Tell: A Neural Image Caption Generator, CVPR 2015, arXiv:1411.4555, equations
10-13: x_(-1) = CNN(I), x_t = W_e S_t, p_(t+1) = LSTM(x_t), loss -Σ log p_t(S_t). It is the CNN-RNN of Jing et al. 2018.

The image vector is the encoder's pooled one, mapped linearly to the width of the words. The output at the image
predicts no word. The output layer has no bias, as elsewhere in this package. The paper's beam of 20 is a setting of
generation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reportgen_core import Decoded, Decoder, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.writing.report_words import check_layers, most_words, shift_targets, to_generated, word_loss
from reportgen_core.writing.word_lstm import WordLSTM
from reportgen_core.writing.word_search import SEARCH_SETTINGS, State, search


class ImageFirstLSTM(Decoder):
    """Show and Tell. The options' defaults are the paper's 512.

    Args:
        hidden: numbers of the state of the LSTM.
        embedding: numbers of a word vector.
        layers: LSTMs on top of each other.
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
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(features, targets)
        check_layers("lstm", layers)
        self.image = nn.Linear(features.pooled, embedding)  # x_(-1)
        self.words = WordLSTM(len(targets.words), embedding, hidden, layers)
        self.dropout = nn.Dropout(dropout)

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return loss word, eq. 13, with teacher forcing."""
        assert targets.words is not None
        inputs, wanted, real = shift_targets(targets.words)
        image = self.image(features.pooled)[:, None]  # (B, 1, E)
        vectors = self.dropout(torch.cat([image, self.words.embedding(inputs)], 1))  # (B, 1 + T, E)
        lengths = real.sum(1) + 1
        states = self.words(vectors, lengths)  # (Σ lengths, H)
        predicts = torch.ones(len(states), dtype=torch.bool, device=states.device)
        predicts[lengths.cumsum(0) - lengths] = False  # the output at the image
        return word_loss(self.words.out(self.dropout(states[predicts])), wanted, real)

    def first_state(self, features: Features) -> tuple[State, State]:
        """Return the states of all layers (B, layers, H), hidden and cell, after the image is read; nothing stays."""
        _, state = self.words.advance(self.image(features.pooled), self.words.zeros(features.pooled))
        return state, ()

    def next_word(self, words: Tensor, state: State, memory: State) -> tuple[Tensor, State]:
        """Return the logits (B, V) after words (B,), and the new state."""
        return self.words.advance(self.words.embedding(words), state)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write the reports of all studies together."""
        B = len(features.pooled)
        state = self.words.start(B, first=self.image(features.pooled))
        length = most_words(self.targets, settings)
        return to_generated(search(self.words.step, state, settings, rows=B, max_words=length), settings)
