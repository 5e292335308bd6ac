"""The files of a model's folder: their names, their keys, and the checks of config, words and weights."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch

from ..errors import CheckpointError
from ..files.digests import sha256_file
from ..files.json_files import read_json
from ..registry import nearest
from ..text.spec import SPECIAL

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


def digest(folder: Path) -> str:
    """The sha256 of a model: of its weights and of its config."""
    both = sha256_file(folder / WEIGHTS) + sha256_file(folder / CONFIG)
    return hashlib.sha256(both.encode()).hexdigest()


def _digest(words: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def plain_tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The state on the CPU, each tensor with memory of its own in the plain layout, as safetensors wants them."""
    seen: set[int] = set()
    out = {}
    for name, value in model.state_dict().items():
        tensor = value.detach().cpu().contiguous()
        out[name] = tensor.clone() if tensor.untyped_storage().data_ptr() in seen else tensor
        seen.add(tensor.untyped_storage().data_ptr())
    return out


def read_config(folder: Path) -> dict[str, Any]:
    """The config of a folder, checked key by key. Raises CheckpointError."""
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
        raise CheckpointError(f"{path} has an unknown key {unknown[0]!r}; {nearest(unknown[0], KEYS)}")
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
    """Compare names, shapes and kinds in the file's header with what the config builds. Reads no tensor."""
    _check_header(path)
    try:
        with safetensors.safe_open(path, "pt") as file:
            found = {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()}  # noqa: SIM118 - no mapping
            kinds = {k: file.get_slice(k).get_dtype() for k in found}
    except (safetensors.SafetensorError, OSError) as e:
        raise CheckpointError(f"{path} is damaged: {e}") from e
    for name, tensor in expected.items():
        if name not in found:
            raise CheckpointError(f"{path} lacks {name}, which its config asks for; {nearest(name, list(found)[:20])}")
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
