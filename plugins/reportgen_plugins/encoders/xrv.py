"""The networks of torchxrayvision, trained on chest radiographs of several data sets.

Cohen et al., TorchXRayVision: A library of chest X-ray datasets and models, MIDL 2022, arXiv:2111.00595. Names are
those of its weights: `xrv/densenet121-res224-all`, `xrv/resnet50-res512-all`. Images have one channel from -1024 to
1024, and are cut to a square. The tokens are the last feature map (after ReLU), the pooled vector is their mean.

`pretrained=true` reads the file that torchxrayvision has downloaded before (~/.torchxrayvision); nothing is downloaded
here. Its DenseNets are pickled modules: they are read as data, and a file that names any class but those of the network
is refused.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reportgen_core import Features, FeatureSpec, ImageSpec, OptionError
from reportgen_core.files.torch_files import read_torch_file
from reportgen_core.interfaces import Encoder
from reportgen_core.registry import did_you_mean

from .weights import on_meta, read_state

FOLDER = Path("~/.torchxrayvision/models_data")


class XrvEncoder(Encoder):
    """A DenseNet or ResNet of torchxrayvision.

    Args:
        pretrained: false; true for the file that torchxrayvision downloaded; or the path of such a file, or of a state
            dict as .safetensors.
        size: pixels of both sides; None is the size at which the weights were trained.
        model_args: arguments of torchxrayvision's DenseNet, such as {"growth_rate": 4}; the weights have the defaults.
        views: images of a study that are used, frontal first.
        equalize: whether the histogram of an image is equalised before resizing.
    """

    def __init__(
        self,
        *,
        name: str,
        pretrained: bool | str = False,
        size: int | None = None,
        views: int = 1,
        equalize: bool = False,
        model_args: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        facts, densenet = _library(name)
        side = size or (512 if "res512" in name else 224)
        if isinstance(side, bool) or not isinstance(side, int) or not 32 <= side <= 4096:
            raise OptionError(f"size={size!r}: give one number of pixels, 32 to 4096")
        self.image = ImageSpec(
            height=side,
            width=side,
            channels=1,
            mean=(0.5,),
            std=(1 / 2048,),
            equalize=equalize,
            views=views,
            fit="crop",
        )
        self.net = _network(name, densenet, dict(model_args or {}))
        with torch.device("meta"):
            probe = _network(name, densenet, dict(model_args or {}))
            _, D, rows, columns = probe.eval()(torch.zeros(1, 1, side, side, device="meta")).shape
        self.features = FeatureSpec(dim=D, pooled=D, grid=(views, rows, columns))
        if pretrained is not False and not on_meta():
            _fill(self.net, name, _source(name, pretrained, str(facts["weights_url"])))

    def encode(self, images: Tensor) -> Features:
        """Encode images (n, 1, H, W)."""
        x = F.relu(self.net(images))  # (n, D, h, w)
        mask = torch.ones(len(x), x.shape[2] * x.shape[3], dtype=torch.bool, device=x.device)
        return Features(x.flatten(2).transpose(1, 2), x.mean((2, 3)), mask)  # (n, D, h, w) -> (n, N, D)


def _library(name: str) -> tuple[Mapping[str, Any], Any]:
    """Return what torchxrayvision says of the weights `name`, and its class DenseNet. Raises OptionError."""
    with warnings.catch_warnings():  # it silences all warnings of the process when it is imported
        import torchxrayvision

        urls, densenet = torchxrayvision.models.model_urls, torchxrayvision.models.DenseNet
    names = [key for key in urls if key.startswith(("densenet", "resnet"))]
    if name not in names:
        raise OptionError(f"torchxrayvision has no network {name!r}; {did_you_mean(name, names)}")
    return urls[name], densenet


def _network(name: str, densenet: Any, model_args: dict[str, Any]) -> nn.Module:
    """Return the layers before the classifier: images (n, 1, H, W) -> map (n, D, h, w)."""
    if name.startswith("densenet"):
        try:
            features: nn.Module = densenet(**model_args).features
        except TypeError as e:
            raise OptionError(f"torchxrayvision's DenseNet: {e}") from e
        return features
    from torchvision.models import resnet50, resnet101

    if model_args:
        raise OptionError(f"{name} takes no model_args, got {model_args}")
    net = (resnet101 if name.startswith("resnet101") else resnet50)(weights=None)
    net.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
    parts = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    return nn.Sequential(OrderedDict((part, getattr(net, part)) for part in parts))


def _source(name: str, pretrained: bool | str, url: str) -> Path:
    """Return the file of weights. Raises OptionError if there is none."""
    if isinstance(pretrained, str):
        path = Path(pretrained).expanduser()
        if not path.is_file():
            raise OptionError(f"pretrained={pretrained!r}: there is no such file; give false, true, or a path")
        return path
    path = FOLDER.expanduser() / url.rpartition("/")[2]
    if not path.is_file():
        raise OptionError(
            f"pretrained=true: the weights of xrv/{name} are not on this machine ({path}); nothing is downloaded here: "
            f"fetch them with torchxrayvision.models.get_model({name!r}), or give the path of the file, or false"
        )
    return path


def _fill(net: nn.Module, name: str, path: Path) -> None:
    """Copy the weights of a file into the network. Raises OptionError for a file that does not fit."""
    state = read_state(path) if path.suffix == ".safetensors" else _state_of(path)
    start = "features." if name.startswith("densenet") else "model."
    state = {key.removeprefix(start): value for key, value in state.items()}
    for key, value in net.state_dict().items():
        if key not in state or state[key].shape != value.shape:
            got = f"is {tuple(state[key].shape)}, not {tuple(value.shape)}" if key in state else "is missing"
            raise OptionError(f"pretrained={str(path)!r} does not fit xrv/{name}: {key} {got}")
    net.load_state_dict({key: state[key] for key in net.state_dict()})


def _state_of(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a torch file: of a state dict, or of a pickled network of torchxrayvision, as data."""
    from torchxrayvision import models

    layers = (nn.Sequential, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.AvgPool2d, nn.Linear)
    own = (models.DenseNet, models._DenseBlock, models._DenseLayer, models._Transition)
    with torch.serialization.safe_globals([*layers, *own, set]):
        content = read_torch_file(path, OptionError, f"pretrained={str(path)!r}", "only networks of torchxrayvision")
    if isinstance(content, nn.Module):
        content = {k: v for k, v in _tensors(content, "")}
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise OptionError(f"pretrained={str(path)!r} holds no network of torchxrayvision and no state dict")
    return content


def _tensors(module: nn.Module, prefix: str) -> list[tuple[str, Tensor]]:
    """Return parameters and buffers of a module by name; an old file lacks what `state_dict` asks for."""
    own = {**module._parameters, **module._buffers}
    found = [(prefix + name, value.detach()) for name, value in own.items() if value is not None]
    for name, child in module._modules.items():
        found += _tensors(child, f"{prefix}{name}.") if child is not None else []
    return found
