"""The folder of a model: its config, weights, words and tags, and a card for people.

    config.json         names and options of the parts, image and text recipe, plugin versions, format number
    model.safetensors   weights; its header has no metadata, so that the same weights give the same bytes
    vocabulary.json     words by id
    tags.json           tags by id
    card.md             a description for a reader
    domain.safetensors  the space of the training images (domain.py); a model may be without it
    tokenizer.json …    the files of a text recipe that has some, named in config.json with the sha256 of each
    (others)            a part's own files: the texts of a retriever in index/, thresholds.json

A `Snapshot` is this folder as a value. Nothing in this module knows a model or a part. Nothing in a folder is trusted:
no pickle and no code is read, and header and shapes are compared with the config before any tensor is read.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import torch
from safetensors.torch import load_file, save_file

from ..errors import CheckpointError, quoted
from ..files.digests import sha256_file
from ..files.json_files import read_bounded, read_json, write_json
from ..registry import did_you_mean
from ..text.spec import SPECIAL, TextSpec, recipe_files
from .domain import MAX_BYTES

FORMAT = 1
MAX_HEADER = 64 * 2**20  # bytes; a file whose header claims to be longer is refused
CONFIG, WEIGHTS, WORDS, TAGS, CARD = "config.json", "model.safetensors", "vocabulary.json", "tags.json", "card.md"
DOMAIN = "domain.safetensors"
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
PARTS = {"encoder", "decoder", "retriever"}
PART_KEYS: dict[str, type] = {"name": str, "options": dict, "plugin": str, "version": str}

M = TypeVar("M", bound=torch.nn.Module)


@dataclass(frozen=True)
class Snapshot:
    """A model's folder as a value."""

    config: Mapping[str, Any]  # the contents of config.json
    words: tuple[str, ...]  # V entries, the special ones first
    tags: tuple[str, ...]  # K
    tensors: Mapping[str, torch.Tensor]
    files: Mapping[str, bytes] = field(default_factory=dict)  # further files by name: the card, the domain

    @cached_property
    def text(self) -> TextSpec:
        """Return how reports become words. Raises CheckpointError for an unknown option."""
        values = self.config["text"]
        files = {name: self.files[name] for name in values.get("files", {})}
        return TextSpec.from_json(values, files, what=f"{CONFIG}: text", error=CheckpointError)


def write_snapshot(snapshot: Snapshot, folder: Path) -> None:
    """Write the files of a snapshot into an existing folder. The same snapshot gives the same bytes."""
    save_file(dict(snapshot.tensors), folder / WEIGHTS)
    write_json(folder / WORDS, list(snapshot.words))
    write_json(folder / TAGS, list(snapshot.tags))
    write_json(folder / CONFIG, dict(snapshot.config))
    for name, content in snapshot.files.items():
        (folder / name).write_bytes(content)


def read_snapshot(folder: Path) -> Snapshot:
    """Read config, words, tags and domain of a folder; tensors are read at their first use. Raises CheckpointError."""
    config = read_config(folder)
    words, tags = _names(folder / WORDS), _names(folder / TAGS)
    if words_digest(words) != config["vocabulary_sha256"]:
        raise CheckpointError(
            f"{folder / WORDS} is not the vocabulary this model was trained with; pull or copy the folder anew"
        )
    files = _domain_file(folder / DOMAIN) | read_recipe_files(folder, config["text"])
    return Snapshot(config, words, tags, StoredTensors(folder / WEIGHTS), files)


