"""lrcn: one LSTM that reads the image together with every word and writes the whole report as one row.

Donahue et al.: Long-term Recurrent Convolutional Networks for Visual Recognition and Description, CVPR 2015,
arXiv:1411.4389, image description: at every step the LSTM reads the image features and the previous word. Of the
paper's variants these are LRCN-1u and, with `layers` 2, LRCN-2u; the factored LRCN-2f, where only the second layer
reads the image, is left out. The loss is -Σ log p_t.

The image vector is the encoder's pooled one, unchanged; its part of the gates is computed once for each report. The
output layer has no bias, as elsewhere in this package.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reportgen_core import Decoded, Decoder, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.writing.report_words import check_layers, most_words, shift_targets, to_generated, word_loss
from reportgen_core.writing.word_lstm import WordLSTM
from reportgen_core.writing.word_search import SEARCH_SETTINGS, State, search


class ImageEveryStepLSTM(Decoder):
    """LRCN. The paper's hidden size is 1000; the default is that of the other decoders here.

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
        check_layers("lrcn", layers)
        self.words = WordLSTM(len(targets.words), embedding, hidden, layers, extra=features.pooled)
        self.dropout = nn.Dropout(dropout)

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return loss word, with teacher forcing."""
        assert targets.words is not None
        inputs, wanted, real = shift_targets(targets.words)
        image = features.pooled[:, None].expand(-1, inputs.shape[1], -1)  # (B, T, P)
        vectors = self.dropout(torch.cat([image, self.words.embedding(inputs)], -1))  # (B, T, P + E)
        lengths = real.sum(1).clamp(min=1)
        states = self.words(vectors, lengths)[real[:, 0].repeat_interleave(lengths)]  # (Σ T, H)
        return word_loss(self.words.out(self.dropout(states)), wanted, real)

    def first_state(self, features: Features) -> tuple[State, State]:
        """Return states (B, layers, H) of zeros, hidden and cell, and the pooled image."""
        return self.words.zeros(features.pooled), (features.pooled,)

    def next_word(self, words: Tensor, state: State, memory: State) -> tuple[Tensor, State]:
        """Return the logits (B, V) after words (B,), and the new state."""
        return self.words.advance(torch.cat([memory[0], self.words.embedding(words)], -1), state)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write the reports of all studies together."""
        B = len(features.pooled)
        state = self.words.start(B, extra=features.pooled)
        length = most_words(self.targets, settings)
        return to_generated(search(self.words.step, state, settings, rows=B, max_words=length), settings)
