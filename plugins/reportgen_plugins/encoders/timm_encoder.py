"""Any timm model with feature maps as an encoder: convolutional networks, vision transformers and their mixtures.

Ross Wightman, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models. The short names stand for the
weights that the papers of this field start from, torchvision's ImageNet-1k training: `resnet50` (He et al., Deep
Residual Learning for Image Recognition, 2015, arXiv:1512.03385) and `densenet121` (Huang et al., Densely Connected
Convolutional Networks, 2016, arXiv:1608.06993).

The tokens are the positions of one feature map; the pooled vector is their mean, or what `pooling` says. Models that do
not pool a map of their own (vision transformers) give the tokens after the model's last normalisation, without class
tokens. Stages after the map are not built. The whole image is resized to `size`; timm's centre crop is left out unless
`fit` asks for it: it would cut off parts of the lungs.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import timm
import torch
from timm.data.config import resolve_data_config
from timm.layers.format import Format
from timm.models._features import FeatureGetterNet, FeatureInfo  # the first has no public name
from torch import Tensor, nn

from reportgen_core import Features, FeatureSpec, ImageSpec, OptionError
from reportgen_core.interfaces import Encoder
from reportgen_core.models.computing.shapes import shapes_only

from ..pooling import check_pooling, pool_tokens
from .weights import check_source, first_weights, on_meta


class TimmEncoder(Encoder):
    """One feature map of a timm model.

    Args:
        pretrained: false; true for timm's own weights, from the hub's cache or the hub; or the path of a file.
        size: pixels, one number or [height, width]; None is the size at which the weights were trained.
        depth: index of the feature map, 0 the nearest to the pixels; a negative number counts from the deepest.
        frozen: number of feature maps, from the pixels on, whose layers are not trained: for a DenseNet 1 is the stem,
            3 is the stem and two blocks.
        maps: number of feature maps, up to that one, that `feature_maps` returns.
        model_args: arguments of timm's model class, such as {"drop_path_rate": 0.1}.
        pooling: how the map becomes one vector: mean, max, or lse, which finds small things as max does and learns from
            more than one place.
        sharpness: r of lse.
        fit, crop, bits: how an image comes to its size, and its grey levels, see `ImageSpec`.
        views: images of a study that are used, frontal first.
        equalize: whether the histogram of an image is equalised before resizing.
    """

    def __init__(
        self,
        *,
        name: str,
        pretrained: bool | str = False,
        size: int | Sequence[int] | None = None,
        depth: int = -1,
        frozen: int = 0,
        views: int = 1,
        equalize: bool = False,
        maps: int = 1,
        model_args: Mapping[str, Any] | None = None,
        pooling: str = "mean",
        sharpness: float = 3.0,
        fit: str = "stretch",
        crop: float = 1.0,
        bits: int = 8,
    ) -> None:
        super().__init__()
        check_source(pretrained)
        check_pooling(name, pooling, sharpness)
        self.pooling, self.sharpness = pooling, sharpness
        fitting = {"fit": fit, "crop": float(crop), "bits": bits}
        self.image = image_spec(name, size, views=views, equalize=equalize, **fitting)
        plan = _Plan(name, self.image, dict(model_args or {}))
        level = plan.level("depth", depth)
        levels = plan.up_to(level, maps)
        probe, maps_of_probe = plan.probe(levels)
        self.map_widths = tuple(int(feature_map.shape[1]) for feature_map in maps_of_probe)
        D, rows, columns = map(int, maps_of_probe[-1].shape[1:])
        self.features = FeatureSpec(dim=D, pooled=D, grid=(views, rows, columns))
        if on_meta():
            self.net = probe
        else:
            weights = first_weights(name, pretrained, dict(model_args or {}))
            if weights is not None and (names := probe.state_dict().keys()) <= weights.keys():
                weights = {key: weights[key] for key in names}  # timm warns of tensors that it has no place for
            self.net = plan.build(levels, weights)
        fixed = plan.reached(frozen, level) | unreached(probe, maps_of_probe)
        for key, parameter in self.net.named_parameters():
            if key in fixed:
                parameter.requires_grad_(False)

    def encode(self, images: Tensor) -> Features:
        """Run the model over images (n, C, H, W)."""
        x = self.net(images)[-1]  # (n, D, h, w)
        mask = torch.ones(len(x), x.shape[2] * x.shape[3], dtype=torch.bool, device=x.device)
        tokens = x.flatten(2).transpose(1, 2)  # (n, D, h, w) -> (n, N, D)
        mean = self.pooling == "mean"
        return Features(
            tokens, x.mean((2, 3)) if mean else pool_tokens(tokens, mask, self.pooling, self.sharpness), mask
        )

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """Return `maps` feature maps (n, D, h, w) of images (n, C, H, W), the nearest to the pixels first."""
        return list(self.net(images))

    def frozen(self) -> Sequence[nn.Module]:
        """Return the largest modules in which nothing learns."""
        return fixed_modules(self.net)

    def train(self, mode: bool = True) -> TimmEncoder:
        """Switch between training and evaluation. Frozen modules stay in evaluation."""
        super().train(mode)
        for module in self.frozen():
            module.eval()
        return self


class _Normed(FeatureGetterNet):
    """Tokens of a transformer after its last normalisation, which timm leaves out by default."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "norm": True, "output_fmt": "NCHW"})


