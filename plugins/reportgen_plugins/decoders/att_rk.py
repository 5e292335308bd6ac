"""att-rk: an LSTM that attends to predicted tags twice, at the word that it reads and at the state that it writes from.

You, Jin, Wang, Fang, Luo: Image Captioning with Semantic Attention, CVPR 2016, arXiv:1603.03925. The report is
written as one row. The letters at the equations are ours:

- (a) x_0 = W^(x,v) v, the pooled image vector, read once, before the first word.
- (b) α_i ∝ exp((E y_(t-1))ᵀ U a_i); (c) x_t = W^(x,Y) (E y_(t-1) + w^(x,A) ⊙ Σ α_i a_i).
- (d) β_i ∝ exp(h_tᵀ V σ(a_i)); (e) p_t ∝ exp(Eᵀ W^(Y,h) (h_t + w^(Y,A) ⊙ Σ β_i σ(a_i))), σ = tanh. So hidden and
  embedding are of one width, and E serves input and output.
- (f) the regulariser g(α) + g(β), g(α) = [Σ_i (Σ_t α_ti)^p]^(1/p) + Σ_t [Σ_i α_ti^q]^(1/q), p > 1, 0 < q < 1, is loss
  attention; the paper gives no p, q or weight: 2 and 0.5 here, the weight is the training setting `weights`.

We depart from the paper in two points. A tag is not always one word, so tags have embeddings a_i of their own instead
of the words' E. The tags come from the classifier of the other decoders here (`tags.py`, loss tag), which learns
together with the decoder, instead of a network trained before with a ranking loss (the RK). The attention of a
generated report is β.

Letters: B studies, R rows of a search, M tags used, E embedding and hidden, T words, V vocabulary.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reportgen_core import Decoded, Decoder, Features, FeatureSpec, Generated, GenerationSettings, Targets, TargetSpec
from reportgen_core.errors import OptionError
from reportgen_core.text.spec import PAD
from reportgen_core.writing.lstm_step import StepCell
from reportgen_core.writing.report_words import StudyMemory, most_words, shift_targets, to_generated, word_loss
from reportgen_core.writing.word_search import SEARCH_SETTINGS, State, search

from .blocks.tags import TagPredictor, probabilities, tag_loss


class SemanticAttentionLSTM(Decoder):
    """ATT. The options' defaults are those of Jing et al. 2018, who compare with it: width 512, and 10 tags.

    Args:
        hidden: numbers of the state of the LSTM and of a word vector, which are of one width.
        tags_used: likeliest tags that are attended to.
        p: exponent over the tags of the regulariser of the attention, above 1.
        q: exponent within a step of that regulariser, between 0 and 1.
        dropout: share of the inputs and outputs of the LSTM that is dropped in training, 0..1.
    """

    needs = frozenset({"words", "tags"})
    follows = SEARCH_SETTINGS

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        hidden: int = 512,
        tags_used: int = 10,
        p: float = 2.0,
        q: float = 0.5,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(features, targets)
        if not (p > 1 and 0 < q < 1):
            raise OptionError(f"att-rk takes p above 1 and q between 0 and 1, got p={p!r}, q={q!r}")
        self.p, self.q = p, q
        self.tags = TagPredictor(features, len(targets.tags), hidden, tags_used) if targets.tags else None
        self.embedding = nn.Embedding(len(targets.words), hidden, padding_idx=PAD)  # E, of input and output
        self.image = nn.Linear(features.pooled, hidden)  # W^(x,v)
        self.before = nn.Linear(hidden, hidden, bias=False)  # U
        self.before_scale = nn.Parameter(torch.ones(hidden))  # w^(x,A)
        self.word = nn.Linear(hidden, hidden, bias=False)  # W^(x,Y)
        self.cell = StepCell(hidden, hidden)
        self.after = nn.Linear(hidden, hidden, bias=False)  # V
        self.after_scale = nn.Parameter(torch.ones(hidden))  # w^(Y,A)
        self.out = nn.Linear(hidden, hidden, bias=False)  # W^(Y,h)
        self.dropout = nn.Dropout(dropout)

    def remember(self, features: Features) -> tuple[Tensor, Tensor, Tensor]:
        """Return tag logits (B, Q, K), and the embeddings a (B, M, E) and ids (B, M) of the likeliest tags."""
        if self.tags is None:  # composed before any data was read: there are no tags
            none = features.pooled.new_zeros(len(features.pooled), 0, self.embedding.embedding_dim)
            return none[..., 0][:, None], none, none[..., 0].long()
        logits = self.tags.logits(features)
        embedded, ids = self.tags.semantic(logits)
        return logits, embedded, ids

    def start(self, features: Features) -> tuple[Tensor, Tensor]:
        """Return h and c (B, H) after reading the image, (a)."""
        state: tuple[Tensor, Tensor] = self.cell(self.image(features.pooled))
        return state

    def tag_memory(self, tags: Tensor) -> TagMemory:
        """Return the projections of the tags (B, M, E) that are the same for all words."""
        activated = torch.tanh(tags)
        return TagMemory(tags, self.before(tags), activated, self.after(activated))

    def read(self, embedded: Tensor, memory: TagMemory) -> tuple[Tensor, Tensor]:
        """Return x (…, E) and α (…, M) of embedded words (…, E), where … = B·T or B·K: (b) and (c)."""
        attended, weights = _attend(embedded, memory.before, memory.tags)
        x: Tensor = self.word(embedded + self.before_scale * attended)
        return x, weights

    def write(self, hidden: Tensor, memory: TagMemory) -> tuple[Tensor, Tensor]:
        """Return the vectors (…, E) that are multiplied with E, and β (…, M), at states (…, H): (d) and (e)."""
        attended, weights = _attend(hidden, memory.after, memory.activated)
        output: Tensor = self.out(self.dropout(hidden + self.after_scale * attended))
        return output, weights

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return the losses word, tag and attention (f), with teacher forcing."""
        assert targets.words is not None
        inputs, wanted, real = shift_targets(targets.words)
        tag_logits, tags, _ = self.remember(features)
        memory = self.tag_memory(tags)
        B, T = inputs.shape
        x, alpha = self.read(self.dropout(self.embedding(inputs)).flatten(0, 1), memory)  # (B·T, E), (B·T, M)
        hidden, cell = self.start(features)
        states = []
        for step in x.view(B, T, -1).unbind(1):
            hidden, cell = self.cell(step, (hidden, cell))
            states.append(hidden)
        output, beta = self.write(torch.stack(states, 1).flatten(0, 1), memory)  # (B·T, E), (B·T, M)
        out = word_loss(F.linear(output[real.flatten()], self.embedding.weight), wanted, real)
        losses = dict(out.losses)
        losses["attention"] = self._spread(alpha.view(B, T, -1), real) + self._spread(beta.view(B, T, -1), real)
        if targets.tags is not None and not self.features.tag_heads:
            losses["tag"] = tag_loss(tag_logits[:, 0], targets.tags)
        return replace(out, losses=losses)

    def _spread(self, weights: Tensor, real: Tensor) -> Tensor:
        """Return g of weights (B, T, M) over the words that count, mean over the studies.

        Sums are at least 1e-12, so that the roots have finite gradients.
        """
        weights = weights * real[..., None]
        over = (weights.sum(1).clamp(min=1e-12) ** self.p).sum(-1) ** (1 / self.p)  # (B,)
        within = (weights.clamp(min=1e-12) ** self.q).sum(-1) ** (1 / self.q)  # (B, T)
        return (over * real[:, 0] + (within * real).sum(1)).sum() / len(real)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write the reports of all studies together."""
        tag_logits, tags, ids = self.remember(features)
        memory = StudyMemory(*self.tag_memory(tags))

        def step(words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
            hidden, cell, studies = state
            current = TagMemory(*memory.of(studies))
            x, _ = self.read(self.embedding(words), current)
            hidden, cell = self.cell(x, (hidden, cell))
            output, beta = self.write(hidden, current)
            return F.linear(output, self.embedding.weight).float(), (hidden, cell, studies), beta

        hidden, cell = self.start(features)
        B, length = len(hidden), most_words(self.targets, settings)
        state = (hidden, cell, torch.arange(B, device=hidden.device))
        result = search(step, state, settings, rows=B, max_words=length)
        return to_generated(result, settings, tags=probabilities(tag_logits), tag_ids=ids)


class TagMemory(NamedTuple):
    """The tags of B studies, as keys and values of the two attentions, all (B, M, E)."""

    tags: Tensor  # a
    before: Tensor  # U a, (b)
    activated: Tensor  # tanh a
    after: Tensor  # V tanh a, (d)


def _attend(queries: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return Σ weights · values (B·n, E) and the weights (B·n, M), the softmax of queries · keys.

    `queries` is (B·n, E), n for each study; `keys` and `values` are (B, M, E).
    """
    grouped = queries.unflatten(0, (len(keys), -1))  # (B, n, E)
    weights = torch.bmm(grouped, keys.transpose(1, 2)).float().softmax(-1)  # (B, n, M)
    return torch.bmm(weights.to(values.dtype), values).flatten(0, 1), weights.flatten(0, 1)
