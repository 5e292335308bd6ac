"""The networks of `vit.py`: a vision transformer of timm or of transformers as images -> prefix and patch tokens.

The prefix tokens (class token, distillation token, registers) come first in both libraries.
"""

from __future__ import annotations

import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import timm
import torch
from safetensors import SafetensorError
from timm.data.config import resolve_data_config
from torch import Tensor, nn
from transformers import CONFIG_MAPPING, MODEL_MAPPING, AutoConfig

from reportgen_core import OptionError
from reportgen_core.errors import CheckpointError
from reportgen_core.files.json_files import read_json

from .timm_encoder import check_name
from .weights import check_source, first_weights

Sides = tuple[int, int]  # height and width in pixels
_FAILURES = (TypeError, RuntimeError, AttributeError, AssertionError, ValueError, IndexError, KeyError)
_RESAMPLING = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_NOT_SETTINGS = {"architectures", "transformers_version", "dtype", "torch_dtype", "model_type", "_name_or_path"}


def is_of_transformers(name: str) -> bool:
    """Return whether a name is an architecture of transformers, and no model of timm."""
    return name in CONFIG_MAPPING and not timm.is_model(name)


class _Net(nn.Module, ABC):
    """What both kinds share. A subclass writes `build`, `forward`, `blocks` and `image_defaults`."""

    refusal: ClassVar[str]  # the beginning of the message about a network that cannot be built

    def __init__(
        self, name: str, sides: Sides | None, model_args: dict[str, Any], pretrained: bool | str = False
    ) -> None:
        super().__init__()
        try:
            self.sides, self.patch, self.width = self.build(name, sides, model_args, pretrained)
            self.blocks()
        except _FAILURES as e:
            raise OptionError(f"{self.refusal.format(name=name, model_args=model_args)}: {_line(e)}") from e

    @abstractmethod
    def build(
        self, name: str, sides: Sides | None, model_args: dict[str, Any], pretrained: bool | str
    ) -> tuple[Sides, Sides, int]:
        """Set `model`. Return the sides of its images and of its patches, and the width of its tokens."""

    @abstractmethod
    def blocks(self) -> nn.ModuleList:
        """Return the transformer blocks."""

    @abstractmethod
    def image_defaults(self) -> dict[str, Any]:
        """Return mean, std and interpolation of the images."""

    def inspect(self) -> tuple[tuple[int, int], int, set[str]]:
        """Return the grid of patches, the number of prefix tokens, and the parameters that no token depends on.

        The network is on the meta device. Raises OptionError if it cannot take images of its size.
        """
        rows, columns = (side // step for side, step in zip(self.sides, self.patch, strict=True))
        if (rows * self.patch[0], columns * self.patch[1]) != self.sides:
            raise OptionError(f"size={list(self.sides)}: patches are {self.patch[0]} x {self.patch[1]}, give multiples")
        with torch.enable_grad():
            try:
                states = self(torch.zeros(1, 3, *self.sides, device="meta"))
            except _FAILURES as e:
                raise OptionError(f"size={list(self.sides)}: the model cannot take it: {_line(e)}") from e
            learns = {name: p for name, p in self.named_parameters() if p.requires_grad}
            gradients = torch.autograd.grad(states.sum(), list(learns.values()), allow_unused=True)
        prefix = int(states.shape[1]) - rows * columns
        if prefix < 0:
            raise OptionError(f"{states.shape[1]} tokens for {rows} x {columns} patches: this is no plain transformer")
        unreached = {name for name, gradient in zip(learns, gradients, strict=True) if gradient is None}
        return (rows, columns), prefix, unreached

    def reached(self, frozen: int) -> set[str]:
        """Return the names of the parameters up to block number `frozen`. Raises OptionError."""
        blocks = self.blocks()
        if isinstance(frozen, bool) or not isinstance(frozen, int) or not 0 <= frozen <= len(blocks):
            raise OptionError(f"frozen={frozen!r}: the model has {len(blocks)} blocks, so 0 to {len(blocks)}")
        if not frozen:
            return set()
        own = {id(p) for block in blocks for p in block.parameters()}
        first = {id(p) for block in blocks[:frozen] for p in block.parameters()}
        before = [n for n, _ in self.named_parameters() if "embed" in n or "token" in n]  # patches, places, tokens
        return {n for n, p in self.named_parameters() if id(p) in first or (id(p) not in own and n in before)}


class TimmNet(_Net):
    """A vision transformer of timm."""

    refusal = "timm's {name!r} is no vision transformer that can be built"

    def build(
        self, name: str, sides: Sides | None, model_args: dict[str, Any], pretrained: bool | str
    ) -> tuple[Sides, Sides, int]:
        """Build the network, with the weights of `pretrained` or random ones."""
        check_name(name)
        check_source(pretrained)
        cfg = timm.get_pretrained_cfg(name)
        self.data: dict[str, Any] = resolve_data_config(cfg.to_dict() if cfg else {})  # type: ignore[no-untyped-call]
        chosen = sides or _two(self.data["input_size"][1:])
        start: dict[str, Any] = {}
        if (weights := first_weights(name, pretrained, model_args)) is not None:
            start = {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": weights}}
        model: Any = timm.create_model(name, num_classes=0, img_size=chosen, **model_args, **start)
        self.model: nn.Module = model
        for module in model.modules():
            for attribute in ("pretrained_cfg", "default_cfg"):  # they would keep the weights a second time
                vars(module).pop(attribute, None)
        return chosen, _two(model.patch_embed.patch_size), int(model.num_features)

    def forward(self, images: Tensor) -> Tensor:
        """Return tokens (n, prefix + N, D) of images (n, 3, H, W)."""
        model: Any = self.model
        states: Tensor = model.forward_features(images)
        norm = getattr(model, "fc_norm", None)  # models that pool by the mean have their last norm here
        return states if norm is None else norm(states)

    def blocks(self) -> nn.ModuleList:
        """Return the transformer blocks."""
        blocks: Any = self.model.blocks
        return nn.ModuleList(blocks)

    def image_defaults(self) -> dict[str, Any]:
        """Return mean, std and interpolation of the weights."""
        return {name: self.data[name] for name in ("mean", "std", "interpolation")}


class TransformersNet(_Net):
    """A vision transformer of transformers."""

    refusal = "transformers builds no vision transformer {name!r} with {model_args}"

    def build(
        self, name: str, sides: Sides | None, model_args: dict[str, Any], pretrained: bool | str
    ) -> tuple[Sides, Sides, int]:
        """Build the network, with the weights of the folder `pretrained` or random ones."""
        config: Any = AutoConfig.for_model(name, **model_args)
        known = set(type(config)().to_dict()) | set(type(config).attribute_map)
        if unknown := [key for key in model_args if key not in known]:
            raise OptionError(f"{name} has no setting {unknown[0]!r}; there are: {', '.join(sorted(known)[:40])}")
        self.own_size = _two(config.image_size)
        kind: Any = MODEL_MAPPING[type(config)]
        plain = {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(kind).parameters else {}
        self.model: Any = _built(kind, config, plain, pretrained)
        self.interpolates = "interpolate_pos_encoding" in inspect.signature(self.model.forward).parameters
        return sides or self.own_size, _two(config.patch_size), int(config.hidden_size)

    def forward(self, images: Tensor) -> Tensor:
        """Return tokens (n, prefix + N, D) of images (n, 3, H, W)."""
        more = {"interpolate_pos_encoding": True} if self.interpolates and self.sides != self.own_size else {}
        states: Tensor = self.model(pixel_values=images, **more).last_hidden_state
        return states

    def blocks(self) -> nn.ModuleList:
        """Return the transformer blocks: the longest list of modules."""
        lists = [m for m in self.model.modules() if isinstance(m, nn.ModuleList)]
        return max(lists, key=len, default=nn.ModuleList())

    def image_defaults(self) -> dict[str, Any]:
        """Return the mean, std and interpolation of a model without a folder: ImageNet's."""
        return {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "interpolation": "bicubic"}


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def _two(value: Any) -> tuple[int, int]:
    """Return (height, width) of one number or of two."""
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _built(kind: Any, config: Any, plain: dict[str, Any], pretrained: bool | str) -> Any:
    """Return the model, with the weights of the folder `pretrained` or random ones.

    Raises OptionError if a weight is missing or has another shape.
    """
    if pretrained is False:
        return kind(config, **plain)
    path = str(pretrained)
    more = {"local_files_only": True, "output_loading_info": True, "dtype": torch.float32}
    try:
        with torch.device("cpu"):
            model, facts = kind.from_pretrained(str(Path(path).expanduser()), config=config, **more, **plain)
    except (OSError, SafetensorError, *_FAILURES) as e:
        raise OptionError(f"pretrained={path!r}: the weights cannot be read: {_line(e)}") from e
    lacks = sorted(key for key in facts["missing_keys"] if not key.endswith("mask_token"))  # training alone reads it
    if lacks or facts["mismatched_keys"]:
        first = lacks[0] if lacks else str(sorted(map(str, facts["mismatched_keys"]))[0])
        raise OptionError(f"pretrained={path!r} has no weights {first!r} that fit {kind.__name__}")
    return model


def options_of_folder(path: str, name: str) -> dict[str, Any]:
    """Return the options of the encoder that a folder of transformers decides: configuration and preprocessing.

    Raises OptionError for a folder that is no such model.
    """
    folder = Path(path).expanduser()
    config = _json(folder / "config.json", path)
    if config.get("model_type") != name:
        raise OptionError(f"pretrained={path!r} holds a {config.get('model_type')!r}, not a {name!r}; name it vit/…")
    settings = {k: v for k, v in config.items() if k not in _NOT_SETTINGS}
    known = set(CONFIG_MAPPING[name]().to_dict()) | set(CONFIG_MAPPING[name].attribute_map)
    default = json.loads(json.dumps(CONFIG_MAPPING[name]().to_dict(), default=str))
    differing = {k: v for k, v in settings.items() if k in known and default.get(k, object()) != v}
    image = folder / "preprocessor_config.json"
    return {"model_args": differing, **(_image_options(_json(image, path)) if image.is_file() else {})}


def _image_options(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options for images that a preprocessor_config.json says."""
    size, crop = facts.get("size"), facts.get("crop_size")
    side = size if isinstance(size, int) else (size or {}).get("shortest_edge") or (size or {}).get("height")
    options: dict[str, Any] = {}
    if facts.get("do_center_crop") and crop:
        cut = crop if isinstance(crop, int) else int(crop["height"])
        options |= {"size": cut, "fit": "crop", "crop": min(1.0, cut / side) if side else 1.0}
    elif side:
        options |= {"size": int(side)}
    if facts.get("do_normalize", True) and facts.get("image_mean"):
        options |= {"mean": list(facts["image_mean"]), "std": list(facts["image_std"])}
    if facts.get("resample") in _RESAMPLING:
        options["interpolation"] = _RESAMPLING[facts["resample"]]
    return options


def _json(path: Path, given: str) -> dict[str, Any]:
    try:
        content = read_json(path)
    except CheckpointError as e:
        raise OptionError(f"pretrained={given!r}: give a folder with config.json and weights: {e}") from e
    if not isinstance(content, dict):
        raise OptionError(f"pretrained={given!r}: {path.name} is no object with settings")
    return content
