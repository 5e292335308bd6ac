"""hier-lstm: a sentence LSTM with co-attention over regions and tags writes a topic a sentence, a word LSTM its words.

Jing, Xie, Xing: On the Automatic Generation of Medical Imaging Reports, ACL 2018, arXiv:1711.08195; equation numbers
are the paper's. Derived from the paper, not from the code that circulates, whose softmax and LSTM run over the batch.

Where the paper is silent or says two things, this is what is done:

- The sentence of the step that says stop is written: eq. 8 has the stop target at s = S, a step with words.
- The topic is the word LSTM's first input, from zero states, START its second; the topic's own output predicts nothing
  (`topic="first"`). `topic="every"` is DiTag's: [topic; word] at every step.
- Eq. 2-7 write no biases and the layers have none (`bias=true` gives them some). The LSTM cells have theirs.
- Tags: one softmax over all tags against l / ||l||_1, see `tags.py`. The M likeliest *predicted* tags are attended to,
  in training as in use; the choice is not differentiated.
- Stop: two logits, index 1 is STOP; a sentence is the last when p(STOP) > `stop_threshold`, strictly.
- END is a target and is counted in T_s; it is no part of the text.
- Eq. 8 is summed over the sentences and words of a study, as printed, and averaged over the studies of a batch. The λ
  are the training setting `weights`, by name: tag, sent, word, attention (λ_re); 1 by default.
- Eq. 9 sums over the real sentences of a study and over real regions. An ablation without a branch has no term for it.
- Before the first sentence hidden and cell states are zero.
- The ablations without semantic attention still predict tags (the λ of loss tag at 0 takes that away).
- `shuffle` trains on the sentences of each report in an order drawn anew every time (Ni et al. 2020, section 4.1).
- `attention="none"` reads the pooled vector at every sentence (Ours-no-Attention): for VGG its fc7, 4096 wide.

Letters: B studies, N regions, M tags, S sentences, R sentences of all studies, W words, H hidden, E embedding.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reportgen_core import (
    Attention,
    Candidate,
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
from reportgen_core.text.spec import BOS, EOS, PAD

from .blocks.attention import AdditiveAttention, attend
from .blocks.lstm_step import StepCell, Together
from .blocks.order import shuffled
from .blocks.search import Found, search
from .blocks.tags import TagPredictor, probabilities, tag_loss
from .blocks.word_lstm import WordLSTM

ATTENTION = ("co", "visual", "semantic", "none")
TOPIC = ("first", "every")


@dataclass(frozen=True, slots=True)
class Memory:
    """What the sentence LSTM may look at, with the parts that do not change from sentence to sentence."""

    features: Features
    visual_keys: Tensor | None  # (B, N, H)
    tag_logits: Tensor | None  # (B, Q, K)
    semantic: Tensor | None  # (B, M, E)
    semantic_keys: Tensor | None  # (B, M, H)
    tag_ids: Tensor | None  # (B, M)


@dataclass(frozen=True, slots=True)
class Topics:
    """What the sentence LSTM says, for all sentences of all studies."""

    topics: Tensor  # (B, S, E)
    stop: Tensor  # (B, S, 2) logits, index 1 is STOP
    visual: Tensor | None  # (B, S, N) α, eq. 2
    semantic: Tensor | None  # (B, S, M) β, eq. 3


class HierLSTM(Decoder):
    """The co-attention hierarchical LSTM. The options' defaults are the paper's."""

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
        self.shuffle = shuffle
        if attention not in ATTENTION:
            raise OptionError(f"hier-lstm has no attention={attention!r}; there are: {', '.join(ATTENTION)}")
        if topic not in TOPIC:
            raise OptionError(f"hier-lstm has no topic={topic!r}; there are: {', '.join(TOPIC)}")
        if word_layers not in (1, 2):
            raise OptionError(f"hier-lstm takes word_layers 1 or 2, got {word_layers!r}")
        semantic = attention in ("co", "semantic")
        self.needs = frozenset({"sentences", "tags"}) if semantic else frozenset({"sentences"})
        self.attention, self.topic_at, self.stop_threshold, self.hidden = attention, topic, stop_threshold, hidden

        def linear(inputs: int, outputs: int) -> nn.Linear:
            return nn.Linear(inputs, outputs, bias=bias)

        tag_width = embedding if semantic else None
        self.tags = TagPredictor(features, len(targets.tags), tag_width, tags_used) if targets.tags else None
        visual = attention in ("co", "visual")
        self.visual = AdditiveAttention(features.dim, hidden, hidden, bias=bias) if visual else None  # eq. 2
        self.semantic = AdditiveAttention(embedding, hidden, hidden, bias=bias) if semantic else None  # eq. 3
        seen = features.dim * visual + embedding * semantic + features.pooled * (attention == "none")
        self.context = linear(seen, hidden)  # eq. 4, W_fc
        self.sentence = StepCell(hidden, hidden)
        self.topic_hidden, self.topic_context = linear(hidden, embedding), linear(hidden, embedding)  # eq. 5
        self.stop_before, self.stop_now = (
            linear(hidden, hidden),
            linear(hidden, hidden),
        )  # eq. 6, W_stop,s-1 and W_stop,s
        self.stop = linear(hidden, 2)  # eq. 6, W_stop
        queries = (a.query for a in (self.visual, self.semantic) if a is not None)
        self.readers, self.contexts = Together(self.stop_now, self.stop_before, *queries), Together(self.context)
        self.words = WordLSTM(len(targets.words), embedding, hidden, word_layers, embedding * (topic == "every"))

    def remember(self, features: Features) -> Memory:
        """What stays the same for all sentences: the tags, eq. 1, and W_v v_n, W_a a_m of eq. 2-3."""
        keys = None if self.visual is None else self.visual.keys(features.tokens)
        logits = None if self.tags is None else self.tags.logits(features)
        if self.semantic is None:
            return Memory(features, keys, logits, None, None, None)
        if self.tags is None or logits is None:  # composed before any data was seen: there is no tag to look at
            none = features.pooled.new_zeros(len(features.pooled), 0, self.semantic.key.in_features)
            return Memory(features, keys, None, none, self.semantic.keys(none), none.new_zeros(len(none), 0).long())
        embedded, ids = self.tags.semantic(logits)
        return Memory(features, keys, logits, embedded, self.semantic.keys(embedded), ids)

    def look(self, memory: Memory, queries: Sequence[Tensor]) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Co-attention by h^(s-1)'s shares (B, H): the context (B, H), eq. 4, α (B, N), eq. 2, β (B, M), eq. 3."""
        seen, alpha, beta = [], None, None
        if self.visual is not None and memory.visual_keys is not None:
            alpha = self.visual.weigh(memory.visual_keys, queries[0], memory.features.mask)
            seen.append(attend(alpha, memory.features.tokens))  # v_att (B, D)
        if self.semantic is not None and memory.semantic_keys is not None and memory.semantic is not None:
            beta = self.semantic.weigh(memory.semantic_keys, queries[-1])
            seen.append(attend(beta, memory.semantic))  # a_att (B, E)
        if not seen:
            seen.append(memory.features.pooled)
        (context,) = self.contexts(torch.cat(seen, -1))
        return context, alpha, beta  # eq. 4

    def unroll(self, memory: Memory, steps: int, *, until_all_stop: bool = False) -> Topics:
        """The sentence LSTM over `steps` sentences: topics, eq. 5, and stop, eq. 6."""
        hidden = cell = memory.features.pooled.new_zeros(len(memory.features.pooled), self.hidden)
        hiddens, contexts, stops, alphas, betas = [], [], [], [], []
        stopped = torch.zeros(len(hidden), dtype=torch.bool, device=hidden.device)
        _, before, *queries = self.readers(hidden)
        for _ in range(steps):
            context, alpha, beta = self.look(memory, queries)
            hidden, cell = self.sentence(context, (hidden, cell))
            last, (now, before, *queries) = before, self.readers(hidden)
            hiddens.append(hidden)
            contexts.append(context)
            stops.append(self.stop(torch.tanh(last + now)))  # eq. 6
            alphas.append(alpha)
            betas.append(beta)
            stopped |= self.says_stop(stops[-1])
            if until_all_stop and bool(stopped.all()):
                break
        said, seen = torch.stack(hiddens, 1), torch.stack(contexts, 1)  # (B, S, H)
        topics = torch.tanh(self.topic_hidden(said) + self.topic_context(seen))  # eq. 5
        return Topics(topics, torch.stack(stops, 1), _stack(alphas), _stack(betas))

    def says_stop(self, logits: Tensor) -> Tensor:
        """(…, 2) -> (…) bool: p(STOP) > threshold."""
        return logits.float().softmax(-1)[..., 1] > self.stop_threshold

    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Eq. 8 and 9, teacher forced: losses tag, sent, word, attention."""
        if self.shuffle and self.training:
            targets = shuffled(targets)
        assert targets.sentences is not None
        memory = self.remember(features)
        sentences = targets.sentences  # (B, S, W)
        real = sentences[..., 0] != PAD  # (B, S)
        said = self.unroll(memory, sentences.shape[1])
        logits, words = self.spell(self.words, said.topics[real], sentences[real])
        return self.weigh(memory, said, real, logits, words, targets)

    def weigh(
        self, memory: Memory, said: Topics, real: Tensor, logits: Tensor, words: Tensor, targets: Targets
    ) -> Decoded:
        """The losses of what was said in the real sentences (B, S): logits (Σ W, V) of the words (Σ W,)."""
        word = F.cross_entropy(logits.float(), words, reduction="sum") / len(real)
        losses = {"sent": _stop_loss(said.stop, real), "word": word}
        if memory.tag_logits is not None and targets.tags is not None and not self.features.tag_heads:
            losses["tag"] = tag_loss(memory.tag_logits[:, 0], targets.tags)
        if said.visual is not None or said.semantic is not None:
            losses["attention"] = _attention_loss(said, real, memory.features.mask)
        return Decoded(losses, logits, {"nats_per_word": (word * len(real) / max(len(words), 1)).detach()})

    def spell(self, speaker: WordLSTM, topics: Tensor, sentences: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 7: topics (R, E), sentences (R, W) -> logits (Σ W, V) of the real words and the words (Σ W,)."""
        lengths = (sentences != PAD).sum(1)  # with END
        said = speaker.embedding(torch.cat([torch.full_like(sentences[:, :1], BOS), sentences[:, :-1]], 1))
        if not len(sentences):
            return said.new_zeros(0, speaker.out.out_features), sentences.new_zeros(0)
        if self.topic_at == "every":
            inputs = torch.cat([topics[:, None].expand(-1, said.shape[1], -1), said], -1)  # (R, W, E + E)
            states = speaker(inputs, lengths)
        else:
            inputs = torch.cat([topics[:, None], said], 1)  # (R, 1 + W, E)
            states = speaker(inputs, lengths + 1)
            first = torch.zeros_like(lengths)
            first[1:] = (lengths + 1).cumsum(0)[:-1]
            after = torch.ones(len(states), dtype=torch.bool, device=states.device)
            after[first] = False  # what follows the topic predicts nothing
            states = states[after]
        logits: Tensor = speaker.out(states)
        return logits, sentences[sentences != PAD]

    @torch.inference_mode()
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """All sentences of all studies are written together; a sentence that has ended costs nothing more."""
        memory, said, real = self.plan(features, settings)
        found = self.write(self.words, said.topics[real], settings)
        return self.gather(memory, said, real, found, settings)

    def plan(self, features: Features, settings: GenerationSettings) -> tuple[Memory, Topics, Tensor]:
        """What the sentence LSTM wants to say, and which sentences (B, S) are said."""
        memory = self.remember(features)
        said = self.unroll(memory, settings.max_sentences or self.targets.max_sentences, until_all_stop=True)
        stop = self.says_stop(said.stop)  # (B, S)
        return memory, said, stop.cumsum(1) - stop.long() == 0  # up to and with the first that says stop

    def write(self, speaker: WordLSTM, topics: Tensor, settings: GenerationSettings) -> Found:
        """topics (R, E) -> the words of R sentences."""
        if self.topic_at == "every":
            state = speaker.start(len(topics), beside=topics)
        else:
            state = speaker.start(len(topics), first=topics)
        length = settings.max_words or self.targets.max_words  # a sentence of this length needs no END
        return search(speaker.step, state, rows=len(topics), beams=settings.beams, max_words=length)

    def gather(
        self, memory: Memory, said: Topics, real: Tensor, found: Found, settings: GenerationSettings
    ) -> list[Generated]:
        """The sentences that were found, as reports of B studies."""
        words, scores, lengths = found.words.tolist(), found.scores.tolist(), found.lengths().tolist()
        tags = None if memory.tag_logits is None else probabilities(memory.tag_logits)
        out, row = [], 0
        for b, count in enumerate(real.sum(1).tolist()):
            rows = range(row, row + count)
            row += count
            looked = _attention(memory, said, b, count) if settings.attention else None
            beams = [[x for x in zip(scores[r], lengths[r], words[r], strict=True) if x[0] > -math.inf] for r in rows]
            candidates = tuple(replace(c, attention=looked) for c in combine(beams, settings.n_best))
            out.append(Generated(candidates, None if tags is None else tags[b]))
        return out


