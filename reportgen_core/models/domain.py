"""Say how far an image lies from the images that a model was trained on.

A model trained on chest radiographs writes a report about any picture. The mean token of a picture (the encoder's
features averaged over the regions of one view) is compared with those of the training images. Their mean and their
first principal components span the space where such images lie. The part of the picture's vector that lies outside
this space is its residual, and the length of the residual is the distance. The limit is a quantile of the distances of
held-out images, times a margin for radiographs of other hospitals.

The space is saved in the model's folder as `domain.safetensors`. A model without this file does not know its domain.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import safetensors
import torch
from safetensors.torch import load, save
from torch import Tensor

from ..errors import CheckpointError
from ..types import Features

COMPONENTS = 40
MIN_IMAGES = 40  # a space of fewer images says nothing
QUANTILE = 0.995  # of the distances of held-out images
MARGIN = 1.35  # radiographs of other hospitals lie up to 1.4 times as far away, CT and MR images 1.3 to 2.2 times
MAX_BYTES = 2**26  # of a file that is read
NOT_CHECKED = "domain not checked: this model was saved without a description of its training images"


@dataclass(frozen=True, eq=False)
class Domain:
    """The space of the training images of a model."""

    mean: Tensor  # (D,)
    components: Tensor  # (C, D), orthonormal rows
    limit: float  # a distance
    name: str = ""  # a word for the images, such as the name of their dataset
    images: int = 0  # how many the space was fitted to

    def distances(self, vectors: Tensor) -> Tensor:
        """Return the distances of images in units of the limit: vectors (..., D) -> (...); above 1 is unusual."""
        return residuals(vectors.float().cpu(), self.mean, self.components) / self.limit

    def note(self, distances: Sequence[float]) -> str:
        """Return a note for the reader of a report; "" if no view of the study is unusual.

        `distances` are those of the study's views.
        """
        largest = max(distances, default=0.0)
        if largest <= 1:
            return ""
        images = f"images this model was trained on ({self.name})" if self.name else "images this model was trained on"
        return f"unlike the {images}: distance {largest:.2f}, limit 1; do not rely on this report"

    def to_bytes(self) -> bytes:
        """Return the content of `domain.safetensors`."""
        tensors = {"mean": self.mean, "components": self.components, "limit": torch.tensor(self.limit)}
        return save(tensors, {"domain": json.dumps({"name": self.name, "images": self.images})})


def domain_from_bytes(content: bytes, place: str) -> Domain:
    """Return the domain that a file has. Raises CheckpointError that begins with `place`."""
    try:
        tensors = load(content)
        facts = json.loads(_metadata(content)["domain"])
        mean, components, limit = (tensors[name].float() for name in ("mean", "components", "limit"))
        domain = Domain(mean, components, float(limit), str(facts["name"])[:100], int(facts["images"]))
        shapes_fit = mean.ndim == 1 and components.ndim == 2 and components.shape[1] == len(mean)
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, RuntimeError, RecursionError) as e:
        raise CheckpointError(f"{place} is not what rg train writes: {e}") from e
    finite = all(bool(torch.isfinite(t).all()) for t in (mean, components, limit))
    if not (shapes_fit and finite and domain.limit > 0):
        raise CheckpointError(f"{place} is not what rg train writes: shapes or numbers are wrong")
    return domain


def _metadata(content: bytes) -> dict[str, str]:
    """Return the metadata in the header of a safetensors file: a length of 8 bytes, then JSON."""
    length = int.from_bytes(content[:8], "little")
    metadata: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    return metadata


def residuals(vectors: Tensor, mean: Tensor, components: Tensor) -> Tensor:
    """Return the length of what the components leave of centred vectors: (..., D) -> (...)."""
    centred = vectors - mean
    lengths: Tensor = torch.linalg.vector_norm(centred - centred @ components.T @ components, dim=-1)
    return lengths


def image_vectors(features: Features, views: int) -> Tensor:
    """Return the mean token of every view: features of B studies -> (B, V, D), zeros for views that are padding.

    An encoder without a token for each region and view gives one vector for the whole study, (B, 1, D).
    """
    tokens, mask = features.tokens.float(), features.mask  # (B, N, D), (B, N)
    B, N, D = tokens.shape
    V = views if views and N % views == 0 else 1
    tokens, weights = tokens.reshape(B, V, N // V, D), mask.reshape(B, V, N // V, 1).float()
    return (tokens * weights).sum(2) / weights.sum(2).clamp(min=1)


def fit_domain(train: Tensor, held_out: Tensor, name: str = "") -> Domain | None:
    """Fit the space to vectors of training images (n, D), and its limit to those of other images (m, D).

    Without held-out images every fourth training image takes their place. Return None if there are fewer than
    `MIN_IMAGES` images to learn from, or if their vectors are not finite or all alike.
    """
    if not len(held_out):
        last = torch.arange(len(train)) % 4 == 3
        train, held_out = train[~last], train[last]
    if len(train) < MIN_IMAGES or not torch.isfinite(train).all() or not torch.isfinite(held_out).all():
        return None
    exact = train.double()
    mean = exact.mean(0)
    directions = torch.linalg.svd(exact - mean, full_matrices=False).Vh
    count = min(COMPONENTS, len(train) // 4, train.shape[1] - 1)
    mean, components = mean.float(), directions[:count].float().contiguous()
    limit = MARGIN * float(torch.quantile(residuals(held_out.float(), mean, components), QUANTILE))
    return Domain(mean, components, limit, name, len(train)) if limit > 0 else None
