"""A model is a folder: how to build it, its weights, its words, its tags, and a card for people.

    config.json         names and options of the parts, image and text recipe, plugin versions, format number
    model.safetensors   weights; nothing of ours in its header, whose order is random: the same weights, the same bytes
    vocabulary.json     words by id
    tags.json           tags by id
    card.md             what it is, for a reader
    (others)            files that a part of the model keeps: the texts of a retriever in index/, thresholds.json

`Snapshot` is this folder as a value. Nothing here knows a model or a part. Nothing in a folder is trusted: no pickle,
no code; header and shapes are compared with the config before any tensor is read.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import torch
from safetensors.torch import load_file, save_file

from ..errors import CheckpointError
from ..files.digests import sha256_file
from ..files.json_files import read_json, write_json
from ..registry import did_you_mean, known_fields
from ..text.spec import SPECIAL, TextSpec

FORMAT = 1
MAX_HEADER = 64 * 2**20  # bytes; read no further into a file that claims more
CONFIG, WEIGHTS, WORDS, TAGS, CARD = "config.json", "model.safetensors", "vocabulary.json", "tags.json", "card.md"
KEYS = {
    "format",
    "reportgen",
    "encoder",
    "decoder",
    "retriever",
    "image",
    "text",
    "findings",
    "positives",
    "vocabulary_sha256",
}

M = TypeVar("M", bound=torch.nn.Module)


@dataclass(frozen=True)
class Snapshot:
    """A model's folder as a value."""

    config: Mapping[str, Any]  # as config.json has it
    words: tuple[str, ...]  # V entries, the special ones first
    tags: tuple[str, ...]  # K
    tensors: Mapping[str, torch.Tensor]
    files: Mapping[str, bytes] = field(default_factory=dict)  # further files by name: the card

    @cached_property
    def text(self) -> TextSpec:
        """How reports become words. Raises CheckpointError for an option that is not known."""
        return TextSpec(**known_fields(TextSpec, self.config["text"], f"{CONFIG}: text", CheckpointError))


def write_snapshot(snapshot: Snapshot, folder: Path) -> None:
    """Write the files of a snapshot into a folder that is there. The same snapshot gives the same bytes."""
    save_file(dict(snapshot.tensors), folder / WEIGHTS)
    write_json(folder / WORDS, list(snapshot.words))
    write_json(folder / TAGS, list(snapshot.tags))
    write_json(folder / CONFIG, dict(snapshot.config))
    for name, content in snapshot.files.items():
        (folder / name).write_bytes(content)


def read_snapshot(folder: Path) -> Snapshot:
    """Read config, words and tags of a folder; its tensors are read when they are used. Raises CheckpointError."""
    config = read_config(folder)
    words, tags = _names(folder / WORDS), _names(folder / TAGS)
    if words_digest(words) != config["vocabulary_sha256"]:
        raise CheckpointError(
            f"{folder / WORDS} is not the vocabulary this model was trained with; pull or copy the folder anew"
        )
    return Snapshot(config, words, tags, StoredTensors(folder / WEIGHTS))


class StoredTensors(Mapping[str, torch.Tensor]):
    """The tensors of a safetensors file, mapped from it when the first of them is used."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _tensors(self) -> dict[str, torch.Tensor]:
        _check_header(self.path)
        return load_file(self.path)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def digest(folder: Path) -> str:
    """Return the sha256 of a model's folder: of its weights and of its config."""
    both = sha256_file(folder / WEIGHTS) + sha256_file(folder / CONFIG)
    return hashlib.sha256(both.encode()).hexdigest()


