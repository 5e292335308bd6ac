"""hier-lstm: a sentence LSTM with co-attention over regions and tags gives topics, and a word LSTM their sentences.

Jing, Xie, Xing: On the Automatic Generation of Medical Imaging Reports, ACL 2018, arXiv:1711.08195; equation numbers
are the paper's. Derived from the paper, not from the code that circulates, whose softmax and LSTM run over the batch.

Where the paper is silent or says two things, this is what is done:

- The sentence of the step at which the model predicts stop is written: eq. 8 has the stop target at s = S, a step with
  words.
- The topic is the word LSTM's first input, from zero states, and START its second; the output at the topic predicts no
  word (`topic="first"`). `topic="every"` is DiTag's: [topic; word] at every step.
- Eq. 2-7 have no biases, and neither have the layers, unless `bias=true`. The LSTM cells have biases.
- Tags: one softmax over all tags against l / ||l||_1, see `tags.py`. The M likeliest *predicted* tags are attended to,
  in training as in generation; the choice has no gradient.
- Stop: two logits, index 1 is STOP; a sentence is the last when p(STOP) > `stop_threshold`, strictly.
- END is a target and is counted in T_s, but it is not in the text.
- Eq. 8 is summed over the sentences and words of a study, as printed, and averaged over the studies of a batch. The
  training setting `weights` has the λ by name: tag, sent, word, attention (λ_re); they are 1 by default.
- Eq. 9 sums over the real sentences of a study and over real regions. An ablation without one of the attentions
  has no term for it.
- Before the first sentence hidden and cell states are zero.
- The ablations without semantic attention still predict tags; set the λ of loss tag to 0 to leave that out.
- `shuffle` trains on the sentences of each report in a new random order every time (Ni et al. 2020, section 4.1).
- `attention="none"` reads the pooled vector at every sentence (Ours-no-Attention); for VGG it is fc7, 4096 numbers.

Letters: B studies, N regions, M tags, S sentences, R sentences of all studies, W words, H hidden, E embedding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from reportgen_core import (
    Attention,
    Decoded,
    Decoder,
    Features,
    FeatureSpec,
    Generated,
    GenerationSettings,
    OptionError,
    Targets,
    TargetSpec,
)
from reportgen_core.text.spec import BOS, PAD
from reportgen_core.writing.attention import AdditiveAttention, attend
from reportgen_core.writing.lstm_step import JoinedLinears, StepCell
from reportgen_core.writing.word_lstm import WordLSTM
from reportgen_core.writing.word_search import SEARCH_SETTINGS, BeamResult, State, search

from .blocks.combine import combine as combine
from .blocks.hier_options import HierOptions as HierOptions
from .blocks.order import shuffled
from .blocks.tags import TagPredictor, probabilities, tag_loss


@dataclass(frozen=True, slots=True)
class Memory:
    """The features and tags that the sentence LSTM attends to. They are the same for all sentences of a study."""

    features: Features
    visual_keys: Tensor | None  # (B, N, H)
    tag_logits: Tensor | None  # (B, Q, K)
    semantic: Tensor | None  # (B, M, E)
    semantic_keys: Tensor | None  # (B, M, H)
    tag_ids: Tensor | None  # (B, M)


@dataclass(frozen=True, slots=True)
class Topics:
    """The output of the sentence LSTM for all sentences of all studies."""

    topics: Tensor  # (B, S, E)
    stop: Tensor  # (B, S, 2) logits, index 1 is STOP
    visual: Tensor | None  # (B, S, N) α, eq. 2
    semantic: Tensor | None  # (B, S, M) β, eq. 3


class HierLSTM(Decoder):
    """The hierarchical LSTM with co-attention. The options' defaults are the paper's.

    Args:
        hidden: numbers of the states of both LSTMs.
        embedding: numbers of a word vector, of a tag vector and of the topic.
        tags_used: M, the likeliest tags that are attended to.
        attention: what a sentence attends to: "co" (regions and tags), "visual", "semantic" (tags) or "none".
        word_layers: layers of the word LSTM.
        topic: when the word LSTM reads the topic: "first" step, or "every" step.
        stop_threshold: probability of stop (0..1) above which a sentence is the last.
        bias: whether the layers of equations 2-7 have biases.
        shuffle: whether training reads the sentences of a report in a new order every time.
    """

    follows = SEARCH_SETTINGS

    def __init__(
        self,
        features: FeatureSpec,
        targets: TargetSpec,
        *,
        hidden: int = 512,
        embedding: int = 512,
        tags_used: int = 10,
        attention: str = "co",
        word_layers: int = 1,
        topic: str = "first",
        stop_threshold: float = 0.5,
        bias: bool = False,
        shuffle: bool = False,
    ) -> None:
        super().__init__(features, targets)
        self.options = HierOptions(
            hidden, embedding, tags_used, attention, word_layers, topic, stop_threshold, bias, shuffle
        )
        self.generation_options = {"stop_threshold": float(stop_threshold)}
        self._build(features, targets, self.options)

    def _build(self, features: FeatureSpec, targets: TargetSpec, options: HierOptions) -> None:
        """Build the layers."""
        H, E, bias, linear = options.hidden, options.embedding, options.bias, options.linear
        self.needs = frozenset({"sentences", "tags"}) if options.semantic else frozenset({"sentences"})
        tag_width = E if options.semantic else None
        self.tags = TagPredictor(features, len(targets.tags), tag_width, options.tags_used) if targets.tags else None
        self.visual = AdditiveAttention(features.dim, H, H, bias=bias) if options.visual else None  # eq. 2
        self.semantic = AdditiveAttention(E, H, H, bias=bias) if options.semantic else None  # eq. 3
        attended = features.dim * options.visual + E * options.semantic
        self.context = linear(attended or features.pooled, H)  # eq. 4, W_fc
        self.sentence = StepCell(H, H)
        self.topic_hidden, self.topic_context = linear(H, E), linear(H, E)  # eq. 5
        self.stop_before, self.stop_now = linear(H, H), linear(H, H)  # eq. 6, W_stop,s-1 and W_stop,s
        self.stop = linear(H, 2)  # eq. 6, W_stop
        queries = (a.query for a in (self.visual, self.semantic) if a is not None)
        self.hidden_layers = JoinedLinears(self.stop_now, self.stop_before, *queries)
        self.context_layers = JoinedLinears(self.context)
        self.words = options.word_lstm(len(targets.words))

    def remember(self, features: Features) -> Memory:
        """Return what is the same for all sentences: the tags, eq. 1, and W_v v_n, W_a a_m of eq. 2-3."""
        keys = None if self.visual is None else self.visual.keys(features.tokens)
        logits = None if self.tags is None else self.tags.logits(features)
        if self.semantic is None:
            return Memory(features, keys, logits, None, None, None)
        if self.tags is None or logits is None:  # composed before any data was read: there are no tags
            none = features.pooled.new_zeros(len(features.pooled), 0, self.semantic.key.in_features)
            return Memory(features, keys, None, none, self.semantic.keys(none), none.new_zeros(len(none), 0).long())
        embedded, ids = self.tags.semantic(logits)
        return Memory(features, keys, logits, embedded, self.semantic.keys(embedded), ids)

    def attend(self, memory: Memory, queries: State) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the context (B, H), eq. 4, α (B, N), eq. 2, and β (B, M), eq. 3.

        `queries` (B, H) are W_v,h h^(s-1) and W_a,h h^(s-1), of the attentions that the model has.
        """
        vectors, alpha, beta = [], None, None
        if self.visual is not None and memory.visual_keys is not None:
            alpha = self.visual.weigh(memory.visual_keys, queries[0], memory.features.mask)
            vectors.append(attend(alpha, memory.features.tokens))  # v_att (B, D)
        if self.semantic is not None and memory.semantic_keys is not None and memory.semantic is not None:
            beta = self.semantic.weigh(memory.semantic_keys, queries[-1])
            vectors.append(attend(beta, memory.semantic))  # a_att (B, E)
        if not vectors:
            vectors.append(memory.features.pooled)
        (context,) = self.context_layers(torch.cat(vectors, -1))
        return context, alpha, beta  # eq. 4

    def unroll(self, memory: Memory, steps: int, *, until: float | None = None) -> Topics:
        """Run the sentence LSTM over `steps` sentences: topics, eq. 5, and stop, eq. 6.

        It ends after the step at which every study has predicted stop, by the threshold `until`, if one is given.
        """
        hidden = cell = memory.features.pooled.new_zeros(len(memory.features.pooled), self.options.hidden)
        hiddens, contexts, stops, alphas, betas = [], [], [], [], []
        stopped = torch.zeros(len(hidden), dtype=torch.bool, device=hidden.device)
        _, before, *queries = self.hidden_layers(hidden)
        for _ in range(steps):
            context, alpha, beta = self.attend(memory, tuple(queries))
            hidden, cell = self.sentence(context, (hidden, cell))
            last, (now, before, *queries) = before, self.hidden_layers(hidden)
            hiddens.append(hidden)
            contexts.append(context)
            stops.append(self.stop(torch.tanh(last + now)))  # eq. 6
            alphas.append(alpha)
            betas.append(beta)
            if until is not None:
                stopped |= is_stop(stops[-1], until)
                if bool(stopped.all()):
                    break
        states, attended = torch.stack(hiddens, 1), torch.stack(contexts, 1)  # (B, S, H)
        topics = torch.tanh(self.topic_hidden(states) + self.topic_context(attended))  # eq. 5
        return Topics(topics, torch.stack(stops, 1), _stack(alphas), _stack(betas))

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return the losses tag, sent, word and attention, eq. 8 and 9, with teacher forcing."""
        if self.options.shuffle and self.training:
            targets = shuffled(targets)
        assert targets.sentences is not None
        memory = self.remember(features)
        sentences = targets.sentences  # (B, S, W)
        real = sentences[..., 0] != PAD  # (B, S)
        topics = self.unroll(memory, sentences.shape[1])
        logits, words = self.word_logits(self.words, topics.topics[real], sentences[real])
        return self.losses_of(memory, topics, real, logits, words, targets)

    def losses_of(
        self, memory: Memory, topics: Topics, real: Tensor, logits: Tensor, words: Tensor, targets: Targets
    ) -> Decoded:
        """Return the losses of the real sentences (B, S), from the logits (Σ W, V) of their words (Σ W,)."""
        word = F.cross_entropy(logits.float(), words, reduction="sum") / len(real)
        losses = {"sent": _stop_loss(topics.stop, real), "word": word}
        if memory.tag_logits is not None and targets.tags is not None and not self.features.tag_heads:
            losses["tag"] = tag_loss(memory.tag_logits[:, 0], targets.tags)
        if topics.visual is not None or topics.semantic is not None:
            losses["attention"] = _attention_loss(topics, real, memory.features.mask)
        return Decoded(losses, logits, {"nats_per_word": (word * len(real) / max(len(words), 1)).detach()})

    def word_logits(self, word_lstm: WordLSTM, topics: Tensor, sentences: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (Σ W, V) of the real words, eq. 7, and these words (Σ W,).

        `topics` is (R, E), `sentences` (R, W).
        """
        lengths = (sentences != PAD).sum(1)  # with END
        embedded = word_lstm.embedding(torch.cat([torch.full_like(sentences[:, :1], BOS), sentences[:, :-1]], 1))
        if not len(sentences):
            return embedded.new_zeros(0, word_lstm.out.out_features), sentences.new_zeros(0)
        if self.options.topic == "every":
            inputs = torch.cat([topics[:, None].expand(-1, embedded.shape[1], -1), embedded], -1)  # (R, W, E + E)
            states = word_lstm(inputs, lengths)
        else:
            inputs = torch.cat([topics[:, None], embedded], 1)  # (R, 1 + W, E)
            states = word_lstm(inputs, lengths + 1)
            first = torch.zeros_like(lengths)
            first[1:] = (lengths + 1).cumsum(0)[:-1]
            after = torch.ones(len(states), dtype=torch.bool, device=states.device)
            after[first] = False  # the output at the topic predicts no word
            states = states[after]
        logits: Tensor = word_lstm.out(states)
        return logits, sentences[sentences != PAD]

    def first_plan(self, features: Features) -> tuple[State, State]:
        """Return the states (B, H) of the sentence LSTM, zeros, and what its sentences read."""
        memory = self.remember(features)
        zero = features.pooled.new_zeros(len(features.pooled), self.options.hidden)
        attended = (memory.visual_keys, memory.semantic, memory.semantic_keys)
        kept = (features.tokens, features.pooled, features.mask, *(t for t in attended if t is not None))
        return (zero, zero), kept

    def next_sentence(self, plan: State, kept: State) -> tuple[Tensor, State, State, State]:
        """Return whether this sentence is the last (B,), state and memory of its words, and the new plan."""
        (tokens, pooled, mask), attended = kept[:3], kept[3:]
        keys = attended[0] if self.visual is not None else None
        semantic, semantic_keys = attended[-2:] if self.semantic is not None else (None, None)
        memory = Memory(Features(tokens, pooled, mask), keys, None, semantic, semantic_keys, None)
        _, before, *queries = self.hidden_layers(plan[0])
        context, _, _ = self.attend(memory, tuple(queries))
        hidden, cell = self.sentence(context, (plan[0], plan[1]))
        now = self.hidden_layers(hidden)[0]
        topic = torch.tanh(self.topic_hidden(hidden) + self.topic_context(context))  # eq. 5
        last = is_stop(self.stop(torch.tanh(before + now)), self.options.stop_threshold)
        return last, *self.first_words(topic), (hidden, cell)

    def first_words(self, topic: Tensor) -> tuple[State, State]:
        """Return state and memory of the words of topics (B, E), before the start mark is read."""
        return self.words.begun(topic)

    def next_word(self, words: Tensor, state: State, memory: State) -> tuple[Tensor, State]:
        """Return the logits (B, V) after words (B,), and the new state."""
        return self.words.read(words, state, memory)

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write all sentences of all studies together. A sentence that has ended needs no more computation."""
        memory, topics, real = self.plan(features, settings)
        result = self.write(self.words, topics.topics[real], settings, places(real))
        return self.reports(memory, topics, real, result, settings)

    def plan(self, features: Features, settings: GenerationSettings) -> tuple[Memory, Topics, Tensor]:
        """Return the memory, the topics, and a mask (B, S) that is True for the sentences to write."""
        threshold = self.own_options(settings)["stop_threshold"]
        if not 0 <= threshold <= 1:
            raise OptionError(f"stop_threshold is a probability, from 0 to 1, not {threshold!r}")
        memory = self.remember(features)
        topics = self.unroll(memory, settings.max_sentences or self.targets.max_sentences, until=threshold)
        stop = is_stop(topics.stop, threshold)  # (B, S)
        return memory, topics, stop.cumsum(1) - stop.long() == 0  # up to the first stop, that sentence included

    def write(self, word_lstm: WordLSTM, topics: Tensor, settings: GenerationSettings, sentence: Tensor) -> BeamResult:
        """Write one sentence for each topic (R, E); `sentence` (R,) is its number in its report."""
        if self.options.topic == "every":
            state = word_lstm.start(len(topics), extra=topics)
        else:
            state = word_lstm.start(len(topics), first=topics)
        length = settings.max_words or self.targets.max_words  # a sentence of this length needs no END
        return search(word_lstm.step, state, settings, rows=len(topics), max_words=length, places=sentence)

    def reports(
        self, memory: Memory, topics: Topics, real: Tensor, result: BeamResult, settings: GenerationSettings
    ) -> list[Generated]:
        """Join the sentences of a search, one row for each True of `real` (B, S), into the reports of B studies."""
        words, scores, lengths = result.words.tolist(), result.scores.tolist(), result.lengths().tolist()
        tags = None if memory.tag_logits is None else probabilities(memory.tag_logits)
        reports, row = [], 0
        for b, count in enumerate(real.sum(1).tolist()):
            rows = range(row, row + count)
            row += count
            attention = _attention(memory, topics, b, count) if settings.attention else None
            beams = [[x for x in zip(scores[r], lengths[r], words[r], strict=True) if x[0] > -math.inf] for r in rows]
            candidates = tuple(
                replace(c, attention=attention) for c in combine(beams, settings.n_best, settings.length_penalty)
            )
            reports.append(Generated(candidates, None if tags is None else tags[b]))
        return reports


def places(real: Tensor) -> Tensor:
    """Return the number (R,) of each real sentence in its report, from the mask (B, S)."""
    return real.nonzero()[:, 1]


def is_stop(logits: Tensor, threshold: float) -> Tensor:
    """Return whether p(STOP) is above the threshold: stop logits (…, 2) -> (…) bool."""
    return logits.float().softmax(-1)[..., 1] > threshold


def _stack(steps: Sequence[Tensor | None]) -> Tensor | None:
    """Stack the weights (B, N) of S sentences into (B, S, N). Return None if the model has no such attention."""
    real = [s for s in steps if s is not None]
    return torch.stack(real, 1) if real else None


def _stop_loss(logits: Tensor, real: Tensor) -> Tensor:
    """Return the second term of eq. 8: cross entropy of logits (B, S, 2) against 1{s = S}, in nats.

    It is summed over the real sentences (B, S) of a study; the mean over the studies follows.
    """
    count = real.sum(1, keepdim=True)
    last = torch.arange(1, real.shape[1] + 1, device=real.device) == count  # (B, S)
    nats = F.cross_entropy(logits[real].float(), last[real].long(), reduction="sum")
    return nats / len(real)


def _attention_loss(topics: Topics, real: Tensor, mask: Tensor) -> Tensor:
    """Return eq. 9, Σ_n (1 - Σ_s α_n,s)² + Σ_m (1 - Σ_s β_m,s)², mean over the studies; 0 without a sentence."""
    has = real.any(1)
    total = topics.topics.new_zeros(len(real), dtype=torch.float32)
    if topics.visual is not None:
        lack = 1 - (topics.visual * real[..., None]).sum(1)  # (B, N)
        total = total + (lack.square() * mask).sum(1)
    if topics.semantic is not None:
        total = total + (1 - (topics.semantic * real[..., None]).sum(1)).square().sum(1)
    return (total * has).sum() / len(real)


def _attention(memory: Memory, topics: Topics, study: int, sentences: int) -> Attention | None:
    """Return the attention of one study's sentences, on the CPU, or None if the model has no attention."""
    if topics.visual is None and topics.semantic is None:
        return None

    def rows(weights: Tensor | None) -> Tensor | None:
        return None if weights is None else weights[study, :sentences].float().cpu()

    ids = None if memory.tag_ids is None else memory.tag_ids[study].cpu()
    return Attention("sentence", rows(topics.visual), rows(topics.semantic), ids)