def read_recipe_files(folder: Path, text: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the contents of the files that the text recipe has in a folder, by name; {} if it has none.

    `text` is the JSON of a TextSpec. Raises CheckpointError for a file that is not the one that was saved.
    """
    saved, name = text.get("files", {}), text.get("recipe", "plain")
    if not isinstance(saved, dict) or not isinstance(name, str):
        raise CheckpointError(f"{folder}: files of the text recipe {quoted(name)} are no object with a sha256 for each")
    if not saved:
        return {}
    contents = {}
    for file, sha256 in sorted(saved.items()):
        if file not in recipe_files(name):
            raise CheckpointError(f"{folder}: text recipe {name!r} has no file {quoted(file)}; copy the folder anew")
        contents[file] = read_bounded(folder / file)
        if hashlib.sha256(contents[file]).hexdigest() != sha256:
            raise CheckpointError(
                f"{folder / file} is not the file this model was trained with; pull or copy the folder anew"
            )
    return contents


def _domain_file(path: Path) -> dict[str, bytes]:
    """Return the file of the training images' space by its name; {} if the model has none."""
    try:
        if not path.is_file():
            return {}
        if path.stat().st_size > MAX_BYTES:
            raise CheckpointError(f"{path} has more than {MAX_BYTES:,} bytes; rg train writes a smaller one")
        return {DOMAIN: path.read_bytes()}
    except OSError as e:
        raise CheckpointError(f"cannot read {path}: {e.strerror}") from e


class StoredTensors(Mapping[str, torch.Tensor]):
    """The tensors of a safetensors file, mapped into memory at the first use of any of them."""

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
    """Return the sha256 of a model's folder: of its weights and of its config; without weights, of all its files."""
    if not (folder / WEIGHTS).is_file():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        lines = (f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    both = sha256_file(folder / WEIGHTS) + sha256_file(folder / CONFIG)
    return hashlib.sha256(both.encode()).hexdigest()


def words_digest(words: tuple[str, ...]) -> str:
    """Return the sha256 of a vocabulary."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def unwrap(module: M) -> M:
    """Return the module inside the wrappers of torch.compile, DataParallel and DistributedDataParallel."""
    while (inner := _wrapped(module)) is not None:
        module = inner
    return module


def _wrapped(module: torch.nn.Module) -> Any:
    if isinstance(module, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        return module.module
    return module._modules.get("_orig_mod")  # the name that torch.compile gives


def plain_tensors(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors of a model on the CPU, under their names without wrappers, as safetensors needs them.

    Each tensor has memory of its own in the plain layout. The wrappers of `unwrap` are removed around any module.
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
    """Return the name of a tensor without the component that each of these wrappers adds, the innermost first."""
    for wrapper in sorted(wrappers, key=len, reverse=True):
        if name.startswith(f"{wrapper}."):
            name = f"{wrapper}.{name[len(wrapper) + 1 :].partition('.')[2]}"
    return name


def read_config(folder: Path) -> dict[str, Any]:
    """Return the config of a folder, checked key by key. Raises CheckpointError."""
    path = folder / CONFIG
    config = read_json(path)
    if not isinstance(config, dict) or type(config.get("format")) is not int:
        raise CheckpointError(f"{path} is no config of reportgen: it has no format number")
    if config["format"] != FORMAT:
        newer = "; pip install --upgrade reportgen" if config["format"] > FORMAT else ""
        raise CheckpointError(
            f"{folder} is a checkpoint of format {config['format']}; this reportgen reads format {FORMAT}{newer}"
        )
    if isinstance(reporter := config.get("reporter"), dict):
        raise CheckpointError(
            f"{folder} is the reporter {quoted(str(reporter.get('name')))}, which has no encoder and decoder of ours: "
            "it writes reports (rg report, rg eval), and nothing here trains, indexes or annotates with it"
        )
    unknown = sorted(set(config) - KEYS)
    if unknown:
        raise CheckpointError(f"{path} has an unknown key {unknown[0]!r}; {did_you_mean(unknown[0], KEYS)}")
    missing = sorted(KEYS - set(config) - {"decoder", "retriever", "positives"})
    if missing or ("decoder" in config) == ("retriever" in config):
        raise CheckpointError(f"{path} lacks {missing[0] if missing else 'one of decoder, retriever'}")
    for kind in PARTS & set(config):
        _check_part(config[kind], f"{path}: {kind}")
    for section in ("image", "text"):
        if not isinstance(config[section], dict):
            raise CheckpointError(f"{path}: {section} is no object with settings")
    _check_names(config["findings"], f"{path}: findings")
    return config


def _check_part(part: object, where: str) -> None:
    """Raise CheckpointError unless this is the section of an encoder, decoder or retriever."""
    if not isinstance(part, dict):
        raise CheckpointError(f"{where} is no object with name and options")
    for key, value in part.items():
        if key not in PART_KEYS:
            raise CheckpointError(f"{where} has an unknown key {quoted(key)}; {did_you_mean(key[:60], PART_KEYS)}")
        if not isinstance(value, PART_KEYS[key]):
            raise CheckpointError(f"{where}: {key} is no {'object' if key == 'options' else 'text'}")
    if missing := [key for key in ("name", "options") if key not in part]:
        raise CheckpointError(f"{where} lacks {missing[0]}")


def _check_names(names: object, where: str) -> None:
    """Raise CheckpointError unless this is a list of different texts: the id of a name is its place."""
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise CheckpointError(f"{where} is no list of names")
    if len(set(names)) < len(names):
        doubled = next(name for name, count in Counter(names).items() if count > 1)
        raise CheckpointError(f"{where}: {quoted(doubled)} occurs twice; each name has one place")


def _names(path: Path) -> tuple[str, ...]:
    names = read_json(path)
    _check_names(names, str(path))
    if path.name == WORDS and tuple(names[: len(SPECIAL)]) != SPECIAL:
        raise CheckpointError(f"{path} does not begin with {', '.join(SPECIAL)}")
    return tuple(names)


def check_weights(path: Path, expected: Mapping[str, torch.Tensor]) -> None:
    """Compare names, shapes and types in the header of a file with the tensors that the config builds.

    No tensor is read. Raises CheckpointError that names the first tensor that is missing, differs, or is not expected.
    """
    _check_header(path)
    try:
        with safetensors.safe_open(path, "pt") as file:
            shapes = {k: tuple(file.get_slice(k).get_shape()) for k in file.keys()}  # noqa: SIM118 - no mapping
            dtypes = {k: file.get_slice(k).get_dtype() for k in shapes}
    except (safetensors.SafetensorError, OSError) as e:
        raise CheckpointError(f"{path} is damaged: {e}") from e
    for name, tensor in expected.items():
        if name not in shapes:
            near = did_you_mean(name, list(shapes)[:20])
            raise CheckpointError(f"{path} lacks {name}, which its config asks for; {near}")
        if shapes[name] != tuple(tensor.shape):
            raise CheckpointError(
                f"{path}: {name} has shape {shapes[name]}, but config and vocabulary ask for {tuple(tensor.shape)}"
            )
        if dtypes[name].startswith(("F", "BF")) != tensor.is_floating_point():
            raise CheckpointError(f"{path}: {name} is {dtypes[name]}, but the config asks for {tensor.dtype}")
    extra = sorted(set(shapes) - set(expected))
    if extra:
        raise CheckpointError(f"{path} has {extra[0]}, which its config does not ask for")


def check_finite(tensors: Mapping[str, torch.Tensor], where: str | Path) -> None:
    """Raise CheckpointError that names the first tensor with NaN or inf, which make noise or an error of a report.

    All tensors are read.
    """
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() and not tensor.is_complex():
            continue
        values = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        values = values.float() if values.dtype.itemsize == 1 else values  # 8-bit floats have no minimum
        if values.numel() and not values.sum().isfinite() and not _all_finite(values):
            count = int((~values.isfinite()).sum())
            raise CheckpointError(
                f"{where}: {name} has {count:,} of {values.numel():,} values that are NaN or infinite; take a "
                "checkpoint from before training diverged, or copy the file anew"
            )


def _all_finite(values: torch.Tensor) -> bool:
    """Return whether no value is NaN or infinite. The sum of finite values may be infinite all the same."""
    return bool(torch.stack(torch.aminmax(values)).isfinite().all())  # NaN passes through


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
