"""A transformer that reads image tokens and writes words: the part that `transformer`, `r2gen` and `r2gen-cmn` share.

Vaswani et al.: Attention Is All You Need, NeurIPS 2017, arXiv:1706.03762. The three decoders follow R2Gen's released
program (Chen et al., EMNLP 2020) where it departs from that paper, so that its weights can be read:

- A norm stands before each sublayer, x + sublayer(norm(x)), and one more after the last layer of either stack.
- The norm divides by the standard deviation of a sample (n - 1) plus 1e-6.
- Image tokens pass one linear layer with ReLU and dropout.
- Weight matrices, embeddings among them, start from Xavier's uniform distribution.

For generation the keys and values of the words so far are held in the state of the search, those of the image once for
each study. The attention that is returned is the mean of the cross-attention over all layers and heads.

Letters: B studies, R rows of a search, N image tokens, D their width, T words, H width, h heads, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from reportgen_core import Generated, GenerationSettings, TargetSpec
from reportgen_core.writing.report_words import StudyMemory, most_words, to_generated
from reportgen_core.writing.word_search import State, search

from .multi_head import MultiHeadAttention

KeyValues = tuple[Tensor, Tensor]  # of one layer, (·, h, ·, H / h) each
Hold = Callable[[Tensor, Tensor], KeyValues]
# Read words (R,) as the t-th of their rows, from the decoder's own state: their vectors (R, 1, H), the memory (R, 1, ·)
# for conditional norms or None, and the new state.
Read = Callable[[Tensor, int, State], tuple[Tensor, Tensor | None, State]]


def standardise(vectors: Tensor) -> Tensor:
    """Return (r - μ) / v of each vector (…, H), in float32: v is the standard deviation of a sample plus 1e-6."""
    std, mean = torch.std_mean(vectors.float(), -1, keepdim=True)
    return (vectors - mean) / (std + 1e-6)


def sinusoids(first: int, count: int, hidden: int, device: torch.device) -> Tensor:
    """Return the vectors (count, H) of the positions first, first + 1, …: sine and cosine in turns, section 3.5."""
    place = torch.arange(first, first + count, device=device, dtype=torch.float32)[:, None]
    rate = torch.exp(torch.arange(0, hidden, 2, device=device) * (-math.log(10000.0) / hidden))  # (H / 2,)
    return torch.stack([(place * rate).sin(), (place * rate).cos()], -1).flatten(1)


def start_weights(module: nn.Module) -> None:
    """Draw the weight matrices of a module from Xavier's uniform distribution; vectors stay as they are."""
    for parameter in module.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)


class Norm(nn.Module):
    """Layer normalisation γ (r - μ) / v + β. It takes a memory, which it does not read, in the place of others."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(hidden)), nn.Parameter(torch.zeros(hidden))

    def forward(self, vectors: Tensor, memory: Tensor | None = None) -> Tensor:
        """Return the normalised vectors (…, H)."""
        return self.gamma * standardise(vectors) + self.beta


def feed_forward(hidden: int, inner: int, dropout: float) -> nn.Sequential:
    """Return the feed-forward sublayer, section 3.3."""
    return nn.Sequential(nn.Linear(hidden, inner), nn.ReLU(), nn.Dropout(dropout), nn.Linear(inner, hidden))


class ImageLayer(nn.Module):
    """A layer of the encoder: self-attention over the image tokens, then the feed-forward sublayer."""

    def __init__(self, hidden: int, heads: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(hidden, heads, dropout)
        self.feed = feed_forward(hidden, inner, dropout)
        self.norms = nn.ModuleList(Norm(hidden) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return the tokens (B, N, H) after the layer. The mask (B, 1, 1, N) is True where a token is real."""
        normed = self.norms[0](tokens)
        tokens = tokens + self.dropout(self.attention(normed, *self.attention.keys(normed), mask)[0])
        out: Tensor = tokens + self.dropout(self.feed(self.norms[1](tokens)))
        return out