def combine(beams: Sequence[Sequence[tuple[float, int, list[int]]]], n_best: int) -> list[Candidate]:
    """The `n_best` reports made of the beams (summed log-probability, length, words) of each sentence, best first.

    Beams are best first. A report ranks by the sum of its sentences' means; its score is the mean a word.
    """
    means = [[score / max(length, 1) for score, length, _ in beam] for beam in beams]
    first = (0,) * len(beams)
    heap = [(-sum(m[0] for m in means), first)]
    seen = {first}
    made: list[Candidate] = []
    while heap and len(made) < n_best:
        _, choice = heapq.heappop(heap)
        picked = [beams[s][k] for s, k in enumerate(choice)]
        total, words = sum(p[0] for p in picked), sum(p[1] for p in picked)
        made.append(Candidate(tuple(_text(p[2][: p[1]]) for p in picked), total / max(words, 1)))
        for s, k in enumerate(choice):
            after = (*choice[:s], k + 1, *choice[s + 1 :])
            if k + 1 < len(beams[s]) and after not in seen:
                seen.add(after)
                heapq.heappush(heap, (-sum(means[i][j] for i, j in enumerate(after)), after))
    return made


def _text(ids: list[int]) -> tuple[int, ...]:
    """What was written without the end mark."""
    return tuple(ids[:-1] if ids[-1:] == [EOS] else ids)


