"""Find a model by name or folder, load it, and save it.

A folder is written whole or not at all: it is written under another name and then renamed, and an older folder
survives a failure. A part with files of its own (`KeepsFiles`) reads and writes them itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from ..discovery import load_plugins
from ..errors import CheckpointError, ReportgenError, UnknownName
from ..files.atomic import recover
from ..interfaces import KeepsFiles
from ..registries import decoders, encoders, retrievers
from ..registry import did_you_mean, known_fields
from ..types import ImageSpec
from .format import CONFIG, WEIGHTS, Snapshot, check_weights, digest, read_snapshot, unwrap
from .model import Model, from_snapshot


def save(model: Model, folder: Path, *, card: str = "") -> Path:
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
    name, hook = str(name_or_folder), load_plugins()[0].hook
    local: Path | None = hook.find_model(name=name)
    if local is None:
        models = [n for names in hook.known_models() for n in names]
        raise UnknownName(f"no model or model folder {name!r}; {did_you_mean(name, models)}")
    return local


def load(name_or_folder: str | Path) -> Model:
    """Build the model of a folder, or of a name in the zoo, with its weights, in eval mode.

    Raises UnknownName, or CheckpointError that names the file that is wrong.
    """
    folder = find_model_folder(name_or_folder)
    snapshot = read_snapshot(folder)
    try:
        _check_installed(folder, snapshot.config)
        with torch.device("meta"):
            skeleton = from_snapshot(snapshot)
        _check_image(folder, snapshot.config, skeleton)
        check_weights(folder / WEIGHTS, skeleton.state_dict())
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
    """Raise CheckpointError that names the package of a part if it is not installed."""
    for kind, registry in (("encoder", encoders), ("decoder", decoders), ("retriever", retrievers)):
        part = config.get(kind)
        if part is None:
            continue
        try:
            registry[part["name"]]
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
