"""ditag: the difference between the features of a patient's image and those of a normal one, by any other encoder.

Park et al.: Feature Difference Makes Sense: A Medical Image Captioning Model Exploiting Feature Difference and Tag
Information, ACL 2020 Student Research Workshop: the models DiTag, cDiTag and mDiTag.

- The difference is that of pooled vectors, patient - normal. So N = 1 and the attention over it is constantly 1; at
  four depths N = 4. The normal studies are stored as images, so that the difference stays right while the inner encoder
  learns. A batch and the normal images go through it together, once.
- The paper does not say which image is normal, or how many are used. Here it is one study by id (`normal`), or the mean
  over the first `normals` normal studies, sorted by id. `Study.extra["normal"]`, the tags or the labels decide which
  studies are normal.
- `mode="concat"` is cDiTag: [patient; difference], along features.
- mDiTag takes the ends of four stages (`depths=4`). They have different widths, and the paper does not say how
  they are made equal. Here one linear map for each depth, without bias, takes the difference to `width`.
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
from reportgen_core.interfaces import Encoder
from reportgen_core.models.abilities import HasFrozenParts, HasMaps
from reportgen_core.registries import encoders

from ..decoders.blocks.tags import tag_loss

MODES = ("difference", "concat")


class DiTagEncoder(Encoder):
    """Give the difference between the features of an image and those of normal images, by any other encoder.

    Args:
        inner: the name of the encoder whose features are compared.
        inner_options: its options, without `pretrained`, which is an option of ditag itself.
        depths: number of its feature maps that are compared, up to the deepest; the paper has 4.
        tags: whether each depth has a tag classifier, whose hidden layer is the token.
        width: width of the tokens, if there are several depths or tag classifiers.
        normals: number of normal studies whose mean is compared with.
        normal: id of the one normal study; empty: the first `normals` normal studies by id.
        pretrained: the first weights of the inner encoder: false, true, or the path of a file.
        mode: "difference" gives patient - normal (DiTag), "concat" the patient and the difference (cDiTag).
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
        """Build one tag classifier for each depth, or none if no tag is known."""
        if self.has_tags:
            heads = self.depths if targets.tags else 0
            self.classifiers = nn.ModuleList(nn.Linear(self.features.dim, len(targets.tags)) for _ in range(heads))

    def encode(self, images: Tensor) -> Features:
        """Compare images (n, C, H, W) with the normal ones, depth by depth."""
        vectors = []
        for both in self._vectors(torch.cat([images, self._normal_images(images)])):
            patient, normal = both[: len(images)], both[len(images) :].mean(0)
            difference = patient - normal
            vectors.append(torch.cat([patient, difference], -1) if self.mode == "concat" else difference)
        if self.project is not None:
            vectors = [project(v) for project, v in zip(self.project, vectors, strict=True)]
        if self.has_tags:
            vectors = [v.relu() for v in vectors]
        tokens = torch.stack(vectors, 1)  # (n, depths, D)
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return Features(tokens, tokens.mean(1), mask, self._tags(vectors))

    def _tags(self, hidden: Sequence[Tensor]) -> Tensor | None:
        """Return the logits (n, depths, K) of the tag classifiers, or None if the option `tags` is off."""
        if not self.has_tags:
            return None
        if not len(self.classifiers):
            return hidden[0].new_zeros(len(hidden[0]), self.depths, 0)
        return torch.stack([head(v) for head, v in zip(self.classifiers, hidden, strict=True)], 1).float()

    def _normal_images(self, like: Tensor) -> Tensor:
        """Return the normal images as the inner encoder takes them, (normals, C, H, W), in the dtype of `like`."""
        return normalise(self.normal[None], self.image, like.dtype)[0]

    def _vectors(self, images: Tensor) -> list[Tensor]:
        """Return the inner encoder's pooled vectors (n, D), one tensor for each depth."""
        if self.depths == 1:
            return [self.inner.encode(images).pooled]
        assert isinstance(self.inner, HasMaps)
        return [feature_map.mean((2, 3)) for feature_map in self.inner.feature_maps(images)]

    def losses(self, features: Features, targets: Targets) -> Mapping[str, Tensor]:
        """Return the tag loss of each depth in nats, tag_1 nearest to the pixels; {} without classifiers or tags."""
        if not self.has_tags or features.tags is None or targets.tags is None:
            return {}
        return {f"tag_{d + 1}": tag_loss(features.tags[:, d], targets.tags) for d in range(self.depths)}

    def frozen(self) -> Sequence[nn.Module]:
        """Return the modules that the inner encoder does not train."""
        return self.inner.frozen() if isinstance(self.inner, HasFrozenParts) else []

    def learn(self, studies: Collection) -> None:
        """Take the normal images from the training studies.

        Raises DataError if too few of them are normal, or none has tags for the classifiers.
        """
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
        """Return the study that `normal` names, or all normal studies with a frontal view, sorted by id.

        Raises DataError if no study has the id that `normal` names.
        """
        if self.normal_id:
            named = [s for s in studies if s.id == self.normal_id]
            if not named:
                raise DataError(f"ditag is to compare with study {self.normal_id!r}, which no training study is called")
            return named
        normal = [
            s for s in studies if is_normal(s) and any(v.projection != "lateral" for v in choose_views(s, self.image))
        ]
        return sorted(normal, key=lambda s: s.id)


def is_normal(study: Study) -> bool:
    """Return whether a study is normal, by its source, else by its tags, else by its labels.

    By its labels a study is normal if every finding except "No Finding" is absent. A study without any of these is not.
    """
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
    """Build the inner encoder with `depths` feature maps. Raises OptionError if it has none, or several views."""
    if depths > 1:
        if "maps" not in encoders.options(name):
            raise OptionError(
                f"ditag with depths={depths} needs an encoder with feature maps, as resnet152; {name} has one"
            )
        options["maps"] = depths
    if pretrained is not False:
        options["pretrained"] = pretrained
    encoder = encoders.create(name, **options)
    if encoder.image.views != 1:
        raise OptionError(f"ditag compares one frontal view; give the inner encoder views=1, not {encoder.image.views}")
    return encoder
