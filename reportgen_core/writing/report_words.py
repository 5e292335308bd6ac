"""Functions for decoders that write a whole report as one row of words, which includes the sentence marks.

A row is `Targets.words`: BOS, the words, EOS. A study whose report has no word adds nothing to the word loss. A
generated report has one row of attention weights for each of its words, and none for the end mark.

Letters: B studies, R rows of a search (the beams of a study are neighbours), K beams of a study, T words, N regions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import OptionError
from ..text.spec import EOS, PAD
from ..types import Attention, Candidate, Decoded, Generated, GenerationSettings, TargetSpec
from .word_search import BeamResult, ranked_score


def check_layers(name: str, layers: int) -> None:
    """Raise OptionError unless the number of LSTM layers is 1 or 2, as in the papers."""
    if layers not in (1, 2):
        raise OptionError(f"{name} takes layers 1 or 2, got {layers!r}")


def shift_targets(words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split `Targets.words` (B, 1 + T) for teacher forcing into (inputs, targets, mask), each (B, T).

    The mask is True where a target counts: not in the padding, and not in a report without words.
    """
    inputs, targets = words[:, :-1], words[:, 1:]
    has_words = targets[:, :1] != EOS  # (B, 1)
    return inputs, targets, (targets != PAD) & has_words


def word_loss(logits: Tensor, targets: Tensor, real: Tensor) -> Decoded:
    """Return loss word, in nats: Σ_t -log p(word t) of a study, mean over the studies.

    `logits` (Σ T, V) belong to the words that count, row after row: `targets` (B, T) where `real` (B, T) is True.
    """
    nats = F.cross_entropy(logits.float(), targets[real], reduction="sum")
    count = max(len(logits), 1)
    return Decoded({"word": nats / len(targets)}, logits, {"nats_per_word": (nats / count).detach()})


def most_words(targets: TargetSpec, settings: GenerationSettings) -> int:
    """Return the largest number of words of a report, sentence marks counted.

    A limit of sentences or of words for each sentence limits the report to their product.
    """
    if settings.max_sentences is None and settings.max_words is None:
        return targets.max_length
    return (settings.max_sentences or targets.max_sentences) * ((settings.max_words or targets.max_words) + 1)


def to_generated(
    result: BeamResult, settings: GenerationSettings, *, tags: Tensor | None = None, tag_ids: Tensor | None = None
) -> list[Generated]:
    """Return the `n_best` beams of each of B reports as candidates, with the tag probabilities `tags` (B, K).

    The attention is over tags if `tag_ids` (B, M) is given, else over regions.
    """
    scores = ranked_score(result.scores, result.lengths(), settings).tolist()
    words = result.words.tolist()
    reports = []
    for b, beams in enumerate(words):
        candidates = []
        for k, row in enumerate(beams[: settings.n_best]):
            if scores[b][k] == -math.inf:
                continue
            ids = tuple(i for i in row if i not in (PAD, EOS))
            weights = None if result.attention is None else result.attention[b, k, : len(ids)].float().cpu()
            candidates.append(Candidate((ids,), scores[b][k], _attention(weights, tag_ids, b)))
        reports.append(Generated(tuple(candidates), None if tags is None else tags[b]))
    return reports


def _attention(weights: Tensor | None, tag_ids: Tensor | None, study: int) -> Attention | None:
    """Return the attention of a report, with weights over tags if `tag_ids` is given; None without weights."""
    if weights is None:
        return None
    if tag_ids is None:
        return Attention("word", regions=weights)
    return Attention("word", tags=weights, tag_ids=tag_ids[study].cpu())


class StudyMemory:
    """Tensors of the studies that a search attends to, stored once for each study instead of once for each beam.

    The search carries `studies` (R,), the study of each row, in its state. The rows of a study are neighbours, and all
    studies have the same number of rows. The tensors of a study are dropped when all its beams have ended.
    """

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = tensors
        self.stored = torch.arange(len(tensors[0]), device=tensors[0].device)

    def of(self, studies: Tensor) -> tuple[Tensor, ...]:
        """Return the tensors of the studies that are still written, from the study of each row (R,)."""
        active = studies[:: int((studies == studies[0]).sum())].contiguous() if len(studies) else studies
        if len(active) < len(self.stored):
            rows = torch.searchsorted(self.stored, active)
            self.tensors, self.stored = tuple(t[rows] for t in self.tensors), active
        return self.tensors
