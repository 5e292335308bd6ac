"""Search for the words of the rows of a decoder: sentences, or whole reports. Greedy, with beams, or drawn at random.

The decoder gives a function, the step. It takes words (R,) and a state, and returns logits (R, V), the new state, and
attention weights (R, N) or None. A state is a tuple of tensors whose first dimension is the rows, so that rows can be
reordered and dropped. So a prefix is never read again, and a finished row needs no more computation.

While beams grow, they are ranked by their summed log-probability; a finished beam stays among them with its sum. At the
end they are ranked by their sum divided by their number of words to the power of `length_penalty`, the end mark
counted: by default the mean. One beam gives the words of greedy search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..errors import OptionError
from ..text.generation import wrong_setting
from ..text.spec import BOS, EOS, PAD
from ..types import SEARCH_SETTINGS as SEARCH_SETTINGS
from ..types import GenerationSettings
from .choosing import BestBeams, Chooser, Drawn, forbid

State = tuple[Tensor, ...]


class Step(Protocol):
    """A function that reads one word of every row and predicts the next."""

    def __call__(self, words: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        """Read words (R,) int64; return logits (R, V), the new state, and attention weights (R, N) or None."""


@dataclass(frozen=True, slots=True)
class BeamResult:
    """The result of a search: the beams of each row, best first."""

    words: Tensor  # (R, beams, T) int64, EOS at the end of a finished row, PAD after
    scores: Tensor  # (R, beams) summed log-probability, the end mark counted
    attention: Tensor | None  # (R, beams, T, N)

    def lengths(self) -> Tensor:
        """Return the number of words of each beam (R, beams), the end mark counted."""
        return (self.words != PAD).sum(-1)


def search(
    step: Step,
    state: State,
    settings: GenerationSettings,
    *,
    rows: int,
    max_words: int,
    places: Tensor | None = None,
) -> BeamResult:
    """Write up to `max_words` words for each row, from the state before BOS is read. Return the beams, best first.

    `settings` say how: beams, sampling, penalties, and whether attention is returned. `places` (R,) int64 is the place
    of each row in its study, for example the number of a sentence: rows of one place draw the same random numbers. None
    if a row is a whole report. Raises OptionError for a setting without meaning.
    """
    if problem := wrong_setting(settings):
        raise OptionError(problem)
    device = state[0].device
    if settings.sample:
        places = torch.zeros(rows, dtype=torch.long, device=device) if places is None else places
        return _beam(step, state, settings, rows, max_words, Drawn(settings, places, max_words))
    if settings.beams == 1 and settings.repetition_penalty == 1:
        return _greedy(step, state, rows, max_words, settings.attention)
    return _beam(step, state, settings, rows, max_words, BestBeams(settings, rows, device))


def ranked_score(total: Tensor, words: Tensor, settings: GenerationSettings) -> Tensor:
    """Return the scores by which reports are ranked, from summed log-probabilities and numbers of words."""
    return total / words.clamp(min=1) ** settings.length_penalty


@dataclass(frozen=True, slots=True)
class _Word:
    """One step of a greedy search."""

    rows: Tensor  # (n,) the rows still active
    words: Tensor  # (n,)
    gains: Tensor  # (n,) log-probabilities
    attention: Tensor | None  # (n, N)


def _greedy(step: Step, state: State, rows: int, max_words: int, attention: bool) -> BeamResult:
    """Write the likeliest word at each step."""
    active = torch.arange(rows, device=state[0].device)
    word = torch.full_like(active, BOS)
    steps: list[_Word] = []
    for _ in range(max_words):
        logits, state, weights = step(word, state)
        gain, word = forbid(logits.float().log_softmax(-1)).max(-1)
        steps.append(_Word(active, word, gain.float(), weights if attention else None))
        alive = word != EOS
        alive_rows = int(alive.sum())
        if alive_rows == 0:
            break
        if alive_rows < len(word):
            active, word = active[alive], word[alive]
            state = tuple(s[alive] for s in state)
    return _join_steps(steps, rows)


def _join_steps(steps: list[_Word], rows: int) -> BeamResult:
    """Join the steps of a greedy search into tensors, with PAD and zeros where a row had ended."""
    first = steps[0]
    words = first.words.new_full((rows, len(steps)), PAD)
    scores = first.gains.new_zeros(rows)
    weights = first.attention
    attention = None if weights is None else weights.new_zeros(rows, len(steps), weights.shape[-1])
    for t, step in enumerate(steps):
        words[step.rows, t] = step.words
        scores[step.rows] += step.gains
        if attention is not None and step.attention is not None:
            attention[step.rows, t] = step.attention
    return BeamResult(words[:, None], scores[:, None], None if attention is None else attention[:, None])


@dataclass(frozen=True, slots=True)
class _Trace:
    """One step of a beam search, from which the words of each beam are followed back."""

    rows: Tensor  # (n,) the rows still active
    parents: Tensor  # (n, K) the beam each beam came from
    words: Tensor  # (n, K)
    attention: Tensor | None  # (n, K, N) in the order of the parents


def _beam(
    step: Step, state: State, settings: GenerationSettings, rows: int, max_words: int, chooser: Chooser
) -> BeamResult:
    """Write the words of the `beams` beams of each row that the chooser picks."""
    device = state[0].device
    active = torch.arange(rows, device=device)
    word = torch.full((rows, 1), BOS, dtype=torch.long, device=device)  # (n, K): one beam before the first word
    trace: list[_Trace] = []
    for _ in range(max_words):
        n, K = word.shape
        logits, state, weights = step(word.flatten(), state)  # (n * K, V)
        parents, word = chooser.choose(active, logits.view(n, K, -1), (word == EOS) | (word == PAD))
        beam_weights = weights.view(n, K, -1) if settings.attention and weights is not None else None
        trace.append(_Trace(active, parents, word, beam_weights))
        alive = ((word != EOS) & (word != PAD)).any(1)  # (n,)
        picked = (torch.arange(n, device=device)[:, None] * K + parents)[alive].flatten()
        if not len(picked):
            break
        active, word = active[alive], word[alive]
        state = tuple(s[picked] for s in state)
    return _rank(trace, chooser.scores, settings)


def _rank(trace: list[_Trace], scores: Tensor, settings: GenerationSettings) -> BeamResult:
    """Follow the beams back to their words, then sort them by their scores, the best first."""
    R, K = scores.shape
    words = torch.full((R, K, len(trace)), PAD, dtype=torch.long, device=scores.device)
    first = trace[0].attention
    attention = None if first is None else first.new_zeros(R, K, len(trace), first.shape[-1])
    current = torch.arange(K, device=scores.device).expand(R, K).clone()  # the place of each beam after step t
    for t in range(len(trace) - 1, -1, -1):
        step = trace[t]
        places = current[step.rows]  # (n, K)
        words[step.rows, :, t] = step.words.gather(1, places)
        parents = step.parents.gather(1, places)
        if attention is not None and step.attention is not None:
            ended = words[step.rows, :, t] == PAD
            weights = step.attention.gather(1, parents[..., None].expand(-1, -1, step.attention.shape[-1]))
            attention[step.rows, :, t] = weights.masked_fill(ended[..., None], 0.0)
        current[step.rows] = parents
    if settings.sample:
        scores = scores.masked_fill(_doubles(words), -torch.inf)
    ranking = ranked_score(scores, (words != PAD).sum(-1), settings)
    order = ranking.argsort(dim=1, descending=True, stable=True)  # (R, K)
    words = words.gather(1, order[..., None].expand_as(words))
    if attention is not None:
        attention = attention.gather(1, order[..., None, None].expand_as(attention))
    return BeamResult(words, scores.gather(1, order), attention)


def _doubles(words: Tensor) -> Tensor:
    """Return which beams (R, K) have the words (R, K, T) of an earlier beam of their row."""
    same = (words[:, :, None] == words[:, None]).all(-1)  # (R, K, K)
    return torch.tril(same, -1).any(-1)
