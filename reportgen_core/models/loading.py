"""A model is a folder: how to build it, its weights, its words, its tags, and a card for people.

    config.json         names and options of the parts, image and text recipe, plugin versions, format number
    model.safetensors   weights; nothing of ours in its header, whose order is random: the same weights, the same bytes
    vocabulary.json     words by id
    tags.json           tags by id
    card.md             what it is, for a reader
    thresholds.json     from which probability on a finding is present, where that was chosen
    index/              the texts of a retriever (reportgen_core.retrieval.index)

Nothing in a folder is trusted: no pickle, no code, header and shapes are checked against the config before any tensor
is read. A folder appears whole or not at all: it is written beside and renamed, and what was there survives a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ..discovery import load as load_plugins
from ..errors import CheckpointError, ReportgenError, UnknownName
from ..files.atomic import recover, replacing
from ..files.json_files import _bounded, write_json
from ..registries import decoders, encoders, retrievers
from ..registry import Registry, nearest
from ..retrieval.abilities import KeepsTexts
from ..retrieval.index import FOLDER as TEXTS
from ..retrieval.index import TextIndex, check_model, copy_index, open_index, write_index
from ..text.spec import SPECIAL, TextSpec, Vocabulary
from ..types import ImageSpec
from ..version import __version__
from .composition import build, target_spec, untrained
from .format import (
    CARD,
    CONFIG,
    FORMAT,
    TAGS,
    WEIGHTS,
    WORDS,
    _digest,
    _names,
    check_weights,
    digest,
    plain_tensors,
    read_config,
)
from .model import Model

BESIDE = ("thresholds.json",)  # what was chosen for these weights; training drops it


def save(model: Model, folder: Path, *, card: str = "") -> Path:
    """Write the folder; one that is there is replaced once the new one is whole. Raises CheckpointError."""
    with replacing(folder, holds=CONFIG) as beside:
        save_file(plain_tensors(model), beside / WEIGHTS)
        write_json(beside / WORDS, list(model.targets.words))
        write_json(beside / TAGS, list(model.tags))
        write_json(beside / CONFIG, describe(model))
        for name, body in model.beside.items():
            (beside / name).write_bytes(body)
        (beside / CARD).write_text(card or default_card(model), encoding="utf-8")
        if isinstance(model.head, KeepsTexts):
            _keep_texts(model.head, beside)
    return folder


def _keep_texts(head: KeepsTexts, folder: Path) -> None:
    """Write the texts of a retriever, with the vectors that its weights give them."""
    kept = head.kept()
    if isinstance(kept, TextIndex):
        copy_index(kept, folder / TEXTS, digest(folder))
    elif kept is not None:
        rows, vectors = kept
        numbers = vectors.detach().float().cpu().numpy()
        write_index(folder / TEXTS, rows, numbers, model=digest(folder), sentences=head.text_encoder())


def describe(model: Model) -> dict[str, Any]:
    """The config of a model."""
    kind, registry = ("decoder", decoders) if model.decoder is not None else ("retriever", retrievers)
    return {
        "format": FORMAT,
        "reportgen": __version__,
        "encoder": _recipe(encoders, model.encoder.recipe),
        kind: _recipe(registry, model.head.recipe),
        "image": asdict(model.encoder.image),
        "text": asdict(model.text),
        "findings": list(model.findings),
        "positives": list(model.targets.positives),
        "vocabulary_sha256": _digest(model.targets.words),
    }


def _recipe(registry: Registry[Any], recipe: Mapping[str, Any]) -> dict[str, Any]:
    distribution = registry.owner(recipe["name"]).partition(":")[0]
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:  # registered by the running program itself
        version = ""
    return {"name": recipe["name"], "options": recipe["options"], "plugin": distribution, "version": version}


def default_card(model: Model) -> str:
    """A card that says what is known without a training run."""
    head = "decoder" if model.decoder is not None else "retriever"
    return (
        f"# {model.encoder.recipe['name']} × {model.head.recipe['name']}\n\n"
        f"A reportgen model: encoder `{model.encoder.recipe['name']}`, {head} `{model.head.recipe['name']}`, "
        f"{len(model.vocabulary)} words, {len(model.tags)} tags. For research; not for clinical use.\n"
    )


def find(name_or_folder: str | Path) -> Path:
    """The folder of a model: itself, the best of a training run, or what a plugin's `find_model` answers.

    Raises UnknownName, and CheckpointError for a folder that is no model.
    """
    given = Path(name_or_folder)
    for folder in (given, given / "best"):
        recover(folder)
        if (folder / CONFIG).is_file():
            return folder
    folder = given
    if folder.is_dir():
        raise CheckpointError(f"{folder} is no model: it has no {CONFIG}; rg compose --out {folder} makes one")
    hook = load_plugins()[0].hook
    found: Path | None = hook.find_model(name=str(name_or_folder))
    if found is None:
        known = [n for names in hook.known_models() for n in names]
        raise UnknownName(f"no model or model folder {str(name_or_folder)!r}; {nearest(str(name_or_folder), known)}")
    return found


def load(name_or_folder: str | Path) -> Model:
    """Build the model of a folder, or of a name that the zoo knows, and fill in its weights, in eval mode.

    Raises UnknownName, or CheckpointError saying which file does not fit what.
    """
    folder = find(name_or_folder)
    config = read_config(folder)
    words, tags = _names(folder / WORDS), _names(folder / TAGS)
    if _digest(words) != config["vocabulary_sha256"]:
        raise CheckpointError(
            f"{folder / WORDS} is not the vocabulary this model was trained with; pull or copy the folder anew"
        )
    try:
        _check_installed(folder, config)
        with torch.device("meta"):
            skeleton = _build(folder, config, words, tags)
        _check_image(folder, config, skeleton)
        check_weights(folder / WEIGHTS, skeleton.state_dict())
        model = _fill(skeleton, folder, config, words, tags).eval()
        if isinstance(model.head, KeepsTexts) and (folder / TEXTS).is_dir():
            model.head.hold(_texts(folder))
        return model
    except ReportgenError:
        raise
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RuntimeError) as e:
        # what a part raises for options that it cannot take
        raise CheckpointError(f"{folder / CONFIG} does not describe a model that can be built: {e}") from e


def _texts(folder: Path) -> TextIndex:
    """The index inside a model's folder. Raises CheckpointError where it is another model's."""
    index = open_index(folder / TEXTS)
    check_model(index, digest(folder), {})
    return index


def _check_installed(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise CheckpointError naming the package that a part came from, where it is not installed."""
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


