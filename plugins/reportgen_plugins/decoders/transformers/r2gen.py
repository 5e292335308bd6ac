"""r2gen: a transformer whose layer norms read a memory of the words written so far; the report is one row.

Chen, Song, Chang, Wan: Generating Radiology Reports via Memory-driven Transformer, EMNLP 2020, arXiv:2010.16056;
equation numbers are the paper's. A relational memory M_t of S slots is a matrix that each word updates by attention and
gates, eq. 6-10. Its rows, joined to m_t, change the scale and the shift of every layer norm of the decoder, eq. 11-15.

Where the paper is silent this is the released program, so that its weights can be read (`rg zoo convert`):

- Norms stand before the sublayers, and a plain one after the last layer; in the paper's figure they stand after.
- The norm divides by the standard deviation of a sample (n - 1) plus 1e-6.
- The memory starts as the identity matrix, padded with zeros to the width of the model.
- y_(t-1) is the scaled embedding of the word with its position. So M_t has read the word that step t reads.
- The attention of eq. 6 has an output projection and biases. f_mlp of eq. 7 is two linear layers, each followed by
  ReLU. The gates of eq. 8-9 have biases. f_mlp of eq. 11 and 13 is linear, ReLU, linear; its biases start at 0.1.
- The loss is the sum over the words of a study, mean over studies; the paper's is the mean over all words of a batch.
- The program reads one index as padding, start and end. Here they are three words, of which a start is never written.
- While the program searches, an ended beam leaves its place to another; here it keeps it (see word_search.py).

Letters: B studies, R rows of a search, N image tokens, T words, H width, S slots.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reportgen_core import Decoded, Decoder, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.errors import OptionError
from reportgen_core.writing.report_words import shift_targets, word_loss
from reportgen_core.writing.word_search import SEARCH_SETTINGS, State

from ..blocks.multi_head import MultiHeadAttention, check_sizes
from ..blocks.transformer import (
    ImageTransformer,
    Norm,
    WordTransformer,
    standardise,
    start_weights,
    write_reports,
)


class RelationalMemory(nn.Module):
    """The memory M (R, S, H), section 2.2."""

    def __init__(self, hidden: int, slots: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.slots, self.hidden = slots, hidden
        self.attention = MultiHeadAttention(hidden, heads, dropout)  # W_q, W_k, W_v
        self.mlp = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.word_gates = nn.Linear(hidden, 2 * hidden)  # W^i and W^f
        self.memory_gates = nn.Linear(hidden, 2 * hidden)  # U^i and U^f
        start_weights(self)

    def start(self, rows: int, device: torch.device) -> Tensor:
        """Return M_0 (R, S, H)."""
        return torch.eye(self.slots, self.hidden, device=device).expand(rows, -1, -1)

    def forward(self, memory: Tensor, word: Tensor) -> Tensor:
        """Return M_t from M_(t-1) (R, S, H) and y_(t-1) (R, H)."""
        both = torch.cat([memory, word[:, None]], 1)  # [M; y] (R, S + 1, H)
        z = self.attention(memory, *self.attention.keys(both))[0]  # eq. 6
        candidate = self.mlp(z + memory) + z + memory  # eq. 7
        gates = self.word_gates(word)[:, None] + self.memory_gates(memory.tanh())  # eq. 8-9: (R, S, 2H)
        enter, stay = gates.sigmoid().chunk(2, -1)
        updated: Tensor = stay * memory + enter * candidate.tanh()  # eq. 10
        return updated


class MemoryNorm(Norm):
    """Memory-driven conditional layer normalisation, section 2.3."""

    def __init__(self, hidden: int, slots: int) -> None:
        super().__init__(hidden)
        self.gamma_mlp, self.beta_mlp = (_mlp(slots * hidden, hidden) for _ in range(2))

    def forward(self, vectors: Tensor, memory: Tensor | None = None) -> Tensor:
        """Return eq. 15 of vectors r (R, T, H) with memories m (R, T, S·H)."""
        assert memory is not None
        gamma = self.gamma + self.gamma_mlp(memory)  # eq. 11-12
        beta = self.beta + self.beta_mlp(memory)  # eq. 13-14
        normed: Tensor = gamma * standardise(vectors) + beta  # eq. 15
        return normed


def _mlp(inputs: int, hidden: int) -> nn.Sequential:
    """Return f_mlp of eq. 11 and 13."""
    mlp = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
    for name, parameter in mlp.named_parameters():
        if name.endswith("bias"):
            nn.init.constant_(parameter, 0.1)
    return mlp


class R2Gen(Decoder):
    """The memory-driven transformer. The options' defaults are the paper's, dropout and inner width the program's.

    Args:
        hidden: numbers of each vector in the transformer and in the memory.
        heads: heads of each attention of the transformer.
        layers: layers of the encoder, and of the decoder.
        feed_forward: inner numbers of the feed-forward sublayers.
        slots: rows of the memory.
        memory_heads: heads of the attention of the memory.
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
        slots: int = 3,
        memory_heads: int = 8,
        dropout: float = 0.1,
        image_dropout: float = 0.5,
    ) -> None:
        super().__init__(features, targets)
        check_sizes("r2gen", hidden, layers, heads=heads, memory_heads=memory_heads)
        if slots < 1:
            raise OptionError(f"r2gen takes slots of at least 1, got {slots!r}")
        sizes = hidden, heads, layers, feed_forward, dropout
        self.image = ImageTransformer(features.dim, *sizes, image_dropout)
        self.words = WordTransformer(len(targets.words), *sizes, norm=lambda: MemoryNorm(hidden, slots))
        self.memory = RelationalMemory(hidden, slots, memory_heads, dropout)

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return loss word, with teacher forcing."""
        assert targets.words is not None
        inputs, wanted, real = shift_targets(targets.words)
        image = self.image(self.image.project(features.tokens), features.mask)  # (B, N, H)
        memory, memories = self.memory.start(len(inputs), inputs.device), []
        for word in self.words.embed(inputs).unbind(1):  # (B, H)
            memory = self.memory(memory, word)
            memories.append(memory.flatten(1))  # m_t
        states = self.words(self.words.embed(inputs), image, features.mask, torch.stack(memories, 1))  # (B, T, H)
        return word_loss(self.words.out(states[real]), wanted, real)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write the reports of all studies together. The memory of each row is part of the state of the search."""
        image = self.image(self.image.project(features.tokens), features.mask)

        def read(words: Tensor, t: int, own: State) -> tuple[Tensor, Tensor, State]:
            word = self.words.embed(words[:, None], t)  # (R, 1, H)
            memory = self.memory(own[0], word[:, 0])
            return word, memory.flatten(1)[:, None], (memory,)

        own = (self.memory.start(len(image), image.device),)
        return write_reports(self.words, image, features.mask, read, own, self.targets, settings)
