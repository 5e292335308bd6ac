"""Training of retrievers outside the loop: give them texts, store reports in them, read the scores they compute."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from ..data.batches import read_batches
from ..errors import DataError
from ..models.abilities import LearnsFromTexts
from ..models.model import Model
from ..text.spec import recipe_sentences
from ..types import Features, Study

COUNT = "queries"  # in the log of a head: the number of studies that its scores are means of


def teach_texts(model: Model, studies: Sequence[Study]) -> None:
    """Show a retriever the sentences of the training reports. Raises DataError if there are none."""
    if isinstance(model.head, LearnsFromTexts):
        model.head.learn_texts({s.id: recipe_sentences(s, model.text) for s in studies})


def learns_nothing(model: Model) -> bool:
    """Return whether the model is a retriever without parameters, which is not trained but only filled."""
    return model.retriever is not None and not any(p.requires_grad for p in model.retriever.parameters())


def fill(model: Model, studies: Sequence[Study], batch_size: int, cache: Path | None) -> None:
    """Store the reports of these studies in a retriever, with the pooled features of their images.

    Raises DataError if an image cannot be read, or if no study has both a report and an image.
    """
    assert model.retriever is not None
    texts = {s.id: s.text(model.text.sections).strip() for s in studies}
    model.eval()
    ids: list[str] = []
    rows = []
    with torch.inference_mode():
        with_text = [s for s in studies if texts[s.id]]
        for batch, problems in read_batches(with_text, model.encoder.image, batch_size, cache=cache):
            for problem in problems.values():
                raise DataError(problem)
            ids += batch.ids
            rows.append(model.encode(batch).pooled.float().cpu())
    if not ids:
        raise DataError(f"no study has a report in section {' or '.join(model.text.sections)} and an image to hold")
    pooled = torch.cat(rows)
    no_tokens = pooled.new_zeros(len(ids), 0, model.encoder.features.dim)
    features = Features(no_tokens, pooled, torch.zeros(len(ids), 0, dtype=torch.bool))
    model.retriever.index(ids, [texts[i] for i in ids], features)


def own_scores(model: Model) -> frozenset[str]:
    """Return the names of the validation scores that the head computes itself; higher is better."""
    return model.retriever.scores if model.retriever is not None else frozenset()


def mean_scores(model: Model, logs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the means over all studies of the scores that the head computes itself; nan without studies.

    `logs` has one log for each batch.
    """
    queries = sum(log.get(COUNT, 0.0) for log in logs)
    means = {}
    for name in sorted(own_scores(model)):
        total = sum(log[name] * log[COUNT] for log in logs if log.get(COUNT) and name in log)
        means[name] = total / queries if queries else math.nan
    return means
