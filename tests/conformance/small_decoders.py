"""A small sound decoder, and others that each break one promise of the interface."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from reportgen_plugins.decoders.hier_lstm import HierLSTM
from torch import nn
from torch.nn import functional as F

from reportgen_core import Attention, Candidate, Decoded, Decoder, Generated
from reportgen_core.text import BOS, EOS, PAD

MOST = 10**6


class Sound(Decoder):
    """An RNN that attends to the tokens before each word and reads it with the pooled image."""

    needs = frozenset({"words"})

    def __init__(self, features, targets, *, width: int = 12):
        super().__init__(features, targets)
        V = len(targets.words)
        self.words, self.image = nn.Embedding(V, width), nn.Linear(features.dim, width)
        self.pooled, self.cell = nn.Linear(features.pooled, width), nn.RNNCell(2 * width, width)
        self.out = nn.Linear(width, V)

    def mask(self, features):
        return features.mask

    def start(self, features, words=None):
        return torch.tanh(self.pooled(features.pooled))

    def step(self, words, state, features):
        keys = self.image(features.tokens)
        scores = (keys @ state[..., None])[..., 0].masked_fill(~self.mask(features), -math.inf)
        weights = scores.softmax(-1)
        state = self.cell(torch.cat([self.words(words), (weights[..., None] * keys).sum(1)], -1), state)
        return self.out(state), state, weights

    def teach(self, features, words):
        state, rows = self.start(features, words), []
        for word in words[:, :-1].T:
            logits, state, _ = self.step(word, state, features)
            rows.append(logits)
        return torch.stack(rows, 1)

    def decode(self, features, targets):
        wanted = targets.words[:, 1:]
        real = (wanted != PAD) & (wanted[:, :1] != EOS)
        logits = self.teach(features, targets.words)[real]
        return Decoded({"word": F.cross_entropy(logits, wanted[real], reduction="sum") / len(wanted)}, logits)

    def limit(self, settings):
        if settings.max_sentences is None and settings.max_words is None:
            return self.targets.max_length
        words = settings.max_words or self.targets.max_words
        return (settings.max_sentences or self.targets.max_sentences) * (words + 1)

    @torch.inference_mode()
    def generate(self, features, settings):
        return [self.write(type(features)(*(x[[b]] for x in parts(features))), settings) for b in studies(features)]

    def write(self, features, settings):
        beams = [(0.0, (BOS,), self.start(features), ())]
        for _ in range(self.limit(settings)):
            longer = [beam for beam in beams if beam[1][-1] == EOS]
            for total, words, state, rows in (beam for beam in beams if beam[1][-1] != EOS):
                logits, state, weights = self.step(torch.tensor(words[-1:]), state, features)
                gains = logits[0].log_softmax(-1)
                gains[[PAD, BOS]] = -math.inf
                best = gains.topk(settings.beams)
                longer += [
                    (total + gain, (*words, i), state, (*rows, weights[0]))
                    for gain, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
                ]
            beams = sorted(longer, key=lambda beam: -beam[0])[: settings.beams]
        candidates = [self.candidate(beam, settings) for beam in beams]
        return Generated(tuple(sorted(candidates, key=lambda c: -c.score)[: settings.n_best]))

    def candidate(self, beam, settings):
        total, words, _, rows = beam
        ids = tuple(i for i in words if i not in (BOS, EOS))
        weights = torch.stack(rows)[: len(ids)]
        return Candidate((ids,), total / (len(words) - 1), Attention("word", weights) if settings.attention else None)


def parts(features):
    return features.tokens, features.pooled, features.mask


def studies(features):
    return range(len(features.tokens))


def each_candidate(change):
    """Return a `generate` that changes the candidates of a sound decoder."""

    def generate(self, features, settings):
        generated = Sound.generate(self, features, settings)
        return [replace(g, candidates=tuple(change(g.candidates))) for g in generated]

    return generate


def broken(name, **methods):
    return type(name, (Sound,), {"__module__": __name__, **methods})


def with_settings(**values):
    """Return a `generate` that follows other settings than it gets."""
    return lambda self, features, settings: Sound.generate(self, features, replace(settings, **values))


def attention_of(change):
    """Return a `candidate` whose weights of regions are changed."""

    def candidate(self, beam, settings):
        sound = Sound.candidate(self, beam, settings)
        if sound.attention is None:
            return sound
        return replace(sound, attention=replace(sound.attention, regions=change(sound.attention.regions)))

    return candidate


def other_decode(change):
    """Return a `decode` whose result is changed: `change` takes the result, the features and the targets."""
    return lambda self, features, targets: change(Sound.decode(self, features, targets), features, targets)


def all_rows(self, features, targets):
    """Logits of the padding, too."""
    return replace(Sound.decode(self, features, targets), logits=self.teach(features, targets.words).flatten(0, 1))


def in_columns(self, features, targets):
    """Logits word by word over all studies, in place of study by study."""
    wanted = targets.words[:, 1:]
    real = (wanted != PAD) & (wanted[:, :1] != EOS)
    times, of_study = real.T.nonzero().T
    return replace(Sound.decode(self, features, targets), logits=self.teach(features, targets.words)[of_study, times])


def unshifted(self, features, words):
    """The state reads the word that it predicts."""
    return Sound.teach(self, features, torch.cat([words[:, 1:], words[:, -1:]], 1))


def longer_word_limit(self, settings):
    return MOST if settings.max_words else Sound.limit(self, settings)


def reads_sentences(self, features, targets):
    """The first word is known beforehand, from another field of the targets."""
    wanted = targets.words[:, 1:]
    real = (wanted != PAD) & (wanted[:, :1] != EOS)
    first = self.out(self.words(targets.sentences[:, 0, 0]))[:, None]  # (B, 1, V)
    logits = (self.teach(features, targets.words) + first)[real]
    return Decoded({"word": F.cross_entropy(logits, wanted[real], reduction="sum") / len(wanted)}, logits)


def peeks_once(self, features, words):
    """Only the fourth word is known beforehand."""
    state, rows = self.start(features, words), []
    for t, word in enumerate(words[:, :-1].T):
        read = words[:, t + 1] if t == 3 else word
        logits, state, _ = self.step(read, state, features)
        rows.append(logits)
    return torch.stack(rows, 1)


def per_word(self, features, targets):
    """A mean over the words of the batch."""
    out = Sound.decode(self, features, targets)
    wanted = targets.words[:, 1:]
    return replace(out, losses={"word": out.losses["word"] * len(wanted) / len(out.logits)})


def with_padding(self, features, targets):
    """Padding is learned, too."""
    wanted, logits = targets.words[:, 1:], self.teach(features, targets.words)
    loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="sum") / len(wanted)
    return replace(Sound.decode(self, features, targets), losses={"word": loss})


def long_alternatives(self, features, settings):
    """Limits hold for the best report alone."""
    short = Sound.generate(self, features, replace(settings, n_best=1))
    free = replace(settings, max_sentences=None, max_words=None)
    found = [
        (s.candidates[0], Sound.generate(self, row, free)) for s, row in zip(short, one_by_one(features), strict=True)
    ]
    return [
        Generated(
            tuple(
                sorted(
                    [best, *[c for c in more[0].candidates if c.sentences != best.sentences]], key=lambda c: -c.score
                )[: settings.n_best]
            )
        )
        for best, more in found
    ]


def one_by_one(features):
    return [type(features)(*(x[[b]] for x in parts(features))) for b in studies(features)]


def by_torchs_state(self, features, settings):
    """Words are drawn by the state of torch."""
    if not settings.sample:
        return Sound.generate(self, features, settings)
    return Sound.generate(
        self, replace(features, pooled=features.pooled + 3 * torch.randn_like(features.pooled)), settings
    )


class HierForgetsWords(HierLSTM):
    """A hierarchical decoder that ignores max_words."""

    def generate(self, features, settings):
        return super().generate(features, replace(settings, max_words=None))


class HierForgetsSentences(HierLSTM):
    """A hierarchical decoder that ignores max_sentences."""

    def generate(self, features, settings):
        return super().generate(features, replace(settings, max_sentences=None))


class HierReversed(HierLSTM):
    """A hierarchical decoder whose candidates come worst first."""

    def generate(self, features, settings):
        return [replace(g, candidates=g.candidates[::-1]) for g in super().generate(features, settings)]


class HierSums(HierLSTM):
    """A hierarchical decoder whose losses are sums over the studies."""

    def decode(self, features, targets):
        out = super().decode(features, targets)
        return replace(out, losses={name: loss * len(features.tokens) for name, loss in out.losses.items()})


BROKEN = {  # by a part of the message
    "rows of Attention.regions sum to": [
        broken("Sevens", candidate=attention_of(lambda w: 7 * w)),
        broken("Half", candidate=attention_of(lambda w: w / 2)),
        broken("Logs", candidate=attention_of(lambda w: w.clamp(min=1e-9).log())),
    ],
    "has 1 columns; give one for each of the": [broken("Mean", candidate=attention_of(lambda w: w.mean(1, keepdim=True)))],
    "give a row for each word": [broken("EndMark", candidate=attention_of(lambda w: torch.cat([w, w[:1]])))],
    "weights on masked tokens": [
        broken("Spread", candidate=attention_of(lambda w: torch.full_like(w, 1 / w.shape[1]))),
    ],
    "leave it None": [broken("Always", generate=with_settings(attention=True))],
    "follow beams and n_best": [
        broken("One", generate=with_settings(n_best=1)),
        broken("Greedy", generate=with_settings(beams=1, n_best=1)),
        broken("Copies", generate=each_candidate(lambda c: [c[0]] * len(c))),
        broken("All", generate=with_settings(n_best=4)),
        broken("LastTwice", generate=each_candidate(lambda c: [*c[:-1], c[-2]] if len(c) > 1 else c)),
    ],
    "follow both limits": [
        broken("Longest", generate=with_settings(max_sentences=None, max_words=None)),
        broken("WordsOnly", generate=with_settings(max_sentences=None)),
        broken("SentencesOnly", generate=with_settings(max_words=None)),
        HierForgetsWords, HierForgetsSentences,
        broken("OneMore", limit=lambda self, s: Sound.limit(self, s) + 1),
        broken("BeamsForget", limit=lambda self, s: Sound.limit(self, replace(s, max_words=None) if s.beams > 1 else s)),
        broken("LongAlternatives", generate=long_alternatives),
    ],
    "a limit is counted with its last word": [
        broken("OneLess", limit=lambda self, s: Sound.limit(self, s) - (s.max_words is not None)),
    ],
    "the reports of a beam search are the same for other images": [
        broken("DarkBeams", generate=lambda self, f, s: Sound.generate(self, dark(f) if s.beams > 1 else f, s)),
    ],
    "long reports a larger part": [
        broken("PerWord", decode=per_word), broken("WithPadding", decode=with_padding),
    ],
    "with n_best=1 another report is the best": [
        broken("Swapped", generate=each_candidate(lambda c: [replace(x, sentences=y.sentences) for x, y in zip(c, [*c[1:], c[0]], strict=True)])),
    ],
    "equal seeds draw other reports": [
        broken("ByTorchsState", follows=frozenset({"sample"}), generate=by_torchs_state),
    ],
    "another seed draws the same reports": [broken("ClaimsSample", follows=frozenset({"sample"}))],
    "changes no report, though some repeat a word": [
        broken("ClaimsPenalty", follows=frozenset({"repetition_penalty"})),
    ],
    "mask the future": [
        broken("Unshifted", teach=unshifted),
        broken("PeeksOnce", teach=peeks_once),
        broken("ReadsSentences", decode=reads_sentences),
        broken("Knows", start=lambda self, f, words=None: Sound.start(self, f) + (0 if words is None else self.words(words).mean(1))),
        broken("KnowsTheEnd", start=lambda self, f, words=None: Sound.start(self, f) + (0 if words is None else self.words(words[:, -2]))),
    ],
    "masked tokens change the losses": [
        broken("MaskAsLength", mask=lambda self, f: torch.arange(f.mask.shape[1]) < f.mask.sum(1, keepdim=True)),
        broken("Blindfold", mask=lambda self, f: torch.ones_like(f.mask)),
        broken("MeanOfAll", start=lambda self, f, words=None: Sound.start(self, f) + self.image(f.tokens).mean(1)),
    ],
    "masked tokens change the generated reports": [
        broken("WritesWithAll", generate=lambda self, f, s: Sound.generate(self, replace(f, mask=torch.ones_like(f.mask)), s)),
    ],
    "the losses are the same for other images": [
        broken("Dark", teach=lambda self, f, words: Sound.teach(self, dark(f), words)),
    ],
    "the generated reports are the same for other images": [
        broken("WritesInTheDark", generate=lambda self, f, s: Sound.generate(self, dark(f), s)),
    ],
    "sort them by their own scores": [
        broken("Reversed", generate=each_candidate(lambda c: c[::-1])), HierReversed,
    ],
    "is the mean log-probability of a word in nats": [
        broken("SumOfLogs", generate=each_candidate(lambda c: sorted((replace(x, score=x.score * (len(x.sentences[0]) + 1)) for x in c), key=lambda x: -x.score))),
        broken("Invented", generate=each_candidate(lambda c: [replace(x, score=-float(n)) for n, x in enumerate(c)])),
        broken("NoEndMark", generate=each_candidate(lambda c: [replace(x, score=x.score * (1 + 1 / len(x.sentences[0]))) for x in c if x.sentences[0]])),
        broken("Halves", generate=each_candidate(lambda c: [replace(x, score=x.score / 2) for x in c])),
    ],
    "one study after the other": [broken("Columns", decode=in_columns)],
    "give one row for each": [
        broken("OneRow", decode=other_decode(lambda out, f, t: replace(out, logits=out.logits[:1]))),
        broken("Padding", decode=all_rows),
    ],
    "a row for each real target word": [
        broken("NoWords", decode=other_decode(lambda out, f, t: replace(out, logits=out.logits[:, :3]))),
    ],
    "are means over the studies": [
        broken("Sum", decode=other_decode(lambda out, f, t: replace(out, losses={"word": out.losses["word"] * len(t.words)}))),
        broken("Part", decode=other_decode(lambda out, f, t: replace(out, losses={"word": out.losses["word"], "more": out.losses["word"] * len(t.words)}))),
        HierSums,
    ],
}  # fmt: skip


def dark(features):
    return replace(features, tokens=torch.zeros_like(features.tokens), pooled=torch.zeros_like(features.pooled))


for kinds in BROKEN.values():
    for kind in kinds:
        globals()[kind.__name__] = kind
