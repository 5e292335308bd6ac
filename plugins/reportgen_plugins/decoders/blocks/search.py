"""Greedy and beam search over the rows of a recurrent decoder: sentences of many studies, or whole reports.

The decoder gives a step: words (R,) and its state in, logits (R, V), the new state and, if it has them, attention
weights (R, N) out. A state is a tuple of tensors with the rows first, so that rows can be reordered and dropped: a
prefix is never read again, and a finished row stops costing.

Beams are ranked by their summed log-probability while they grow; a finished beam stays among them with the sum it has.
At the end they are ranked by the mean a word, the end mark counted. One beam gives the same words as greedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from reportgen_core.text.spec import BOS, EOS, PAD

State = tuple[Tensor, ...]


class Step(Protocol):
    """One word further for every row."""

    def __call__(self, words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        """words (R,) int64 -> logits (R, V), state, attention (R, N) or None."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: for each row its beams, best first."""

    words: Tensor  # (R, beams, T) int64, EOS at the end of a finished row, PAD after
    scores: Tensor  # (R, beams) summed log-probability, the end mark counted
    attention: Tensor | None  # (R, beams, T, N)

    def lengths(self) -> Tensor:
        """(R, beams) words with the end mark."""
        return (self.words != PAD).sum(-1)


def search(step: Step, state: State, *, rows: int, beams: int, max_words: int, attention: bool = False) -> Found:
    """Write up to `max_words` words for each of the rows, from the state after which BOS is read."""
    run = _greedy if beams == 1 else _beam
    return run(step, state, rows, beams, max_words, attention)


@dataclass(frozen=True, slots=True)
class _Word:
    """One step of a greedy search."""

    rows: Tensor  # (n,) the rows still active
    words: Tensor  # (n,)
    gains: Tensor  # (n,) log-probabilities
    attention: Tensor | None  # (n, N)


def _greedy(step: Step, state: State, rows: int, beams: int, max_words: int, attention: bool) -> Found:
    active = torch.arange(rows, device=state[0].device)
    word = torch.full_like(active, BOS)
    steps: list[_Word] = []
    for _ in range(max_words):
        logits, state, weights = step(word, state)
        gain, word = _forbid(logits.float().log_softmax(-1)).max(-1)
        steps.append(_Word(active, word, gain.float(), weights if attention else None))
        alive = word != EOS
        left = int(alive.sum())
        if left == 0:
            break
        if left < len(word):
            active, word = active[alive], word[alive]
            state = tuple(s[alive] for s in state)
    return _lay_out(steps, rows)


def _lay_out(steps: list[_Word], rows: int) -> Found:
    """The steps as one tensor a kind: PAD and zero where a row had ended."""
    first = steps[0]
    words = first.words.new_full((rows, len(steps)), PAD)
    scores = first.gains.new_zeros(rows)
    seen = first.attention
    looked = None if seen is None else seen.new_zeros(rows, len(steps), seen.shape[-1])
    for t, one in enumerate(steps):
        words[one.rows, t] = one.words
        scores[one.rows] += one.gains
        if looked is not None and one.attention is not None:
            looked[one.rows, t] = one.attention
    return Found(words[:, None], scores[:, None], None if looked is None else looked[:, None])


def _forbid(gains: Tensor) -> Tensor:
    """Padding and the start mark are never written; their share of the probability counts all the same."""
    gains[..., PAD] = -torch.inf
    gains[..., BOS] = -torch.inf
    return gains


@dataclass(frozen=True, slots=True)
class _Trace:
    """One step of a beam search, for the way back."""

    rows: Tensor  # (n,) the rows still active
    parents: Tensor  # (n, K) the beam each beam came from
    words: Tensor  # (n, K)
    attention: Tensor | None  # (n, K, N) of the parents' order


def _beam(step: Step, state: State, rows: int, beams: int, max_words: int, attention: bool) -> Found:
    device = state[0].device
    scores = torch.full((rows, beams), -torch.inf, device=device)  # -inf: no such beam
    scores[:, 0] = 0.0  # all beams start alike: only the first counts
    active = torch.arange(rows, device=device)
    word = torch.full((rows, 1), BOS, dtype=torch.long, device=device)  # (n, K): one beam before the first word
    trace: list[_Trace] = []
    for _ in range(max_words):
        n, K = word.shape
        logits, state, weights = step(word.flatten(), state)  # (n * K, V)
        gain = _forbid(logits.float().log_softmax(-1)).view(n, K, -1)
        ended = (word == EOS) | (word == PAD)
        gain = _freeze(gain, ended)
        total = scores[active][:, :K, None] + gain  # (n, K, V)
        best, flat = total.flatten(1).topk(beams, -1)  # (n, beams)
        parents, word = flat // gain.shape[-1], flat % gain.shape[-1]
        scores[active] = best
        seen = weights.view(n, K, -1) if attention and weights is not None else None
        trace.append(_Trace(active, parents, word, seen))
        alive = ((word != EOS) & (word != PAD)).any(1)  # (n,)
        picked = (torch.arange(n, device=device)[:, None] * K + parents)[alive].flatten()
        if not len(picked):
            break
        active, word = active[alive], word[alive]
        state = tuple(s[picked] for s in state)
    return _rank(trace, scores)


def _freeze(gain: Tensor, ended: Tensor) -> Tensor:
    """A beam that has ended goes on with PAD at no cost and with nothing else."""
    gain = gain.masked_fill(ended[..., None], -torch.inf)
    gain[..., PAD] = torch.where(ended, 0.0, -torch.inf)
    return gain


def _rank(trace: list[_Trace], scores: Tensor) -> Found:
    """Follow the beams back to their words, then order them by the mean log-probability a word."""
    R, K = scores.shape
    words = torch.full((R, K, len(trace)), PAD, dtype=torch.long, device=scores.device)
    seen = trace[0].attention
    looked = None if seen is None else seen.new_zeros(R, K, len(trace), seen.shape[-1])
    at = torch.arange(K, device=scores.device).expand(R, K).clone()
    for t in range(len(trace) - 1, -1, -1):
        one = trace[t]
        here = at[one.rows]  # (n, K)
        words[one.rows, :, t] = one.words.gather(1, here)
        parents = one.parents.gather(1, here)
        if looked is not None and one.attention is not None:
            ended = words[one.rows, :, t] == PAD
            weights = one.attention.gather(1, parents[..., None].expand(-1, -1, one.attention.shape[-1]))
            looked[one.rows, :, t] = weights.masked_fill(ended[..., None], 0.0)
        at[one.rows] = parents
    mean = scores / (words != PAD).sum(-1).clamp(min=1)
    order = mean.argsort(dim=1, descending=True, stable=True)  # (R, K)
    words = words.gather(1, order[..., None].expand_as(words))
    if looked is not None:
        looked = looked.gather(1, order[..., None, None].expand_as(looked))
    return Found(words, scores.gather(1, order), looked)
