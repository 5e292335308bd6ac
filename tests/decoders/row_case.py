"""A small case for the decoders that write a report as one row, and numpy's way through an LSTM."""

from __future__ import annotations

import numpy as np
import torch

from reportgen_core import Features, FeatureSpec, Targets, TargetSpec
from reportgen_core.registries import decoders
from reportgen_core.text.spec import BOS, EOS, SPECIAL

N, D, P, K, V = 6, 10, 7, 5, 14
WORDS = (*SPECIAL, *(f"w{i}" for i in range(V - len(SPECIAL))))
LIMIT = 9


def make(name, std=0.6, **options):
    torch.manual_seed(3)
    targets = TargetSpec(WORDS, tuple(f"tag{i}" for i in range(K)), max_length=LIMIT)
    decoder = decoders.create(name, FeatureSpec(D, P, (1, 2, 3)), targets, **options)
    for p in decoder.parameters():  # larger than PyTorch's, so that a wrong equation shows
        torch.nn.init.normal_(p, std=std)
    return decoder.eval()


def features(studies=4, seed=5):
    draw = torch.Generator().manual_seed(seed)
    mask = torch.ones(studies, N, dtype=torch.bool)
    mask[0, 4:] = False
    tokens = torch.randn(studies, N, D, generator=draw)
    return Features(tokens, torch.randn(studies, P, generator=draw), mask)


def one(f, b):
    return Features(f.tokens[b : b + 1], f.pooled[b : b + 1], f.mask[b : b + 1])


def targets():
    """Reports of 4, 1, 6 and 3 words; the second study has no tag."""
    words = torch.zeros(4, 8, dtype=torch.long)
    for b, report in enumerate(([5, 6, 7, 4], [9], [13, 12, 11, 10, 5, 5], [6, 6, 8])):
        words[b, : len(report) + 2] = torch.tensor([BOS, *report, EOS])
    tags = torch.tensor([[1.0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 1, 1]])
    return Targets(words=words, tags=tags)


def reports(t):
    """The words of each study, with the end mark."""
    return [[w for w in row if w not in (0, BOS)] for row in t.words.tolist()]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def weights(decoder):
    return {k: v.detach().double().numpy() for k, v in decoder.state_dict().items()}


def lstm(w, prefix, x, h, c, layer="", bias=True):
    z = w[f"{prefix}weight_ih{layer}"] @ x + w[f"{prefix}weight_hh{layer}"] @ h
    if bias:
        z = z + w[f"{prefix}bias_ih{layer}"] + w[f"{prefix}bias_hh{layer}"]
    i, f, g, o = np.split(z, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def numbers(f, b):
    """Real regions and pooled vector of a study, in float64."""
    return f.tokens[b][f.mask[b]].double().numpy(), f.pooled[b].double().numpy()


def greedy(words, limit=LIMIT):
    """A report from `words(prefix)`, which reads its prefix anew for each word and gives the next word's distribution."""
    prefix = []
    while len(prefix) < limit:
        dist = words(prefix)[-1].copy()
        dist[:2] = 0
        word = int(dist.argmax())
        if word == EOS:
            break
        prefix.append(word)
    return tuple(prefix)


def nats(words, report):
    """-log p of each word of a report with its end mark."""
    return [-np.log(dist[word]) for word, dist in zip(report, words(report[:-1]), strict=True)]


def best_of_all(words):
    """The best report of at most two words by the mean log-probability, of all that there are."""
    start, best, score = words([])[-1], (), None
    score = np.log(start[EOS])
    for a in range(3, V):
        follow = words([a])[-1]
        for b in range(2, V):
            mean = (np.log(start[a]) + np.log(follow[b])) / 2
            if mean > score:
                best, score = ((a,) if b == EOS else (a, b)), mean
    return best, score


def overfit(decoder, f, t, steps=200, lr=0.02):
    optimizer = torch.optim.Adam(decoder.train().parameters(), lr)
    for _ in range(steps):
        optimizer.zero_grad()
        decoder(f, t).losses["word"].backward()
        optimizer.step()
    return decoder.eval()