def _channels_before_places(_model: nn.Module, _images: object, maps: Sequence[Tensor]) -> list[Tensor]:
    """Return maps (n, h, w, D) as (n, D, h, w)."""
    return [m.permute(0, 3, 1, 2) for m in maps]


class _Plan:
    """Build one timm model, after trying it on the meta device, which needs no memory."""

    def __init__(self, name: str, image: ImageSpec, model_args: dict[str, Any]) -> None:
        self.name, self.image = name, image
        self.arguments: dict[str, Any] = dict(model_args)
        cfg = timm.get_pretrained_cfg(name)
        if cfg is not None and cfg.fixed_input_size:
            self.arguments.setdefault("img_size", (image.height, image.width))
        with shapes_only():
            model = self._create()
            self.levels = len(cast(FeatureInfo, model.feature_info).info)
            if isinstance(model, FeatureGetterNet):
                self.arguments["feature_cls"] = _Normed

    def _create(self, **arguments: Any) -> nn.Module:
        try:
            model: nn.Module = timm.create_model(self.name, features_only=True, **{**self.arguments, **arguments})
        except (TypeError, RuntimeError, AttributeError, AssertionError, ValueError, IndexError, KeyError) as e:
            why = (str(e) or type(e).__name__).splitlines()[0]
            raise OptionError(f"timm's {self.name!r} cannot be built for feature maps: {why}") from e
        if getattr(model, "output_fmt", Format.NCHW) == Format.NHWC and not isinstance(model, FeatureGetterNet):
            model.register_forward_hook(_channels_before_places)  # Swin and its relatives
        return model

    def level(self, option: str, number: int) -> int:
        """Return the index, from the pixels, of feature map `number`. Raises OptionError if there is no such map."""
        if isinstance(number, bool) or not isinstance(number, int) or not -self.levels <= number < self.levels:
            raise OptionError(
                f"{option}={number!r}: {self.name!r} has {self.levels} feature maps, 0 to {self.levels - 1}"
            )
        return number % self.levels

    def up_to(self, level: int, maps: int) -> list[int]:
        """Return the indices of the `maps` feature maps up to `level`. Raises OptionError if there are fewer."""
        if isinstance(maps, bool) or not isinstance(maps, int) or not 1 <= maps <= level + 1:
            raise OptionError(f"maps={maps!r}: {self.name!r} has {level + 1} feature maps up to this depth")
        return list(range(level - maps + 1, level + 1))

    def build(self, levels: list[int], weights: Mapping[str, Tensor] | None = None) -> nn.Module:
        """Build the model up to the last of `levels`, with `weights` or with random ones."""
        start: dict[str, Any] = {}
        if weights is not None:
            start = {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": weights}}
        model = self._create(out_indices=levels, **start)
        for module in model.modules():
            for name in ("pretrained_cfg", "default_cfg"):  # they would keep the weights in memory a second time
                vars(module).pop(name, None)
        return model

    def probe(self, levels: list[int]) -> tuple[nn.Module, list[Tensor]]:
        """Build the model on the meta device, and return it with its feature maps (1, D, h, w) of one image."""
        with shapes_only(), torch.enable_grad():
            model = self.build(levels).eval()
            return model, self._maps(model)

    def reached(self, frozen: int, last: int) -> set[str]:
        """Return the names of the parameters of the layers up to feature map number `frozen`. Raises OptionError."""
        if isinstance(frozen, bool) or not isinstance(frozen, int) or not 0 <= frozen <= self.levels:
            raise OptionError(f"frozen={frozen!r}: {self.name!r} has {self.levels} feature maps, so 0 to {self.levels}")
        if frozen == 0:
            return set()
        model, maps = self.probe([min(frozen - 1, last)])
        return set(dict(model.named_parameters())) - unreached(model, maps)

    def _maps(self, model: nn.Module) -> list[Tensor]:
        image = self.image
        try:
            found = list(model(torch.zeros(1, image.channels, image.height, image.width, device="meta")))
        except (RuntimeError, AssertionError, ValueError) as e:
            why = (str(e) or type(e).__name__).splitlines()[0]
            raise OptionError(f"size=[{image.height}, {image.width}]: {self.name!r} cannot take it: {why}") from e
        return found


def unreached(model: nn.Module, maps: Sequence[Tensor]) -> set[str]:
    """Return the names of the parameters that timm builds although none of these feature maps depends on them.

    They are read off the graph that autograd keeps of the maps; no gradient is computed.
    """
    seen: set[Any] = set()
    met: set[int] = set()
    following = [feature_map.grad_fn for feature_map in maps]
    while following:
        node = following.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if (leaf := getattr(node, "variable", None)) is not None:  # the node that adds up a parameter's gradient
            met.add(id(leaf))
        following += [earlier for earlier, _ in node.next_functions]
    return {name for name, p in model.named_parameters() if p.requires_grad and id(p) not in met}


def image_spec(name: str, size: int | Sequence[int] | None, *, views: int, equalize: bool, **fitting: Any) -> ImageSpec:
    """Return the preprocessing that timm's weights of `name` were trained with, at `size`. Raises OptionError."""
    check_name(name)
    if isinstance(views, bool) or not isinstance(views, int) or views < 1:
        raise OptionError(f"views={views!r}: give a whole number from 1")
    cfg = timm.get_pretrained_cfg(name)
    data = resolve_data_config(dataclasses.asdict(cfg) if cfg else {})  # type: ignore[no-untyped-call]  # timm's
    height, width = data["input_size"][1:] if size is None else image_pair(size)
    return ImageSpec(
        height=height,
        width=width,
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation=data["interpolation"],
        equalize=equalize,
        views=views,
        **fitting,
    )


def image_pair(size: int | Sequence[int]) -> tuple[int, int]:
    """Return height and width, 1..4096 each, of one number or of two. Raises OptionError."""
    pair = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list | tuple) else ()
    if len(pair) != 2 or not all(isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= 4096 for n in pair):
        raise OptionError(f"size={size!r}: give one number of pixels or [height, width], each 1 to 4096")
    return pair[0], pair[1]


def check_name(name: str) -> None:
    """Raise OptionError with near matches unless timm has the model `name`, and weights of its tag if it has a tag."""
    architecture, _, tag = name.partition(".")
    names = timm.list_models()
    if architecture not in names:
        near = difflib.get_close_matches(architecture, names, n=3)
        raise OptionError(f"timm has no model {architecture!r}{_hint(near)}; timm.list_models() names all {len(names)}")
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        near = difflib.get_close_matches(tag, tags, n=1)
        raise OptionError(f"timm's {architecture!r} has no weights {tag!r}{_hint(near)}; there are: {', '.join(tags)}")


def _hint(near: Sequence[str]) -> str:
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def fixed_modules(module: nn.Module) -> list[nn.Module]:
    """Return the largest modules in `module`, itself included, that have parameters of which none learns."""
    parameters = list(module.parameters())
    if not parameters:
        return []
    if not any(parameter.requires_grad for parameter in parameters):
        return [module]
    return [fixed for child in module.children() for fixed in fixed_modules(child)]
