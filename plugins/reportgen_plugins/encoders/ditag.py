"""ditag: what differs between a patient's image and a normal one, with the features of any other encoder.

Park et al.: Feature Difference Makes Sense: A Medical Image Captioning Model Exploiting Feature Difference and Tag
Information, ACL 2020 Student Research Workshop: the models DiTag, cDiTag and mDiTag.

- The difference is that of pooled vectors, patient - normal. So N = 1 and the attention over it is constantly 1; at
  four depths N = 4. The normal studies are kept as images, so that the difference stays right while the inner encoder
  learns; a batch and the normal images go through it together, once.
- Which image is normal, and how many, the paper does not say: one study by id (`normal`), or the mean over the first
  `normals` normal ones by id. Normal is what `Study.extra["normal"]`, the tags or the labels say.
- `mode="concat"` is cDiTag: [patient; difference], along features.
- mDiTag takes the ends of four stages (`depths=4`). They are of different widths, and how they are made equal is not
  said: one linear map for each depth without bias, after the difference, to `width`.
- `tags=true` is mDiTag(+) and (s): "new visual feature vectors by sending the visual feature vectors of each layer into
  four different MLCs" is read as the hidden layer (ReLU) of a tag classifier for each depth, on the difference. Their
  losses are tag_1 to tag_4, the nearest to the pixels first; "backpropagated based on the previous four tag losses and
  then ... on the overall loss" is the training setting steps=[["tag_1", "tag_2", "tag_3", "tag_4"], []].
- At several depths the pooled vector is the mean over the depths.

One frontal view is compared: the inner encoder has views=1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reportgen_core import Collection, DataError, Features, FeatureSpec, OptionError, Study, Targets, TargetSpec
from reportgen_core.data.batches import StudyReader, choose_views, normalise
from reportgen_core.interfaces import Encoder, HasFrozenParts, HasMaps
from reportgen_core.registries import encoders

from ..decoders.blocks.tags import tag_loss

MODES = ("difference", "concat")


class DiTagEncoder(Encoder):
    """Any encoder, seen as the difference from normal.

    Args:
        inner: the name of the encoder whose features are compared.
        inner_options: its options; `pretrained` is given here and not among them.
        depths: 1, or so many of its feature maps up to the deepest: the paper has 4.
        tags: tag classifiers at each depth, whose hidden layers are the tokens.
        width: of the tokens where depths are made equal or classifiers have hidden layers.
    """

    def __init__(
        self,
        *,
        inner: str = "resnet152",
        inner_options: Mapping[str, Any] | None = None,
        pretrained: bool | str = False,
        mode: str = "difference",
        depths: int = 1,
        tags: bool = False,
        width: int = 512,
        normals: int = 1,
        normal: str = "",
    ) -> None:
        super().__init__()
        _check(mode, depths, normals, normal, dict(inner_options or {}))
        self.inner = _inner(inner, dict(inner_options or {}), pretrained, depths)
        self.image = self.inner.image
        self.mode, self.depths, self.normal_id = mode, depths, normal
        widths = (
            self.inner.map_widths if isinstance(self.inner, HasMaps) and depths > 1 else (self.inner.features.pooled,)
        )
        widths = tuple(w * (2 if mode == "concat" else 1) for w in widths)
        equal = depths > 1 or tags
        self.project = nn.ModuleList(nn.Linear(w, width, bias=tags) for w in widths) if equal else None
        self.classifiers = nn.ModuleList()  # built by `attach`, one a depth
        self.has_tags = tags
        D = width if equal else widths[0]
        self.features = FeatureSpec(dim=D, pooled=D, count=depths, tag_heads=depths if tags else 0)
        shape = (normals, self.image.height, self.image.width)
        self.register_buffer("normal", torch.zeros(shape, dtype=torch.uint8))  # grey pixels of the normal studies
        self.normal: Tensor

    def attach(self, targets: TargetSpec) -> None:
        """Build the tag classifiers for these tags; none while no tag is known."""
        if self.has_tags:
            heads = self.depths if targets.tags else 0
            self.classifiers = nn.ModuleList(nn.Linear(self.features.dim, len(targets.tags)) for _ in range(heads))

    def encode(self, images: Tensor) -> Features:
        """Compare images (n, C, H, W) with the normal ones, depth by depth."""
        found = []
        for both in self._vectors(torch.cat([images, self._normal_images(images)])):
            patient, normal = both[: len(images)], both[len(images) :].mean(0)
            difference = patient - normal
            found.append(torch.cat([patient, difference], -1) if self.mode == "concat" else difference)
        if self.project is not None:
            found = [project(v) for project, v in zip(self.project, found, strict=True)]
        if self.has_tags:
            found = [v.relu() for v in found]
        tokens = torch.stack(found, 1)  # (n, depths, D)
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return Features(tokens, tokens.mean(1), mask, self._tags(found))

    def _tags(self, hidden: Sequence[Tensor]) -> Tensor | None:
        """Logits (n, depths, K) of the classifiers, where there are some."""
        if not self.has_tags:
            return None
        if not len(self.classifiers):
            return hidden[0].new_zeros(len(hidden[0]), self.depths, 0)
        return torch.stack([head(v) for head, v in zip(self.classifiers, hidden, strict=True)], 1).float()

    def _normal_images(self, like: Tensor) -> Tensor:
        """The normal studies as the inner encoder wants them, (normals, C, H, W)."""
        return normalise(self.normal[None], self.image, like.dtype)[0]

    def _vectors(self, images: Tensor) -> list[Tensor]:
        """The inner encoder's pooled vectors (n, D) at each depth."""
        if self.depths == 1:
            return [self.inner.encode(images).pooled]
        assert isinstance(self.inner, HasMaps)
        return [found.mean((2, 3)) for found in self.inner.feature_maps(images)]

    def losses(self, features: Features, targets: Targets) -> Mapping[str, Tensor]:
        """The tag loss of each depth, tag_1 the nearest to the pixels."""
        if not self.has_tags or features.tags is None or targets.tags is None:
            return {}
        return {f"tag_{d + 1}": tag_loss(features.tags[:, d], targets.tags) for d in range(self.depths)}

    def frozen(self) -> Sequence[nn.Module]:
        """What the inner encoder keeps fixed."""
        return self.inner.frozen() if isinstance(self.inner, HasFrozenParts) else []

    def learn(self, studies: Collection) -> None:
        """Take the normal images. Raises DataError where the studies have none, or no tags for the classifiers."""
        if self.has_tags and not any(s.tags for s in studies.studies):
            raise DataError("ditag's tag classifiers need tags (a column of tags, MeSH or MTI terms): no study has any")
        reader, images = StudyReader(self.image), []
        for study in self._candidates(studies.studies):
            images += [torch.from_numpy(image.copy()) for image in reader.read(study).images[:1]]
            if len(images) == len(self.normal):
                self.normal.copy_(torch.stack(images))
                return
        raise DataError(
            f"ditag compares with {len(self.normal)} normal studies, and {len(images)} of the training studies are "
            "normal with a readable frontal image; tag them normal, give fewer normals, or name one: normal=ID"
        )

    def _candidates(self, studies: Sequence[Study]) -> list[Study]:
        """The study asked for, or the normal ones by id."""
        if self.normal_id:
            found = [s for s in studies if s.id == self.normal_id]
            if not found:
                raise DataError(f"ditag is to compare with study {self.normal_id!r}, which no training study is called")
            return found
        found = [
            s for s in studies if is_normal(s) and any(v.projection != "lateral" for v in choose_views(s, self.image))
        ]
        return sorted(found, key=lambda s: s.id)


