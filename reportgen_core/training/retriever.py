"""What training does for a retriever beside the loop: give it texts, fill it with reports, read its own scores."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from ..data.batches import read_batches
from ..errors import DataError
from ..interfaces import LearnsFromTexts
from ..models.model import Model
from ..text.spec import recipe_sentences
from ..types import Features, Study

COUNT = "queries"  # in a head's log: how many studies its scores are means over


def teach_texts(model: Model, studies: Sequence[Study]) -> None:
    """Show a retriever the sentences of the training reports. Raises DataError where there are none."""
    if isinstance(model.head, LearnsFromTexts):
        model.head.learn_texts({s.id: recipe_sentences(s, model.text) for s in studies})


def learns_nothing(model: Model) -> bool:
    """Whether the model is a retriever without parameters: its encoder stays as it is, it is only filled."""
    return model.retriever is not None and not any(p.requires_grad for p in model.retriever.parameters())


def fill(model: Model, studies: Sequence[Study], batch_size: int, cache: Path | None) -> None:
    """Let a retriever hold the reports of these studies, with the pooled features of their images."""
    assert model.retriever is not None
    texts = {s.id: s.text(model.text.sections).strip() for s in studies}
    model.eval()
    ids: list[str] = []
    rows = []
    with torch.inference_mode():
        shown = read_batches([s for s in studies if texts[s.id]], model.encoder.image, batch_size, cache=cache)
        for batch, problems in shown:
            for problem in problems.values():
                raise DataError(problem)
            ids += batch.ids
            rows.append(model.encode(batch).pooled.float().cpu())
    if not ids:
        raise DataError(f"no study has a report in section {' or '.join(model.text.sections)} and an image to hold")
    pooled = torch.cat(rows)
    none = pooled.new_zeros(len(ids), 0, model.encoder.features.dim)
    held = Features(none, pooled, torch.zeros(len(ids), 0, dtype=torch.bool))
    model.retriever.index(ids, [texts[i] for i in ids], held)


def own_scores(model: Model) -> frozenset[str]:
    """Names of validation scores that the head computes itself; higher is better."""
    return model.retriever.scores if model.retriever is not None else frozenset()


def mean_scores(model: Model, logs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The head's own scores over all batches."""
    queries = sum(log.get(COUNT, 0.0) for log in logs)
    means = {}
    for name in sorted(own_scores(model)):
        total = sum(log[name] * log[COUNT] for log in logs if log.get(COUNT) and name in log)
        means[name] = total / queries if queries else math.nan
    return means