class ImageTransformer(nn.Module):
    """The encoder: `project` takes the tokens to the width of the transformer, then the layers and a norm."""

    def __init__(
        self, dim: int, hidden: int, heads: int, layers: int, inner: int, dropout: float, image_dropout: float
    ) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Dropout(image_dropout))
        self.layers = nn.ModuleList(ImageLayer(hidden, heads, inner, dropout) for _ in range(layers))
        self.norm = Norm(hidden)
        start_weights(self.layers)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Encode projected tokens (B, N, H). The mask (B, N) is True where a token is real."""
        tokens = tokens.float()
        for layer in self.layers:
            tokens = layer(tokens, mask[:, None, None])
        out: Tensor = self.norm(tokens)
        return out


class WordLayer(nn.Module):
    """A layer of the decoder: self-attention over words, cross-attention over the image, the feed-forward sublayer."""

    def __init__(self, hidden: int, heads: int, inner: int, dropout: float, norm: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.words, self.image = (MultiHeadAttention(hidden, heads, dropout) for _ in range(2))
        self.feed = feed_forward(hidden, inner, dropout)
        self.norms = nn.ModuleList(norm() for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, words: Tensor, hold: Hold, causal: Tensor | None, image: KeyValues, mask: Tensor, memory: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return the words (R, T, H) after the layer, and the mean weights of the image tokens (R, T, N).

        `hold` takes the keys and values of these words, and returns those of all words to attend to. `causal` (T, T)
        is True where a word may look; None: everywhere. The keys and values of the image and its mask (B, N) are of B
        studies, each with R / B rows. `memory` (R, T, ·) is for conditional norms.
        """
        normed = self.norms[0](words, memory)
        words = words + self.dropout(self.words(normed, *hold(*self.words.keys(normed)), causal)[0])
        normed = self.norms[1](words, memory).reshape(len(mask), -1, words.shape[-1])  # (B, R / B · T, H)
        seen, weights = self.image(normed, *image, mask[:, None, None])
        words = words + self.dropout(seen.reshape_as(words))
        words = words + self.dropout(self.feed(self.norms[2](words, memory)))
        return words, weights.mean(1).reshape(*words.shape[:2], mask.shape[1])


