"""lstm: one LSTM that sees the image once, before the first word, and writes the whole report as one row.

Vinyals, Toshev, Bengio, Erhan: Show and Tell: A Neural Image Caption Generator, CVPR 2015, arXiv:1411.4555, equations
10-13: x_(-1) = CNN(I), x_t = W_e S_t, p_(t+1) = LSTM(x_t), loss -Σ log p_t(S_t). It is the CNN-RNN of Jing et al. 2018.

The image vector is the encoder's pooled one, mapped linearly to the width of the words. What follows the image predicts
nothing. The output layer has no bias, as elsewhere in this package. The paper's beam of 20 is a setting of generation.
"""

from __future__ import annotations

import torch
from torch import nn

from reportgen_core import Decoded, Decoder, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec

from .blocks.report_words import check_layers, most_words, taught, word_loss, written
from .blocks.search import search
from .blocks.word_lstm import WordLSTM


class ImageFirstLSTM(Decoder):
    """Show and Tell. The options' defaults are the paper's 512."""

    needs = frozenset({"words"})

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
        """Loss word, eq. 13, teacher forced."""
        assert targets.words is not None
        read, wanted, real = taught(targets.words)
        image = self.image(features.pooled)[:, None]  # (B, 1, E)
        inputs = self.dropout(torch.cat([image, self.words.embedding(read)], 1))  # (B, 1 + T, E)
        lengths = real.sum(1) + 1
        states = self.words(inputs, lengths)  # (Σ lengths, H)
        predicts = torch.ones(len(states), dtype=torch.bool, device=states.device)
        predicts[lengths.cumsum(0) - lengths] = False  # what follows the image
        return word_loss(self.words.out(self.dropout(states[predicts])), wanted, real)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """All reports are written together."""
        B = len(features.pooled)
        state = self.words.start(B, first=self.image(features.pooled))
        length = most_words(self.targets, settings)
        return written(search(self.words.step, state, rows=B, beams=settings.beams, max_words=length), settings)
