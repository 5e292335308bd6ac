"""Vision transformers of timm and of transformers: patch tokens, and the class token as the pooled vector.

Dosovitskiy et al., An Image is Worth 16x16 Words, 2020, arXiv:2010.11929; DINOv2: Oquab et al., 2023, arXiv:2304.07193;
register tokens: Darcet et al., 2023, arXiv:2309.16588; RAD-DINO: Pérez-García et al., 2024, arXiv:2401.10815, which is
a DINOv2 of transformers in a folder.

The name is a timm model (`vit/vit_small_patch14_dinov2`) or an architecture of transformers (`vit/dinov2`). The tokens
are those of the patches after the last normalisation; class and register tokens are left out of them. The pooled vector
is the class token, or the mean of the patches in a model without one.

`pretrained` of an architecture of transformers is a folder with config.json and weights. Its configuration and its
preprocessor_config.json become options of the model (`settle_options`), so that a saved model needs no folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from reportgen_core import Features, FeatureSpec, ImageSpec, OptionError
from reportgen_core.interfaces import Encoder

from .timm_encoder import fixed_modules, image_pair
from .vit_nets import TimmNet, TransformersNet, is_of_transformers, options_of_folder
from .weights import on_meta


class ViTEncoder(Encoder):
    """A vision transformer.

    Args:
        pretrained: false; true for timm's own weights; the path of a file of weights of a timm model, or of a folder in
            the format of transformers.
        size: pixels, one number or [height, width]; None is the size at which the weights were trained.
        frozen: number of transformer blocks, from the pixels on, that are not trained, with the patch embedding.
        model_args: arguments of timm's class, or settings of the configuration of transformers.
        fit, crop, bits: see `ImageSpec`; `mean`, `std` and `interpolation` too. None is what the weights were trained
            with, as far as timm or the folder says it.
        views: images of a study that are used, frontal first.
        equalize: whether the histogram of an image is equalised before resizing.
        mean: grey levels that are subtracted, one for each channel; None is what the weights were trained with.
        std: grey levels that are divided by, one for each channel; None as for mean.
        interpolation: how an image is resized: bilinear, bicubic or nearest; None as for mean.
    """

    def __init__(
        self,
        *,
        name: str,
        pretrained: bool | str = False,
        size: int | Sequence[int] | None = None,
        frozen: int = 0,
        views: int = 1,
        equalize: bool = False,
        fit: str = "stretch",
        crop: float = 1.0,
        bits: int = 8,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        interpolation: str | None = None,
        model_args: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        sides = None if size is None else image_pair(size)
        kind: type[TimmNet | TransformersNet] = TransformersNet if is_of_transformers(name) else TimmNet
        with torch.device("meta"):
            probe = kind(name, sides, dict(model_args or {}))
        defaults = probe.image_defaults()
        self.image = ImageSpec(
            height=probe.sides[0], width=probe.sides[1], mean=tuple(mean or defaults["mean"]),
            std=tuple(std or defaults["std"]), interpolation=interpolation or defaults["interpolation"],
            equalize=equalize, views=views, fit=fit, crop=float(crop), bits=bits,
        )  # fmt: skip
        self.grid, self.prefix, unreached = probe.inspect()
        self.features = FeatureSpec(dim=probe.width, pooled=probe.width, grid=(views, *self.grid))
        self.net = probe if on_meta() else kind(name, sides, dict(model_args or {}), pretrained)
        fixed = unreached | self.net.reached(frozen)
        for key, parameter in self.net.named_parameters():
            if key in fixed:
                parameter.requires_grad_(False)

    @classmethod
    def settle_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options with those that a folder of transformers decides. Raises OptionError."""
        name, pretrained = str(options["name"]), options.get("pretrained", False)
        if not is_of_transformers(name) or pretrained is False:
            return dict(options)
        if not isinstance(pretrained, str):
            raise OptionError(f"pretrained={pretrained!r} of vit/{name}: give a folder with config.json, or false")
        return {**options_of_folder(pretrained, name), **options}

    def encode(self, images: Tensor) -> Features:
        """Encode images (n, 3, H, W)."""
        states = self.net(images)  # (n, prefix + N, D)
        tokens = states[:, self.prefix :]
        pooled = states[:, 0] if self.prefix else tokens.mean(1)
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return Features(tokens, pooled, mask)

    def frozen(self) -> Sequence[nn.Module]:
        """Return the largest modules in which nothing learns."""
        return fixed_modules(self.net)

    def train(self, mode: bool = True) -> ViTEncoder:
        """Switch between training and evaluation. Frozen modules stay in evaluation."""
        super().train(mode)
        for module in self.frozen():
            module.eval()
        return self
