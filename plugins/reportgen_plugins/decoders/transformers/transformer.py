"""transformer: an encoder of image tokens and a decoder of words that attends to them; the report is one row.

Vaswani et al.: Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762, as radiology papers compare with it: it is
BASE of Chen et al., EMNLP 2020, arXiv:2010.16056, "the vanilla Transformer, with three layers, 8 heads and 512 hidden
units". `r2gen` is this decoder with a memory.

- Paper and program of R2Gen have no weights of BASE. Where they are silent BASE is read as R2Gen's program without its
  memory: norms before the sublayers, an inner width of 512, no position on image tokens (see blocks/transformer.py).
- The loss is the sum over the words of a study, mean over studies.

Letters: B studies, R rows of a search, N image tokens, T words, H width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reportgen_core import Decoded, Decoder, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.writing.report_words import shift_targets, word_loss
from reportgen_core.writing.word_search import SEARCH_SETTINGS, State

from ..blocks.multi_head import check_sizes
from ..blocks.transformer import ImageTransformer, WordTransformer, fixed_state, fixed_step, write_reports


class Transformer(Decoder):
    """The transformer of R2Gen's table, without a memory.

    Args:
        hidden: numbers of each vector in the transformer.
        heads: heads of each attention.
        layers: layers of the encoder, and of the decoder.
        feed_forward: inner numbers of the feed-forward sublayers.
        dropout: share that is dropped in training of embeddings, weights and sublayers, 0..1.
        image_dropout: share of the projected image tokens that is dropped in training, 0..1.
    """

    needs = frozenset({"words"})
    follows = SEARCH_SETTINGS

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        hidden: int = 512,
        heads: int = 8,
        layers: int = 3,
        feed_forward: int = 512,
        dropout: float = 0.1,
        image_dropout: float = 0.5,
    ) -> None:
        super().__init__(features, targets)
        check_sizes("transformer", hidden, layers, heads=heads)
        sizes = hidden, heads, layers, feed_forward, dropout
        self.image = ImageTransformer(features.dim, *sizes, image_dropout)
        self.words = WordTransformer(len(targets.words), *sizes)

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return loss word, with teacher forcing."""
        assert targets.words is not None
        inputs, wanted, real = shift_targets(targets.words)
        image = self.image(self.image.project(features.tokens), features.mask)  # (B, N, H)
        states = self.words(self.words.embed(inputs), image, features.mask)  # (B, T, H)
        return word_loss(self.words.out(states[real]), wanted, real)

    def first_state(self, features: Features) -> tuple[State, State]:
        """Return an empty space for the words of a report, and the mask, keys and values of the image."""
        image = self.image(self.image.project(features.tokens), features.mask)
        return fixed_state(self.words, image, features.mask, self.targets.max_length)

    def next_word(self, words: Tensor, state: State, memory: State) -> tuple[Tensor, State]:
        """Return the logits (B, V) after words (B,), and the new state."""
        return fixed_step(self.words, words, state, memory)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write the reports of all studies together."""
        image = self.image(self.image.project(features.tokens), features.mask)

        def read(words: Tensor, t: int, own: State) -> tuple[Tensor, None, State]:
            return self.words.embed(words[:, None], t), None, own

        return write_reports(self.words, image, features.mask, read, (), self.targets, settings)
