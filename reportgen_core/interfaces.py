"""The interfaces: Encoder, Decoder, Retriever, Metric, Dataset. `models.abilities` has the optional abilities of parts.

An author writes the abstract methods. Everybody else calls the object (`encoder(images, mask)`), which checks inputs
and outputs, so that a wrong shape is reported by the part that made it.

Constructor options are keyword-only JSON values. They are saved in config.json, and a model that is loaded is built
with them again. The one exception is `pretrained`, the source of the first weights: a checkpoint has its own weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from .dataset import Dataset as Dataset
from .errors import ShapeError
from .lazy import at_first_call
from .metric import Metric as Metric
from .registry import OLD_RECIPE
from .types import Decoded, Features, FeatureSpec, Generated, GenerationSettings, Hit, ImageSpec, Targets, TargetSpec

_own_options = at_first_call(__package__, "text.generation", "own_options")


class Encoder(nn.Module, ABC):
    """Turns the images of a study into features. `__init__` sets `image` and `features`, and they never change.

    `encode` gets single images. This class calls it for the views that are present and joins the results: the tokens
    of all views in one row, the pooled vectors as their mean over the present views.
    """

    image: ImageSpec
    features: FeatureSpec  # of a whole study: the grid has image.views views
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    @abstractmethod
    def encode(self, images: Tensor) -> Features:
        """Encode single images (n, C, H, W), normalised by `self.image`, to tokens (n, N / views, D), pooled (n, P)."""

    def forward(self, images: Tensor, mask: Tensor | None = None) -> Features:
        """Encode studies (B, V, C, H, W); mask (B, V) is True where there is an image. V may be under `image.views`.

        Raises ShapeError if the images do not fit `image` or the result of `encode` does not fit `features`.
        """
        spec, name = self.image, type(self).__name__
        want = (spec.channels, spec.height, spec.width)
        if images.ndim != 5 or tuple(images.shape[2:]) != want or images.shape[1] > spec.views:
            raise ShapeError(
                f"{name} takes images (B, V <= {spec.views}, {', '.join(map(str, want))}), got {tuple(images.shape)}"
            )
        if mask is None:
            mask = torch.ones(images.shape[:2], dtype=torch.bool, device=images.device)
        one = self.encode(images[mask])  # only the views that are present
        B, V = mask.shape
        per_view = self.features.tokens // spec.views
        if tuple(one.tokens.shape[1:]) != (per_view, self.features.dim):
            raise ShapeError(
                f"{name}.encode promised tokens (n, {per_view}, {self.features.dim}), gave {tuple(one.tokens.shape)}"
            )
        if tuple(one.pooled.shape[1:]) != (self.features.pooled,):
            raise ShapeError(
                f"{name}.encode promised pooled (n, {self.features.pooled}), gave {tuple(one.pooled.shape)}"
            )
        if V == spec.views == 1:
            return one
        tokens = one.tokens.new_zeros(B, spec.views, *one.tokens.shape[1:])
        tokens[:, :V][mask] = one.tokens
        real = torch.zeros(B, spec.views, per_view, dtype=torch.bool, device=images.device)
        real[:, :V] = mask[:, :, None] & torch.ones_like(real[:, :V])
        real[:, :V][mask] = one.mask
        share = 1 / mask.sum(1, keepdim=True)  # (B, 1)
        return Features(
            tokens.flatten(1, 2),  # (B, V, N/V, D) -> (B, N, D)
            _per_study(one.pooled, mask) * share,
            real.flatten(1, 2),
            None if one.tags is None else _per_study(one.tags, mask) * share[..., None],
        )


def _per_study(values: Tensor, mask: Tensor) -> Tensor:
    """Sum values (n, ...) of single images over the views of each study, by mask (B, V), to (B, ...)."""
    study = mask.nonzero()[:, 0]  # (n,)
    return values.new_zeros(len(mask), *values.shape[1:]).index_add(0, study, values)


class Decoder(nn.Module, ABC):
    """Generates reports. It is built for the encoder's FeatureSpec, so that any decoder takes any encoder.

    `__init__` raises CompositionError if features or targets lack what the decoder needs.
    """

    needs: frozenset[str] = frozenset({"sentences"})  # the fields of Targets that training needs
    follows: frozenset[str] = frozenset()  # names in `writing.SEARCH_SETTINGS` that `generate` follows
    generation_options: Mapping[str, Any] = MappingProxyType({})  # those of its own that it reads, with defaults
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    def __init__(self, features: FeatureSpec, targets: TargetSpec) -> None:
        super().__init__()
        self.features, self.targets = features, targets

    @abstractmethod
    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Return the losses and logits of one teacher-forced pass."""

    @abstractmethod
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Generate B reports. In eval mode the same features give the same report, alone or in any batch."""

    def own_options(self, settings: GenerationSettings) -> dict[str, Any]:
        """Return `generation_options` with the values of `settings`. Raises OptionError for what is not followed."""
        options: dict[str, Any] = _own_options(self, settings)
        return options

    def forward(self, features: Features, targets: Targets, *context: Any) -> Decoded:
        """Check the shapes, then call `decode`; a part that `TakesContext` gets it, too. Raises ShapeError."""
        check_features(type(self).__name__, self.features, features)
        for need in self.needs:
            if getattr(targets, need) is None:
                raise ShapeError(f"{type(self).__name__} cannot train without {need}, and this batch has none")
        return self.decode(features, targets, *context)


class Retriever(nn.Module, ABC):
    """Finds the stored texts that fit an image."""

    needs: frozenset[str] = frozenset()
    scores: frozenset[str] = frozenset()  # names of validation scores in `Decoded.log`, higher is better: "recall@10"
    sentences_per_report: int = 0  # a report is that number of hits, each a sentence; 0: the best hit is a report
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    def __init__(self, features: FeatureSpec, targets: TargetSpec) -> None:
        super().__init__()
        self.features, self.targets = features, targets

    @abstractmethod
    def loss(self, features: Features, targets: Targets) -> Decoded:
        """Return the losses of the embedding; no loss if the retriever does not learn."""

    @abstractmethod
    def index(self, ids: Sequence[str], texts: Sequence[str], features: Features | None = None) -> None:
        """Store these texts, and the features of their images if given, in place of the texts stored before."""

    @abstractmethod
    def search(self, features: Features, k: int = 1) -> list[list[Hit]]:
        """Return the `k` nearest texts for each of the B studies, nearest first; fewer if fewer are stored.

        Texts with equal scores are in the order in which they were stored.
        """

    def forward(self, features: Features, targets: Targets) -> Decoded:
        """Check the shapes, then call `loss`. Raises ShapeError."""
        check_features(type(self).__name__, self.features, features)
        return self.loss(features, targets)


def check_features(name: str, spec: FeatureSpec, features: Features) -> None:
    """Raise ShapeError unless the features have the shapes of `spec`. `name` is the part in the message."""
    want = (len(features.tokens), spec.tokens, spec.dim)
    if tuple(features.tokens.shape) != want:
        raise ShapeError(f"{name} was built for tokens {want}, got {tuple(features.tokens.shape)}")
    if tuple(features.pooled.shape) != (want[0], spec.pooled):
        raise ShapeError(f"{name} was built for pooled {(want[0], spec.pooled)}, got {tuple(features.pooled.shape)}")