def is_normal(study: Study) -> bool:
    """Whether the source says so, else its tags, else its labels: no finding, or every one of them absent."""
    if "normal" in study.extra:
        return bool(study.extra["normal"])
    if study.tags:
        return {tag.lower() for tag in study.tags} <= {"normal", "no finding", "no findings"}
    present = {name for name, value in study.labels.items() if value != 0}
    return bool(study.labels) and present <= {"No Finding"}


def _check(mode: str, depths: int, normals: int, normal: str, options: Mapping[str, Any]) -> None:
    if mode not in MODES:
        raise OptionError(f"ditag has no mode={mode!r}; there are: {', '.join(MODES)}")
    for name, value in (("depths", depths), ("normals", normals)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise OptionError(f"ditag takes {name} of at least 1, got {value!r}")
    if normal and normals != 1:
        raise OptionError(f"ditag compares with the one study normal={normal!r} or with normals={normals}, not both")
    for name, instead in (("pretrained", "give ditag's own pretrained"), ("maps", "depths says how many")):
        if name in options:
            raise OptionError(f"ditag's inner_options have {name!r}; {instead}")


def _inner(name: str, options: dict[str, Any], pretrained: bool | str, depths: int) -> Encoder:
    """The inner encoder, giving as many feature maps as are compared."""
    known = encoders.options(name)
    if depths > 1:
        if "maps" not in known:
            raise OptionError(
                f"ditag with depths={depths} needs an encoder with feature maps, as resnet152; {name} has one"
            )
        options["maps"] = depths
    if pretrained is not False:
        options["pretrained"] = pretrained
    made = encoders.create(name, **options)
    if made.image.views != 1:
        raise OptionError(f"ditag compares one frontal view; give the inner encoder views=1, not {made.image.views}")
    return made
