"""Choose the next words of a search: the best continuations of all beams of a row, or words that are drawn.

Shapes: R rows of a search, n rows that are still active, K beams before a step, `beams` after it, V words. All scores
are sums of the model's own log-probabilities, in nats, whatever the temperature and the repetition penalty are.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ..text.spec import BOS, PAD
from ..types import GenerationSettings


class Chooser(Protocol):
    """Chooses beams and words, and adds up their scores."""

    scores: Tensor  # (R, beams) summed log-probability; -inf: there is no such beam

    def choose(self, active: Tensor, logits: Tensor, ended: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parents (n, beams), each a beam 0..K-1, and the next words (n, beams) of the active rows (n,).

        `logits` are (n, K, V). A beam of `ended` (n, K) continues with PAD alone.
        """


def forbid(gains: Tensor) -> Tensor:
    """Set the gains of padding and the start mark to -inf, so that they are never written. Changes `gains`.

    The probabilities of the other words are not scaled up for it.
    """
    gains[..., PAD] = -torch.inf
    gains[..., BOS] = -torch.inf
    return gains


def _gains(logits: Tensor, ended: Tensor) -> Tensor:
    """Return log-probabilities (n, K, V): a beam that has ended has PAD alone, at a gain of 0."""
    gain = forbid(logits.float().log_softmax(-1)).masked_fill(ended[..., None], -torch.inf)
    gain[..., PAD] = torch.where(ended, 0.0, -torch.inf)
    return gain


class _Written:
    """The words that each beam has already, for the repetition penalty. Without a penalty nothing is stored."""

    def __init__(self, settings: GenerationSettings, rows: int, device: torch.device) -> None:
        self.penalty, self.shape, self.device = settings.repetition_penalty, (rows, settings.beams), device
        self.seen: Tensor | None = None  # (R, beams, V)

    def penalise(self, active: Tensor, logits: Tensor) -> Tensor:
        """Return logits (n, K, V) in which the words of each beam are less likely, by the penalty."""
        if self.seen is None:
            self.seen = torch.zeros(*self.shape, logits.shape[-1], dtype=torch.bool, device=self.device)
        seen = self.seen[active][:, : logits.shape[1]]
        return torch.where(seen, torch.where(logits > 0, logits / self.penalty, logits * self.penalty), logits)

    def add(self, active: Tensor, parents: Tensor, words: Tensor) -> None:
        """Note the words (n, beams) of beams that continue `parents` (n, beams)."""
        assert self.seen is not None
        seen = self.seen[active].gather(1, parents[..., None].expand(-1, -1, self.seen.shape[-1]))
        self.seen[active] = seen.scatter_(2, words[..., None], True)


