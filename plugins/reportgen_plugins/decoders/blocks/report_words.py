"""What the decoders share that write a whole report as one row of words, sentence marks among them.

A row is `Targets.words`: BOS, the words, EOS. A study whose report has no word teaches nothing. Attention is kept per
word: one row of weights for each word of the report, the end mark's left out.

Letters: B studies, R rows of a search (beams of one study side by side), K beams of a study, T words, N regions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from reportgen_core import Attention, Candidate, Decoded, Generated, GenerationSettings, OptionError, TargetSpec
from reportgen_core.text.spec import EOS, PAD

from .search import Found


def check_layers(name: str, layers: int) -> None:
    """Raise OptionError for a number of LSTM layers that the papers do not have."""
    if layers not in (1, 2):
        raise OptionError(f"{name} takes layers 1 or 2, got {layers!r}")


def taught(words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Targets.words (B, 1 + T) as what is read (B, T), what is to be written (B, T), and which of it counts (B, T)."""
    read, written = words[:, :-1], words[:, 1:]
    said = written[:, :1] != EOS  # (B, 1) False where a report has no word
    return read, written, (written != PAD) & said


def word_loss(logits: Tensor, written: Tensor, real: Tensor) -> Decoded:
    """Σ_t -log p(word t) of a study, mean over the studies; logits (Σ T, V) of the words that count, row after row."""
    nats = F.cross_entropy(logits.float(), written[real], reduction="sum")
    count = max(len(logits), 1)
    return Decoded({"word": nats / len(written)}, logits, {"nats_per_word": (nats / count).detach()})


def most_words(targets: TargetSpec, settings: GenerationSettings) -> int:
    """How long a report may get. A limit of sentences or words is one of their product, marks counted."""
    if settings.max_sentences is None and settings.max_words is None:
        return targets.max_length
    return (settings.max_sentences or targets.max_sentences) * ((settings.max_words or targets.max_words) + 1)


def written(
    found: Found, settings: GenerationSettings, *, tags: Tensor | None = None, tag_ids: Tensor | None = None
) -> list[Generated]:
    """The beams of B reports as candidates. With `tag_ids` (B, M) the attention is over tags, else over regions."""
    lengths = found.lengths().tolist()
    scores, words = found.scores.tolist(), found.words.tolist()
    out = []
    for b, beams in enumerate(words):
        made = []
        for k, row in enumerate(beams[: settings.n_best]):
            if scores[b][k] == -math.inf:
                continue
            ids = tuple(i for i in row if i not in (PAD, EOS))
            looked = None if found.attention is None else found.attention[b, k, : len(ids)].float().cpu()
            made.append(Candidate((ids,), scores[b][k] / max(lengths[b][k], 1), _attention(looked, tag_ids, b)))
        out.append(Generated(tuple(made), None if tags is None else tags[b]))
    return out


def _attention(weights: Tensor | None, tag_ids: Tensor | None, study: int) -> Attention | None:
    if weights is None:
        return None
    if tag_ids is None:
        return Attention("word", regions=weights)
    return Attention("word", tags=weights, tag_ids=tag_ids[study].cpu())


class Held:
    """What a search looks at, held once a study and not once a beam; studies whose beams have all ended are let go.

    The search carries `who` (R,), the study of each row, in its state. Rows of a study stand side by side, and all
    studies have as many of them.
    """

    def __init__(self, *tensors: Tensor) -> None:
        self.tensors = tensors
        self.held = torch.arange(len(tensors[0]), device=tensors[0].device)

    def of(self, who: Tensor) -> tuple[Tensor, ...]:
        """The tensors of the studies that are still written."""
        first = who[:: int((who == who[0]).sum())].contiguous() if len(who) else who
        if len(first) < len(self.held):
            at = torch.searchsorted(self.held, first)
            self.tensors, self.held = tuple(t[at] for t in self.tensors), first
        return self.tensors