class WordTransformer(nn.Module):
    """The decoder: embedded words, layers, a norm, and a linear layer to words with a bias.

    `norm` makes the three norms of each layer; without it they are plain ones.
    """

    def __init__(
        self,
        words: int,
        hidden: int,
        heads: int,
        layers: int,
        inner: int,
        dropout: float,
        norm: Callable[[], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        make = (lambda: Norm(hidden)) if norm is None else norm
        self.embedding = nn.Embedding(words, hidden)
        self.layers = nn.ModuleList(WordLayer(hidden, heads, inner, dropout, make) for _ in range(layers))
        self.norm = Norm(hidden)
        start_weights(self)
        self.out = nn.Linear(hidden, words)
        self.dropout = nn.Dropout(dropout)

    def embed(self, words: Tensor, first: int = 0) -> Tensor:
        """Return √H E(word) + position, after dropout, of words (R, T) that are number `first` and on: (R, T, H)."""
        H = self.embedding.embedding_dim
        vectors = self.embedding(words) * math.sqrt(H) + sinusoids(first, words.shape[1], H, words.device)
        dropped: Tensor = self.dropout(vectors)
        return dropped

    def image_keys(self, image: Tensor) -> list[KeyValues]:
        """Return the keys and values of the encoded image tokens (B, N, H) for each layer."""
        layers = cast("list[WordLayer]", list(self.layers))  # nn.ModuleList does not know what it holds
        return [layer.image.keys(image) for layer in layers]

    def forward(self, vectors: Tensor, image: Tensor, mask: Tensor, memory: Tensor | None = None) -> Tensor:
        """Return the states (B, T, H) of word vectors (B, T, H), with teacher forcing.

        `image` (B, N, H) with its mask (B, N) comes from the encoder, `memory` (B, T, ·) is for conditional norms.
        """
        T = vectors.shape[1]
        causal = torch.ones(T, T, dtype=torch.bool, device=vectors.device).tril()
        for layer, keys in zip(self.layers, self.image_keys(image), strict=True):
            vectors, _ = layer(vectors, lambda *own: own, causal, keys, mask, memory)
        states: Tensor = self.norm(vectors)
        return states


class WordStep:
    """The step of a search. The state is the study of each row, the decoder's own state, the held keys and values."""

    BLOCK = 16  # words by which the space of keys and values grows

    def __init__(self, words: WordTransformer, image: Tensor, mask: Tensor, read: Read) -> None:
        self.words, self.read, self.count = words, read, 0
        self.studies = StudyMemory(mask, *(tensor for pair in words.image_keys(image) for tensor in pair))

    def start(self, own: State) -> State:
        """Return the state before the first word, with the decoder's own tensors (R, …)."""
        keys = self.studies.tensors[1]
        nothing = keys.new_empty(len(keys), keys.shape[1], 0, keys.shape[3])
        return (self.studies.stored, *own, *[nothing] * (2 * len(self.words.layers)))

    def __call__(self, words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        """Read words (R,); return the logits (R, V), the new state, and the weights of the image tokens (R, N)."""
        layers = self.words.layers
        studies, *rest = state
        own, spaces = tuple(rest[: -2 * len(layers)]), rest[-2 * len(layers) :]
        mask, *image = self.studies.of(studies)
        vectors, memory, own = self.read(words, self.count, own)
        looks = []
        for n, layer in enumerate(layers):
            at = slice(2 * n, 2 * n + 2)

            def hold(keys: Tensor, values: Tensor, at: slice = at) -> KeyValues:
                spaces[at] = [self._put(s, new) for s, new in zip(spaces[at], (keys, values), strict=True)]
                keys, values = (space[:, :, : self.count + 1] for space in spaces[at])
                return keys, values

            vectors, look = layer(vectors, hold, None, tuple(image[at]), mask, memory)
            looks.append(look[:, 0])
        self.count += 1
        logits = self.words.out(self.words.norm(vectors[:, 0]))
        return logits.float(), (studies, *own, *spaces), torch.stack(looks).mean(0)

    def _put(self, space: Tensor, new: Tensor) -> Tensor:
        """Write the keys or values (R, h, 1, ·) of a word into their space (R, h, ·, ·), a larger one if it is full."""
        used = space.shape[2]
        if self.count == used:
            larger = space.new_empty(*space.shape[:2], used + self.BLOCK, space.shape[3])
            larger[:, :, :used] = space
            space = larger
        space[:, :, self.count : self.count + 1] = new
        return space


def write_reports(
    words: WordTransformer,
    image: Tensor,
    mask: Tensor,
    read: Read,
    own: State,
    targets: TargetSpec,
    settings: GenerationSettings,
) -> list[Generated]:
    """Write the reports of all studies together, from their encoded tokens (B, N, H) and the decoder's own state."""
    step = WordStep(words, image, mask, read)
    length = most_words(targets, settings)
    return to_generated(search(step, step.start(own), settings, rows=len(image), max_words=length), settings)


def fixed_state(words: WordTransformer, image: Tensor, mask: Tensor, places: int) -> tuple[State, State]:
    """Return the state before the first of at most `places` words, and the mask, keys and values of the image.

    The state is how many words were read (B,), and the space for the keys and values of all places.
    """
    keys = [tensor for pair in words.image_keys(image) for tensor in pair]
    spaces = (tensor.new_zeros(*tensor.shape[:2], places, tensor.shape[3]) for tensor in keys)
    return (mask.new_zeros(len(mask), dtype=torch.long), *spaces), (mask, *keys)


def fixed_step(words: WordTransformer, ids: Tensor, state: State, memory: State) -> tuple[Tensor, State]:
    """Read words (B,) into their places; return the logits (B, V) and the new state. No shape grows."""
    (count, *spaces), (mask, *image) = state, memory
    hidden, places = words.embedding.embedding_dim, spaces[0].shape[2]
    place = torch.arange(places, device=ids.device)
    here, seen = (place == count[:, None])[:, None, :, None], (place <= count[:, None])[:, None, None]
    vectors = words.embedding(ids) * math.sqrt(hidden) + sinusoids(0, places, hidden, ids.device)[count]
    vectors = vectors[:, None]
    after: list[Tensor] = []
    for n, layer in enumerate(words.layers):
        old = spaces[2 * n], spaces[2 * n + 1]

        def hold(keys: Tensor, values: Tensor, old: KeyValues = old) -> KeyValues:
            now = torch.where(here, keys, old[0]), torch.where(here, values, old[1])
            after.extend(now)
            return now

        vectors, _ = layer(vectors, hold, seen, (image[2 * n], image[2 * n + 1]), mask, None)
    return words.out(words.norm(vectors[:, 0])).float(), (count + 1, *after)
