"""Find a model by name or folder, load it, and save it.

A folder is written whole or not at all: it is written under another name and then renamed, and an older folder
survives a failure. A part with files of its own (`KeepsFiles`) reads and writes them itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from ..discovery import implementations, names, run
from ..errors import CheckpointError, PluginError, ReportgenError, UnknownName, quoted
from ..files.atomic import recover
from ..registries import decoders, encoders, retrievers
from ..registry import did_you_mean, match_name
from ..text.arguments import known_fields
from ..text.guesses import elsewhere
from ..types import ImageSpec
from .abilities import KeepsFiles
from .computing.shapes import shapes_only
from .format import CONFIG, WEIGHTS, Snapshot, check_finite, check_weights, digest, read_snapshot, unwrap
from .model import Model, from_snapshot
from .owners import owned_name
from .reporters.folder import is_reporter, read_reporter
from .reporters.reporter import Reporter


def save(model: Model, folder: str | Path, *, card: str = "") -> Path:
    """Write a model as a folder; an older folder is replaced once the new one is whole. Raises CheckpointError.

    A model inside torch.compile, DataParallel or DistributedDataParallel is saved as the model it is.
    """
    return unwrap(model).save(folder, card=card)


def find_model_folder(name_or_folder: str | Path) -> Path:
    """Return the folder of a model: the folder itself, the best model of a training run, or a plugin's `find_model`.

    Raises UnknownName, and CheckpointError for a folder that is no model.
    """
    path = Path(name_or_folder)
    for folder in (path, path / "best"):
        recover(folder)
        if (folder / CONFIG).is_file():
            return folder
    if path.is_dir():
        raise CheckpointError(f"{path} is no model: it has no {CONFIG}; rg compose --out {path} makes one")
    name = str(name_or_folder)
    local = _ask_plugins(name)
    if local is None and path.name == name and (meant := match_name(name, names("known_models"))):
        local = _ask_plugins(meant)
    if local is None and (part := elsewhere(name, "model")):
        raise UnknownName(f"no model or model folder {name!r}; {part}")
    if local is None and path.name != name:  # a path is no name of a model: no manifest is read
        raise UnknownName(f"no model or model folder {name!r}: there is no such folder")
    if local is None:
        new = "; a new model is rg train --encoder E --decoder D" if "+" in name else ""
        raise UnknownName(f"no model or model folder {name!r}{new}; {did_you_mean(name, names('known_models'))}")
    return local


def _ask_plugins(name: str) -> Path | None:
    """Return the folder of a model from the first plugin that has it, ours first; None if no plugin has it.

    Raises PluginError if no plugin has it and another package's plugin failed.
    """
    failed = []
    for plugin, find_model in implementations("find_model", name=name):
        if plugin.distribution == "reportgen":
            folder = find_model()  # its errors are for the user
        else:
            plugin.problem, before = "", plugin.problem
            folder = run(plugin, "find_model", partial(_folder, find_model))
            failed += [f"{plugin.id}: {plugin.problem}"] if plugin.problem else []
            plugin.problem = plugin.problem or before
        if folder is not None:
            return Path(folder)
    if failed:
        raise PluginError(f"no model or model folder {name!r}; a plugin failed to look for it: {failed[0]}")
    return None


def _folder(find_model: Callable[[], Any]) -> Path | None:
    """Call a hook `find_model`. Raises PluginError for a result that is no path."""
    folder = find_model()
    if folder is not None and not isinstance(folder, str | os.PathLike):
        raise PluginError(f"returned {quoted(folder)}, which is no folder")
    return None if folder is None else Path(folder)


def load(name_or_folder: str | Path) -> Reporter:
    """Build the model of a folder, or of a name in the zoo, with its weights, in eval mode.

    It is a `Model`, or a reporter of another kind. Raises UnknownName, or CheckpointError that names the file that is
    wrong.
    """
    folder = find_model_folder(name_or_folder)
    if not is_reporter(folder):
        return _load_parts(folder)
    reporter: Reporter = read_reporter(folder)
    return reporter


def load_model(name_or_folder: str | Path) -> Model:
    """Build a model of an encoder and a decoder or retriever, as `load` does. Raises CheckpointError for a reporter."""
    return _load_parts(find_model_folder(name_or_folder))


def _load_parts(folder: Path) -> Model:
    snapshot = read_snapshot(folder)
    try:
        _check_installed(folder, snapshot.config)
        with shapes_only():
            skeleton = from_snapshot(snapshot)
        _check_image(folder, snapshot.config, skeleton)
        check_weights(folder / WEIGHTS, skeleton.state_dict())
        check_finite(snapshot.tensors, folder / WEIGHTS)
        model = _fill(skeleton, snapshot).eval()
        if isinstance(model.head, KeepsFiles):
            model.head.read_files(folder, digest(folder))
        return model
    except ReportgenError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError) as e:
        # the errors of a part with options that it cannot take
        raise CheckpointError(f"{folder / CONFIG} does not describe a model that can be built: {e}") from e


def _fill(skeleton: Model, snapshot: Snapshot) -> Model:
    """Put the weights, mapped from the file, into the skeleton, and return the model.

    If tensors of the skeleton are not in the file, the model is built again, with memory for them.
    """
    weights = dict(snapshot.tensors)
    skeleton.load_state_dict(weights, assign=True)
    if not any(t.is_meta for t in (*skeleton.parameters(), *skeleton.buffers())):
        return skeleton
    model = from_snapshot(snapshot)
    model.load_state_dict(weights, assign=True)
    return model


def _check_installed(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise CheckpointError that names the package of a part if it is not installed, or another has its name."""
    for kind, registry in (("encoder", encoders), ("decoder", decoders), ("retriever", retrievers)):
        part = config.get(kind)
        if part is None:
            continue
        try:
            owned_name(registry, part)
        except UnknownName as e:
            package = part.get("plugin", "")
            fix = f"; it came with {package} {part.get('version', '')}: pip install {package}" if package else ""
            raise CheckpointError(f"{folder}: {e}{fix}") from e


def _check_image(folder: Path, config: Mapping[str, Any], model: Model) -> None:
    """Raise CheckpointError unless the saved image recipe is the encoder's present one: other pixels, other reports."""
    saved = ImageSpec(**known_fields(ImageSpec, config["image"], f"{folder / CONFIG}: image", CheckpointError))
    if saved != model.encoder.image:
        differ = [f.name for f in fields(ImageSpec) if getattr(saved, f.name) != getattr(model.encoder.image, f.name)]
        raise CheckpointError(
            f"{folder} was trained on images with {differ[0]}={getattr(saved, differ[0])}, but its encoder "
            f"now takes {differ[0]}={getattr(model.encoder.image, differ[0])}; install the plugin version in {CONFIG}"
        )
