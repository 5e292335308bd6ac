"""The interfaces: Encoder, Decoder, Retriever, Metric, Dataset, and the optional abilities of a part.

An author writes the abstract methods. Everybody else calls the object (`encoder(images, mask)`), which checks what
goes in and what comes out, so that a wrong shape is reported where it is made.

Constructor options are keyword-only JSON values: they are saved in config.json and replayed. The one exception is
`pretrained`, where weights come from at the first building; a checkpoint has its own weights and does not replay it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from .dataset import Dataset as Dataset
from .errors import ShapeError
from .metric import Metric as Metric
from .registry import OLD_RECIPE
from .types import (
    Annotation,
    Collection,
    Decoded,
    Features,
    FeatureSpec,
    Generated,
    GenerationSettings,
    Hit,
    ImageSpec,
    Targets,
    TargetSpec,
)

if TYPE_CHECKING:
    pass


class Encoder(nn.Module, ABC):
    """Turns the images of a study into features. `image` and `features` are set by __init__ and never change.

    `encode` sees single images; this class runs it over the views that are there and joins them: tokens side by side,
    pooled vectors as the mean over the present views.
    """

    image: ImageSpec
    features: FeatureSpec  # of a whole study: the grid has image.views views
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    @abstractmethod
    def encode(self, images: Tensor) -> Features:
        """Encode single images (n, C, H, W), normalised by `self.image`: tokens (n, N / views, D), pooled (n, P)."""

    def forward(self, images: Tensor, mask: Tensor | None = None) -> Features:
        """Encode studies (B, V, C, H, W); mask (B, V) is True where there is an image. V may be under `image.views`.

        Raises ShapeError where images or features are not what was promised.
        """
        spec, name = self.image, type(self).__name__
        want = (spec.channels, spec.height, spec.width)
        if images.ndim != 5 or tuple(images.shape[2:]) != want or images.shape[1] > spec.views:
            raise ShapeError(
                f"{name} takes images (B, V <= {spec.views}, {', '.join(map(str, want))}), got {tuple(images.shape)}"
            )
        if mask is None:
            mask = torch.ones(images.shape[:2], dtype=torch.bool, device=images.device)
        one = self.encode(images[mask])  # only the views that are there
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
    """Sum values (n, ...) of single images over the views (B, V) they belong to: (B, ...)."""
    study = mask.nonzero()[:, 0]  # (n,)
    return values.new_zeros(len(mask), *values.shape[1:]).index_add(0, study, values)


class Decoder(nn.Module, ABC):
    """Writes reports. Built from what the encoder promises, so that any decoder takes any encoder.

    __init__ raises CompositionError where features or targets lack what the decoder needs.
    """

    needs: frozenset[str] = frozenset({"sentences"})  # fields of Targets it cannot train without
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    def __init__(self, features: FeatureSpec, targets: TargetSpec) -> None:
        super().__init__()
        self.features, self.targets = features, targets

    @abstractmethod
    def decode(self, features: Features, targets: Targets) -> Decoded:
        """Teacher forcing."""

    @abstractmethod
    def generate(self, features: Features, settings: GenerationSettings) -> list[Generated]:
        """Write B reports. In eval mode the same features give the same report, alone or in any batch."""

    def forward(self, features: Features, targets: Targets) -> Decoded:
        """Check the shapes, then `decode`."""
        check_features(type(self).__name__, self.features, features)
        for need in self.needs:
            if getattr(targets, need) is None:
                raise ShapeError(f"{type(self).__name__} cannot train without {need}, and this batch has none")
        return self.decode(features, targets)


class Retriever(nn.Module, ABC):
    """Finds texts for images among those it holds."""

    needs: frozenset[str] = frozenset()
    scores: frozenset[str] = frozenset()  # validation scores it logs in eval mode, higher is better: "recall@10"
    sentences_per_report: int = 0  # a report is so many hits, a sentence each; 0: the best hit is a report
    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE

    def __init__(self, features: FeatureSpec, targets: TargetSpec) -> None:
        super().__init__()
        self.features, self.targets = features, targets

    @abstractmethod
    def loss(self, features: Features, targets: Targets) -> Decoded:
        """Losses of the embedding; none where nothing is trained."""

    @abstractmethod
    def index(self, ids: Sequence[str], texts: Sequence[str], features: Features | None = None) -> None:
        """Hold these texts, and the features of their own images where they have some. Replaces what was held."""

    @abstractmethod
    def search(self, features: Features, k: int = 1) -> list[list[Hit]]:
        """The `k` nearest of each of the B studies, nearest first; ties in the order of the texts. Fewer, if it has no
        more."""

    def forward(self, features: Features, targets: Targets) -> Decoded:
        """Check the shapes, then `loss`."""
        check_features(type(self).__name__, self.features, features)
        return self.loss(features, targets)


def check_features(name: str, spec: FeatureSpec, features: Features) -> None:
    """Raise ShapeError unless features are what `spec` promises."""
    want = (len(features.tokens), spec.tokens, spec.dim)
    if tuple(features.tokens.shape) != want:
        raise ShapeError(f"{name} was built for tokens {want}, got {tuple(features.tokens.shape)}")
    if tuple(features.pooled.shape) != (want[0], spec.pooled):
        raise ShapeError(f"{name} was built for pooled {(want[0], spec.pooled)}, got {tuple(features.pooled.shape)}")


@runtime_checkable
class HasFrozenParts(Protocol):
    """An encoder whose first stages do not learn."""

    def frozen(self) -> Sequence[nn.Module]:
        """Modules whose parameters get no gradient and whose statistics stay: kept in eval mode while training."""


@runtime_checkable
class HasMaps(Protocol):
    """An encoder whose option `maps` says how many of its feature maps it gives, as DiTag compares four of them."""

    map_widths: tuple[int, ...]  # channels of each, the nearest to the pixels first

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """Single images (n, C, H, W) to maps (n, width, h, w), the nearest to the pixels first."""


@runtime_checkable
class HasOwnLosses(Protocol):
    """An encoder with losses of its own, as DiTag's tag classifiers at each depth."""

    def losses(self, features: Features, targets: Targets) -> Mapping[str, Tensor]:
        """() each, by name, unweighted; they join the decoder's."""


