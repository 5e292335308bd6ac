"""Read the weights that an encoder starts from: a local file, or timm's own weights from the hub's cache or the hub.

A file is safetensors or a PyTorch state dict, which is read with `weights_only=True`. It must have every tensor of the
timm model under timm's names, except the classifier. Files in the format in which a model was first published pass
through timm's own converter for that model. One quick request to the hub comes before timm tries, and tries again.
"""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import constants, try_to_load_from_cache
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import model_entrypoint
from torch import Tensor, nn

from reportgen_core import OptionError
from reportgen_core.files.torch_files import read_torch_file

State = dict[str, Tensor]


def on_meta() -> bool:
    """Return whether new tensors are made on the meta device, without memory, as when a composition is checked."""
    return torch.empty(0).device.type == "meta"


def first_weights(name: str, pretrained: bool | str, model_args: Mapping[str, Any]) -> State | None:
    """Return the state dict that the timm model `name` starts from, or None for random weights. Raises OptionError."""
    if not isinstance(pretrained, bool | str):
        raise OptionError(f"pretrained={pretrained!r}: give false, true, or the path of a file with weights")
    if pretrained is False:
        return None
    if isinstance(pretrained, str):
        state, source = read_state(Path(pretrained).expanduser()), pretrained
    else:
        state, source = _hub_state(name), f"the hub's weights of {name}"
    _check(state, source, name, model_args)
    return state


def check_source(pretrained: bool | str) -> None:
    """Raise OptionError if `pretrained` names a file that does not exist."""
    if isinstance(pretrained, str) and not Path(pretrained).expanduser().is_file():
        raise OptionError(f"pretrained={pretrained!r}: there is no such file; give false, true, or the path of a file")


def read_state(path: Path) -> State:
    """Read a state dict from a .safetensors or PyTorch file. Raises OptionError naming the file."""
    check_source(str(path))
    what, hint = f"pretrained={str(path)!r}", "weights are read from .safetensors or from a plain state dict"
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as e:
            raise OptionError(f"{what}: {str(e).splitlines()[0]}; {hint}") from e
    state = read_torch_file(path, OptionError, what, hint)
    for wrapper in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise OptionError(f"pretrained={str(path)!r}: the file holds no state dict, a mapping from names to tensors")
    return dict(state)


def _hub_state(name: str) -> State:
    """Return timm's own weights of `name`, from the hub's cache or else from the hub. Raises OptionError."""
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.has_weights:
        raise OptionError(f"pretrained=true: timm has no weights for {name!r}; give false or the path of a file")
    repo = f"{cfg.hf_hub_id}{name}" if (cfg.hf_hub_id or "").endswith("/") else cfg.hf_hub_id
    if repo and not cfg.custom_load:
        cached = try_to_load_from_cache(repo.partition("@")[0], cfg.hf_hub_filename or "model.safetensors")
        if isinstance(cached, str):
            return read_state(Path(cached))
    if repo and not _reachable():
        raise OptionError(_three_ways(name, f"no answer from {constants.ENDPOINT}"))
    try:
        with torch.device("cpu"):
            model = timm.create_model(name, pretrained=True)
    except (OSError, RuntimeError, ValueError) as e:
        raise OptionError(_three_ways(name, str(e).splitlines()[0])) from e
    return dict(model.state_dict())


def _reachable() -> bool:
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        with urllib.request.urlopen(urllib.request.Request(constants.ENDPOINT, method="HEAD"), timeout=10):
            return True
    except urllib.error.HTTPError:
        return True  # an error is an answer, too
    except OSError:
        return False


def _three_ways(name: str, reason: str) -> str:
    return (
        f"pretrained=true: cannot fetch the weights of {name!r} ({reason}); go on with pretrained=false, "
        "or pretrained=/path/to/file.safetensors, or fill the hub's cache on another machine, copy it here, "
        f"and set HF_HOME to it (now {constants.HF_HOME}) with HF_HUB_OFFLINE=1"
    )


def _check(state: State, source: str, name: str, model_args: Mapping[str, Any]) -> None:
    """Raise OptionError unless `state` has every tensor that the model needs, in the right shape."""
    with torch.device("meta"):
        model = timm.create_model(name, **model_args)
    problem = _misfit(state, model)
    if problem:
        module = sys.modules[model_entrypoint(name.partition(".")[0]).__module__]
        for convert in ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained"):
            if hasattr(module, convert) and not _misfit(_converted(getattr(module, convert), state, model), model):
                return
        raise OptionError(f"pretrained={source!r} does not fit {name!r}: {problem}")


def _converted(convert: Any, state: State, model: nn.Module) -> State:
    try:
        return dict(convert(dict(state), model))
    except (TypeError, KeyError, RuntimeError, ValueError):  # not the format that this converter is for
        return state


def _misfit(state: State, model: nn.Module) -> str:
    """Return what is wrong with `state`, or "" if it fits. The classifier and the counters of batches may differ."""
    heads = vars(model)["pretrained_cfg"].get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    wanted = {
        key: tuple(value.shape)
        for key, value in model.state_dict().items()
        if not key.startswith(tuple(f"{head}." for head in heads)) and not key.endswith("num_batches_tracked")
    }
    missing = [key for key in wanted if key not in state]
    if missing:
        return f"{len(missing)} of {len(wanted)} tensors are missing, first {missing[0]!r}"
    for key, shape in wanted.items():
        if tuple(state[key].shape) != shape:
            return f"{key!r} is {tuple(state[key].shape)} and should be {shape}"
    return ""