def _stack(steps: Sequence[Tensor | None]) -> Tensor | None:
    """Weights of each sentence (B, N) -> (B, S, N), or None where there is no such attention."""
    real = [s for s in steps if s is not None]
    return torch.stack(real, 1) if real else None


def _stop_loss(logits: Tensor, real: Tensor) -> Tensor:
    """Eq. 8, second term: cross entropy of (B, S, 2) against 1{s = S}, summed over real sentences (B, S)."""
    count = real.sum(1, keepdim=True)
    last = torch.arange(1, real.shape[1] + 1, device=real.device) == count  # (B, S)
    nats = F.cross_entropy(logits[real].float(), last[real].long(), reduction="sum")
    return nats / len(real)


def _attention_loss(said: Topics, real: Tensor, mask: Tensor) -> Tensor:
    """Eq. 9: Σ_n (1 - Σ_s α_n,s)² + Σ_m (1 - Σ_s β_m,s)², mean over the studies that have a sentence."""
    has = real.any(1)
    total = said.topics.new_zeros(len(real), dtype=torch.float32)
    if said.visual is not None:
        lack = 1 - (said.visual * real[..., None]).sum(1)  # (B, N)
        total = total + (lack.square() * mask).sum(1)
    if said.semantic is not None:
        total = total + (1 - (said.semantic * real[..., None]).sum(1)).square().sum(1)
    return (total * has).sum() / len(real)


def _attention(memory: Memory, said: Topics, study: int, sentences: int) -> Attention | None:
    """The weights of one study's sentences, on the CPU; None where the model has no attention."""
    if said.visual is None and said.semantic is None:
        return None

    def rows(weights: Tensor | None) -> Tensor | None:
        return None if weights is None else weights[study, :sentences].float().cpu()

    ids = None if memory.tag_ids is None else memory.tag_ids[study].cpu()
    return Attention("sentence", rows(said.visual), rows(said.semantic), ids)
