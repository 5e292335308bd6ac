"""Describe the images of a training run to the model that it saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..data.batches import read_batches
from ..files.atomic import atomic_write
from ..models.domain import MIN_IMAGES, fit_domain, image_vectors
from ..models.format import DOMAIN
from ..models.loading import load_model
from ..models.model import Model
from ..types import Study

MAX_TRAIN, MAX_HELD_OUT = 1000, 500  # studies that are read again


def write_domain(
    folder: Path, train: Sequence[Study], held_out: Sequence[Study], *, name: str = "", cache: Path | None = None
) -> None:
    """Write the space of these studies' images into the folder of a trained model.

    At most `MAX_TRAIN` and `MAX_HELD_OUT` studies are read, at even steps. Nothing is written if the encoder takes no
    images or there are too few of them.
    """
    if len(train) >= MIN_IMAGES:
        model = load_model(folder)
        if model.encoder.image.views:
            own = _vectors(model, _spread(train, MAX_TRAIN), cache)
            domain = fit_domain(own, _vectors(model, _spread(held_out, MAX_HELD_OUT), cache), name)
            if domain is not None:
                atomic_write(folder / DOMAIN, domain.to_bytes())


def _spread(studies: Sequence[Study], most: int) -> list[Study]:
    """Return at most so many of the studies, at even steps."""
    step = max(1, -(-len(studies) // most))
    return list(studies[::step])


@torch.inference_mode()
def _vectors(model: Model, studies: Sequence[Study], cache: Path | None) -> Tensor:
    """Return the vectors of all views of the studies that can be read, (n, D)."""
    rows = [torch.zeros(0, model.encoder.features.dim)]
    for batch, _ in read_batches(studies, model.encoder.image, cache=cache):
        if batch.ids:
            vectors = image_vectors(model.encode(batch), batch.mask.shape[1]).cpu()  # (B, V, D)
            rows.append(vectors[batch.mask] if vectors.shape[:2] == batch.mask.shape else vectors.flatten(0, 1))
    return torch.cat(rows)