@runtime_checkable
class TakesTargets(Protocol):
    """An encoder that must know what is predicted, for classifiers of its own. Called once, right after building."""

    def attach(self, targets: TargetSpec) -> None:
        """Build what depends on the number of tags; may set `features.tag_heads`."""


@runtime_checkable
class LearnsFromStudies(Protocol):
    """A part that takes something from the training studies before training, as DiTag its normal study."""

    def learn(self, studies: Collection) -> None:
        """Set buffers; never parameters."""


@runtime_checkable
class LearnsFromTexts(Protocol):
    """A retriever that takes the sentences of the training reports before training, as CVSE groups them."""

    def learn_texts(self, reports: Mapping[str, Sequence[str]]) -> None:
        """The sentences of each training study, by its id. Raises DataError where they are too few."""


@runtime_checkable
class KeepsFiles(Protocol):
    """A part that keeps files of its own in a model's folder: an index, thresholds, a tokenizer.

    `model_digest` is the sha256 of the weights and config next to which the files are kept.
    """

    def write_files(self, folder: Path, model_digest: str) -> None:
        """Write the part's own files into the model's folder, which has no such files yet."""

    def read_files(self, folder: Path, model_digest: str) -> None:
        """Read them again, if they are there. Raises CheckpointError for files of another model."""

    def drop_files(self) -> None:
        """Forget what holds for the present weights only: they are about to be trained."""


@runtime_checkable
class Annotates(Protocol):
    """A decoder that finds the findings of studies whose reports are given, as TieNet does."""

    def annotate(self, features: Features, targets: Targets) -> Annotation:
        """Read `targets.words`; in eval mode the same study gets the same probabilities, alone or in any batch.

        A part that looks at images alone takes `targets` without words.
        """
