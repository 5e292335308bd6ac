"""r2gen-cmn: a transformer whose image tokens and words ask one memory, the same for both; the report is one row.

Chen, Shen, Song, Wan: Cross-modal Memory Networks for Radiology Report Generation, ACL 2021, arXiv:2204.13258. The
memory is a matrix of vectors m_i that is learnt. An image token x_s, or a word y_t in its place, asks it:

- querying: k_i = m_i W_k, q_s = x_s W_q, D_si = q_s k_iᵀ / √d_k in each head; the K largest are kept, and w_si is
  the softmax over them;
- responding: v_i = m_i W_v, r_s = Σ_i w_si v_i, the heads joined and projected.

Where the paper is silent this is the released program, so that its weights can be read (`rg zoo convert`):

- The response is added: x_s + r_s is what the encoder reads, y_t + r_t what the decoder reads. The paper hands over
  the responses alone.
- y_t is the scaled embedding with its position. An image token gets a position after its response is added.
- One set of projections, with biases, serves images and words.
- The memory starts from a normal distribution with a standard deviation of 1 / width.
- Norms and the search are those of `r2gen`, which see; so are the loss and the three words for one index.

Letters: B studies, R rows of a search, N image tokens, T words, H width, h heads, M memory vectors, K of them kept.
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
    KeyValues,
    WordTransformer,
    sinusoids,
    start_weights,
    write_reports,
)


class CrossModalMemory(nn.Module):
    """The memory matrix (M, H), with the projections by which it is asked."""

    def __init__(self, hidden: int, heads: int, vectors: int, kept: int, dropout: float) -> None:
        super().__init__()
        self.kept = kept
        self.vectors = nn.Parameter(torch.empty(vectors, hidden))
        self.attention = MultiHeadAttention(hidden, heads, dropout)
        start_weights(self.attention)
        nn.init.normal_(self.vectors, std=1 / hidden)

    def keys(self) -> KeyValues:
        """Return k_i and v_i of all vectors, (1, h, M, H / h) each."""
        return self.attention.keys(self.vectors[None])

    def forward(self, asking: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return the responses r (B, T, H) to vectors x (B, T, H)."""
        rows = asking.flatten(0, 1)[None]  # (1, B·T, H): all ask the same memory
        scores = self.attention.scores(rows, keys).float()  # D (1, h, B·T, M)
        best, places = scores.topk(self.kept, -1)
        shares = self.attention.dropout(best.softmax(-1))  # w, (1, h, B·T, K)
        weights = torch.zeros_like(scores).scatter(-1, places, shares)  # 0 for the vectors that are not kept
        return self.attention.join(weights.to(values.dtype) @ values).reshape_as(asking)


class R2GenCMN(Decoder):
    """The transformer with a cross-modal memory. The defaults are those of the released program.

    Args:
        hidden: numbers of each vector in the transformer and in the memory.
        heads: heads of each attention, and threads of the memory.
        layers: layers of the encoder, and of the decoder.
        feed_forward: inner numbers of the feed-forward sublayers.
        memories: vectors of the memory.
        kept: of the vectors, how many answer each question of each head.
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
        memories: int = 2048,
        kept: int = 32,
        dropout: float = 0.1,
        image_dropout: float = 0.5,
    ) -> None:
        super().__init__(features, targets)
        check_sizes("r2gen-cmn", hidden, layers, heads=heads)
        if not 1 <= kept <= memories:
            raise OptionError(f"r2gen-cmn takes kept from 1 to the number of memories, {memories}, got {kept!r}")
        sizes = hidden, heads, layers, feed_forward, dropout
        self.image = ImageTransformer(features.dim, *sizes, image_dropout)
        self.words = WordTransformer(len(targets.words), *sizes)
        self.memory = CrossModalMemory(hidden, heads, memories, kept, dropout)
        self.dropout = nn.Dropout(dropout)

    def encode(self, features: Features, memory: KeyValues) -> Tensor:
        """Return the encoded image tokens (B, N, H); `memory` holds the keys and values of the memory."""
        tokens = self.image.project(features.tokens)  # x_s
        tokens = tokens + self.memory(tokens, *memory)  # x_s + r_s
        tokens = self.dropout(tokens + sinusoids(0, tokens.shape[1], tokens.shape[2], tokens.device))
        image: Tensor = self.image(tokens, features.mask)
        return image

    def embed(self, words: Tensor, memory: KeyValues, first: int = 0) -> Tensor:
        """Return y_t + r_t (R, T, H) of words (R, T) that are number `first` of their rows and on."""
        vectors = self.words.embed(words, first)
        out: Tensor = vectors + self.memory(vectors, *memory)
        return out

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return loss word, with teacher forcing."""
        assert targets.words is not None
        inputs, wanted, real = shift_targets(targets.words)
        memory = self.memory.keys()
        states = self.words(self.embed(inputs, memory), self.encode(features, memory), features.mask)  # (B, T, H)
        return word_loss(self.words.out(states[real]), wanted, real)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write the reports of all studies together. The keys and values of the memory are computed once."""
        memory = self.memory.keys()
        image = self.encode(features, memory)

        def read(words: Tensor, t: int, own: State) -> tuple[Tensor, None, State]:
            return self.embed(words[:, None], memory, t), None, own

        return write_reports(self.words, image, features.mask, read, (), self.targets, settings)