def words_digest(words: tuple[str, ...]) -> str:
    """Return the sha256 of a vocabulary."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def unwrap(module: M) -> M:
    """Return the module inside what torch.compile, DataParallel or DistributedDataParallel put around it."""
    while (inner := _wrapped(module)) is not None:
        module = inner
    return module


def _wrapped(module: torch.nn.Module) -> Any:
    if isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        return module.module
    return module._modules.get("_orig_mod")  # as torch.compile names it


def plain_tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the state on the CPU under the names it has without wrappers, as safetensors wants it.

    Each tensor has memory of its own in the plain layout. Wrappers are those of `unwrap`, around any module inside.
    """
    model = unwrap(model)
    wrappers = [name for name, module in model.named_modules() if _wrapped(module) is not None]
    seen: set[int] = set()
    tensors = {}
    for key, value in model.state_dict().items():
        tensor = value.detach().cpu().contiguous()
        name = _without_wrappers(key, wrappers)
        tensors[name] = tensor.clone() if tensor.untyped_storage().data_ptr() in seen else tensor
        seen.add(tensor.untyped_storage().data_ptr())
    return tensors


def _without_wrappers(name: str, wrappers: list[str]) -> str:
    """Return the name of a tensor without the step that each of these wrappers adds to it, the innermost first."""
    for wrapper in sorted(wrappers, key=len, reverse=True):
        if name.startswith(f"{wrapper}."):
            name = f"{wrapper}.{name[len(wrapper) + 1 :].partition('.')[2]}"
    return name


def read_config(folder: Path) -> dict[str, Any]:
    """Return the config of a folder, checked key by key. Raise CheckpointError."""
    path = folder / CONFIG
    config = read_json(path)
    if not isinstance(config, dict) or not isinstance(config.get("format"), int):
        raise CheckpointError(f"{path} is no config of reportgen: it has no format number")
    if config["format"] != FORMAT:
        newer = "; pip install --upgrade reportgen" if config["format"] > FORMAT else ""
        raise CheckpointError(
            f"{folder} is a checkpoint of format {config['format']}; this reportgen reads format {FORMAT}{newer}"
        )
    unknown = sorted(set(config) - KEYS)
    if unknown:
        raise CheckpointError(f"{path} has an unknown key {unknown[0]!r}; {did_you_mean(unknown[0], KEYS)}")
    missing = sorted(KEYS - set(config) - {"decoder", "retriever", "positives"})
    if missing or ("decoder" in config) == ("retriever" in config):
        raise CheckpointError(f"{path} lacks {missing[0] if missing else 'one of decoder, retriever'}")
    return config


def _names(path: Path) -> tuple[str, ...]:
    names = read_json(path)
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise CheckpointError(f"{path} is no list of names")
    if path.name == WORDS and tuple(names[: len(SPECIAL)]) != SPECIAL:
        raise CheckpointError(f"{path} does not begin with {', '.join(SPECIAL)}")
    return tuple(names)


def check_weights(path: Path, expected: Mapping[str, torch.Tensor]) -> None:
    """Compare names, shapes and kinds in the header of a file with what the config builds, without reading a tensor.

    Raises CheckpointError that names the first tensor that is missing, differs, or is not expected.
    """
    _check_header(path)
    try:
        with safetensors.safe_open(path, "pt") as file:
            found = {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()}  # noqa: SIM118 - no mapping
            kinds = {k: file.get_slice(k).get_dtype() for k in found}
    except (safetensors.SafetensorError, OSError) as e:
        raise CheckpointError(f"{path} is damaged: {e}") from e
    for name, tensor in expected.items():
        if name not in found:
            near = did_you_mean(name, list(found)[:20])
            raise CheckpointError(f"{path} lacks {name}, which its config asks for; {near}")
        if found[name] != tuple(tensor.shape):
            raise CheckpointError(
                f"{path}: {name} has shape {found[name]}, but config and vocabulary ask for {tuple(tensor.shape)}"
            )
        if kinds[name].startswith(("F", "BF")) != tensor.is_floating_point():
            raise CheckpointError(f"{path}: {name} is {kinds[name]}, but the config asks for {tensor.dtype}")
    extra = sorted(set(found) - set(expected))
    if extra:
        raise CheckpointError(f"{path} has {extra[0]}, which its config does not ask for")


def _check_header(path: Path) -> None:
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as e:
        raise CheckpointError(f"cannot read {path}: {e.strerror}") from e
    length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
    if length > min(MAX_HEADER, size - 8):
        raise CheckpointError(f"{path} is no safetensors file: its header claims {length} of {size} bytes")