class BestBeams:
    """Keeps the continuations with the largest sums of log-probabilities, changed by the repetition penalty."""

    def __init__(self, settings: GenerationSettings, rows: int, device: torch.device) -> None:
        self.beams = settings.beams
        self.scores = torch.full((rows, self.beams), -torch.inf, device=device)
        self.scores[:, 0] = 0.0  # all beams start equal: only the first counts
        self.written = _Written(settings, rows, device) if settings.repetition_penalty != 1 else None
        self.ranking = self.scores if self.written is None else self.scores.clone()  # (R, beams)

    def choose(self, active: Tensor, logits: Tensor, ended: Tensor) -> tuple[Tensor, Tensor]:
        """Return parents and words, as `Chooser` says."""
        V, K = logits.shape[-1], logits.shape[1]
        gain = _gains(logits, ended)
        ranked = gain if self.written is None else _gains(self.written.penalise(active, logits), ended)
        total = (self.ranking[active][:, :K, None] + ranked).flatten(1)  # (n, K V)
        if total.shape[1] < self.beams:  # fewer continuations than beams: the missing ones have no probability
            total = F.pad(total, (0, self.beams - total.shape[1]), value=-torch.inf)
        best, flat = total.topk(self.beams, -1)  # (n, beams)
        parents, words = (flat // V).clamp(max=K - 1), flat % V
        self.ranking[active] = best
        if self.written is not None:
            own = self.scores[active].gather(1, parents) + gain.flatten(1).gather(1, parents * V + words)
            self.scores[active] = own.masked_fill(best == -torch.inf, -torch.inf)
            self.written.add(active, parents, words)
        return parents, words


class Drawn:
    """Draws the next word of each beam by its probability. All beams of a row are drawn independently.

    The random numbers depend on the seed, the step, the beam, and the place of a row in its study, and on nothing else.
    So a study gets the same report alone or in any batch.
    """

    def __init__(self, settings: GenerationSettings, places: Tensor, max_words: int) -> None:
        self.settings, self.places, self.step = settings, places.cpu(), 0
        self.scores = torch.zeros(len(places), settings.beams, device=places.device)
        self.written = _Written(settings, len(places), places.device) if settings.repetition_penalty != 1 else None
        self.numbers = _uniform(settings, self.places, max_words)  # (places, T, beams), 0..1

    def choose(self, active: Tensor, logits: Tensor, ended: Tensor) -> tuple[Tensor, Tensor]:
        """Return parents and words, as `Chooser` says."""
        n, K, _ = logits.shape
        gain = _gains(logits, ended)
        changed = logits.float() if self.written is None else self.written.penalise(active, logits.float())
        probabilities = self._distribution(changed).expand(n, self.settings.beams, -1)
        number = self.numbers[self.places[active.cpu()], self.step].to(logits.device)  # (n, beams)
        words = _by_number(probabilities, number)
        parents = torch.arange(self.settings.beams, device=logits.device).clamp(max=K - 1).expand(n, -1).contiguous()
        words = words.masked_fill(ended.gather(1, parents), PAD)
        added = gain.gather(1, parents[..., None].expand(-1, -1, gain.shape[-1])).gather(2, words[..., None])
        self.scores[active] += added.squeeze(-1)
        if self.written is not None:
            self.written.add(active, parents, words)
        self.step += 1
        return parents, words

    def _distribution(self, logits: Tensor) -> Tensor:
        """Return the probabilities (n, K, V) from which words are drawn, in float64."""
        settings = self.settings
        logits = forbid(logits.double() / settings.temperature)
        if settings.top_k is not None and settings.top_k < logits.shape[-1]:
            least = logits.topk(settings.top_k, -1).values[..., -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        probabilities = logits.softmax(-1)
        if settings.top_p < 1:
            ordered, order = probabilities.sort(-1, descending=True)
            beyond = ordered.cumsum(-1) - ordered >= settings.top_p  # the word that reaches top_p is kept
            probabilities = probabilities.masked_fill(beyond.gather(-1, order.argsort(-1)), 0.0)
        return probabilities


def _uniform(settings: GenerationSettings, places: Tensor, max_words: int) -> Tensor:
    """Return random numbers 0..1 (places, max_words, beams); those of a place do not depend on other places."""
    tables = []
    for place in range(int(places.max()) + 1 if len(places) else 0):
        draw = torch.Generator().manual_seed((settings.seed * 1_000_003 + place) % 2**63)
        tables.append(torch.rand(max_words, settings.beams, generator=draw, dtype=torch.float64))
    return torch.stack(tables) if tables else torch.empty(0, max_words, settings.beams, dtype=torch.float64)


def _by_number(probabilities: Tensor, number: Tensor) -> Tensor:
    """Return the word (n, K) at which the summed probabilities (n, K, V) pass the number (n, K), 0..1."""
    sums = probabilities.cumsum(-1)
    wanted = (number * sums[..., -1]).unsqueeze(-1)
    return torch.searchsorted(sums.contiguous(), wanted, right=True).squeeze(-1).clamp(max=sums.shape[-1] - 1)