def _build(folder: Path, config: Mapping[str, Any], words: tuple[str, ...], tags: tuple[str, ...]) -> Model:
    text = _dataclass(TextSpec, config["text"], folder)
    encoder, head = config["encoder"], config.get("decoder") or config["retriever"]
    vocabulary = Vocabulary(words[len(SPECIAL) :])
    targets = target_spec(text, vocabulary, tags, config["findings"], config.get("positives", ()))
    options, others = untrained(encoder["options"]), untrained(head["options"])
    decoder, retriever = (config[k]["name"] if k in config else None for k in ("decoder", "retriever"))
    model = build(encoder["name"], decoder, retriever, options, others, text, targets)
    model.beside = {name: _bounded(folder / name) for name in BESIDE if (folder / name).is_file()}
    for part, recipe in ((model.encoder, encoder), (model.head, head)):
        object.__setattr__(part, "recipe", {"name": recipe["name"], "options": recipe["options"]})
    return model


def _dataclass(kind: type[Any], values: Mapping[str, Any], folder: Path) -> Any:
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise CheckpointError(
            f"{folder / CONFIG} has an unknown {kind.__name__} option {unknown[0]!r}; {nearest(unknown[0], known)}"
        )
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _check_image(folder: Path, config: Mapping[str, Any], model: Model) -> None:
    """The image recipe that was saved must be the one the encoder has now: other pixels, other reports."""
    saved = _dataclass(ImageSpec, config["image"], folder)
    if saved != model.encoder.image:
        differ = [f.name for f in fields(ImageSpec) if getattr(saved, f.name) != getattr(model.encoder.image, f.name)]
        raise CheckpointError(
            f"{folder} was trained on images with {differ[0]}={getattr(saved, differ[0])}, but its encoder "
            f"now takes {differ[0]}={getattr(model.encoder.image, differ[0])}; install the plugin version in {CONFIG}"
        )


def _fill(
    skeleton: Model, folder: Path, config: Mapping[str, Any], words: tuple[str, ...], tags: tuple[str, ...]
) -> Model:
    """Weights into the skeleton, mapped from the file. A part with tensors that no file keeps is built anew."""
    weights = load_file(folder / WEIGHTS)
    skeleton.load_state_dict(weights, assign=True)
    if not any(t.is_meta for t in (*skeleton.parameters(), *skeleton.buffers())):
        return skeleton
    model = _build(folder, config, words, tags)
    model.load_state_dict(weights, assign=True)
    return model
