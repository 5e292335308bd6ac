"""Copy the weights of legacy checkpoints into a model by a table of names. Only tensors are read; no code is run.

    timm, torchvision   an encoder's state dict; the encoder itself reads it, as with its option `pretrained`
    r2gen               {'state_dict': ...} of R2Gen (arXiv:2010.16056) or R2GenCMN (arXiv:2204.13258). Into a model of
                        the decoder r2gen, r2gen-cmn or transformer goes the whole model, see r2gen.py. Any other model
                        gets the encoder alone: `visual_extractor.model.N` is a torchvision ResNet without names.
    coattention-2018    {'extractor': ..., 'mlc': ..., 'sentence_model': ..., 'word_model': ...} of the public
                        re-implementation of Jing et al. (arXiv:1711.08195). Its layers carry batch norms and biases
                        that are not in the paper's equations, nor in our hier-lstm. Only the layers that both have are
                        copied. The result is a start for training and no copy of that model.

Such a file has words and tags as rows by id. Their names, a JSON list in the order of the ids, are in another file: the
rows are copied to the same names in the model. Without that file the rows are left out.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportgen_core.files.digests import sha256_file
from reportgen_core.files.torch_files import read_torch_file

from ..manifest.records import ZooError
from ..manifest.schema import from_json, parse
from ..reproduce.preset import load_preset
from .r2gen import fill_whole, is_whole
from .rules import RESNET, RULES, TAGS, UNNAMED, WORDS, Placed

if TYPE_CHECKING:
    from torch import Tensor

    from reportgen_core import Model


@dataclass(frozen=True, slots=True)
class Conversion:
    """Names of tensors: those of the model, filled and not filled, and those of the file that were not used."""

    filled: tuple[str, ...]
    kept: tuple[str, ...]
    left: tuple[str, ...]


def convert(
    file: Path, kind: str, into: Path, out: Path, vocabulary: Path | None = None, tags: Path | None = None
) -> Conversion:
    """Write the model of `into`, with the weights that `file` has for it, to `out`. Raises ReportgenError."""
    from reportgen_core import save
    from reportgen_core.models.model import default_card

    given = read_tensors(file)
    model = _target(into)
    encoder, head = _sorted(given, kind)
    if kind == "r2gen" and is_whole(model):
        placed = {*encoder.values(), *(p.source for p in head)}
        model, filled, used = fill_whole(model, file, head, (n for n in given if n not in placed), vocabulary)
    else:
        filled, used = _fill_head(model, head, {WORDS: _names(vocabulary), TAGS: _names(tags)})
    if encoder:
        filled |= _fill_encoder(model, {name: given[source] for name, source in encoder.items()}, file)
        used |= set(encoder.values())
    if not filled:
        first = ", ".join(list(given)[:3])
        raise ZooError(f"{file} has nothing for {into} in the format {kind}; its tensors begin with {first or 'none'}")
    note = f"\nWeights from `{file.name}`, format {kind}, sha256 `{sha256_file(file)}`: {len(filled)} tensors.\n"
    save(model, out, card=default_card(model) + note)
    every = model.state_dict().keys()
    kept = tuple(k for k in every if k not in filled and not k.endswith("num_batches_tracked"))
    return Conversion(tuple(k for k in every if k in filled), kept, tuple(n for n in given if n not in used))


def _target(into: Path) -> Model:
    """Return the model of a folder; if there is none, a new model of the preset of that name, with random weights."""
    from reportgen_core import compose
    from reportgen_core.models.loading import load_model
    from reportgen_core.registries import presets

    if into.exists() or str(into) not in presets:
        return load_model(into)
    preset = load_preset(str(into))
    parts = preset.compose
    options = {k: v for k, v in parts.encoder_options.items() if k != "pretrained"}
    return compose(
        parts.encoder,
        parts.decoder,
        retriever=parts.retriever,
        encoder_options=options,
        decoder_options=parts.decoder_options,
        text=preset.text_spec(),
    )


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a legacy checkpoint by name. A name begins with the names of the containers.

    Raises ZooError if the file is no checkpoint or holds more than tensors and plain values.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    hint = "only tensors in plain containers are read"
    if file.suffix == ".safetensors":
        try:
            return load_file(file)
        except (SafetensorError, OSError) as e:
            raise ZooError(f"{file}: {str(e).splitlines()[0]}; {hint}") from e
    content = read_torch_file(file, ZooError, hint=hint)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    return {re.sub(r"(^|\.)module\.", r"\1", name): tensor for name, tensor in _flat(content, "")}


def _flat(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    from torch import Tensor

    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, dict) and depth < 4 and name != "optimizer":
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key), depth + 1)


def _sorted(given: Mapping[str, Tensor], kind: str) -> tuple[dict[str, str], list[Placed]]:
    """Return timm's names with the file's for the tensors of the encoder, and the tensors of the head."""
    encoder: dict[str, str] = {}
    head: list[Placed] = []
    for name, tensor in given.items():
        for rule in RULES[kind]:
            match = re.fullmatch(rule.pattern, name)
            target = match.expand(rule.target) if match else ""
            if target.startswith("encoder:"):
                encoder[_resnet(target.removeprefix("encoder:")) if kind in UNNAMED else target[8:]] = name
            elif target:
                head.append(Placed(target, name, rule.rows, tensor))
    return encoder, head


def _resnet(name: str) -> str:
    """Return the name that a ResNet has for a numbered child of a Sequential."""
    number, _, rest = name.partition(".")
    return f"{RESNET.get(number, number)}.{rest}"


def _fill_encoder(model: Model, state: Mapping[str, Tensor], file: Path) -> set[str]:
    """Fill the encoder through its option `pretrained`, by a file of these tensors. Return the filled names."""
    from safetensors.torch import save_file

    from reportgen_core.registries import encoders

    part = model.encoder.part_config
    options = {k: v for k, v in part["options"].items() if k != "pretrained"}
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / file.with_suffix(".safetensors").name
        save_file({name: tensor.contiguous().clone() for name, tensor in state.items()}, plain)
        encoder = encoders.create(part["name"], pretrained=str(plain), **options)
        model.encoder.load_state_dict(encoder.state_dict())
    return {f"encoder.{name}" for name in model.encoder.state_dict()}


def _fill_head(model: Model, head: list[Placed], names: Mapping[str, tuple[str, ...]]) -> tuple[set[str], set[str]]:
    """Copy tensors that have a place of the same shape. Return the model's names and the file's of those copied."""
    import torch

    state = model.state_dict()
    ours = {WORDS: model.vocabulary.words, TAGS: model.tags}
    filled, used = set(), set()
    for target, source, rows, tensor in head:
        if target not in state or (rows and not names[rows]):
            continue
        place = state[target]
        if rows:
            if len(names[rows]) != len(tensor):
                raise ZooError(f"{source} has {len(tensor)} rows, but {len(names[rows])} {rows} are named")
            pairs = [(i, names[rows].index(n)) for i, n in enumerate(ours[rows]) if n in names[rows]]
            targets, sources = [i for i, _ in pairs], [j for _, j in pairs]
            if not pairs or tensor.shape[1:] != place.shape[1:]:
                continue
            with torch.no_grad():
                place[targets] = tensor[sources].to(place.dtype)
        elif tensor.shape != place.shape:
            raise ZooError(f"{source} is {tuple(tensor.shape)}, but {target} of the model is {tuple(place.shape)}")
        else:
            with torch.no_grad():
                place.copy_(tensor)
        filled.add(target)
        used.add(source)
    return filled, used


def _names(file: Path | None) -> tuple[str, ...]:
    """Return names in the order of their ids; () without a file."""
    return () if file is None else from_json(tuple[str, ...], parse(file.read_bytes(), str(file)), str(file))
