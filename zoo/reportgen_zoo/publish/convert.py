"""Copy the weights of legacy checkpoints into a model by a table of names. Only tensors are read; no code is run.

    timm, torchvision   an encoder's state dict; the encoder itself reads it, as with its option `pretrained`
    r2gen               {'state_dict': ...} of R2Gen (arXiv:2010.16056): `visual_extractor.model.N` is a torchvision
                        ResNet without names. Its memory-driven transformer is none of our decoders, and is left out.
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

if TYPE_CHECKING:
    from torch import Tensor

    from reportgen_core import Model

RESNET = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}  # a Sequential's order
UNNAMED = ("r2gen", "coattention-2018")  # formats in which a ResNet is such a Sequential
WORDS, TAGS = "words", "tags"  # what a tensor has a row for


@dataclass(frozen=True, slots=True)
class Rule:
    """Tensors whose names match `pattern` are copied to `target`; "encoder:NAME" is a name in timm."""

    pattern: str
    target: str
    rows: str = ""


_LSTM = "(weight_ih|weight_hh|bias_ih|bias_hh)_l0"
RULES: Mapping[str, tuple[Rule, ...]] = {
    "timm": (Rule(r"(.*)", r"encoder:\1"),),
    "torchvision": (Rule(r"(.*)", r"encoder:\1"),),
    "r2gen": (Rule(r"visual_extractor\.model\.(\d)\.(.*)", r"encoder:\1.\2"),),
    "coattention-2018": (
        Rule(r"extractor\.(?:resnet|model)\.(\d)\.(.*)", r"encoder:\1.\2"),
        Rule(r"mlc\.classifier\.(weight|bias)", r"decoder.tags.own.\1", TAGS),
        Rule(r"mlc\.embed\.weight", "decoder.tags.embedding.weight", TAGS),
        Rule(rf"sentence_model\.lstm\.{_LSTM}", r"decoder.sentence.\1"),
        Rule(r"sentence_model\.W_t_h\.weight", "decoder.topic_hidden.weight"),
        Rule(r"sentence_model\.W_t_ctx\.weight", "decoder.topic_context.weight"),
        Rule(r"sentence_model\.W_stop_s_1\.weight", "decoder.stop_before.weight"),
        Rule(r"sentence_model\.W_stop_s\.weight", "decoder.stop_now.weight"),
        Rule(r"sentence_model\.W_stop\.weight", "decoder.stop.weight"),
        Rule(r"word_model\.embed\.weight", "decoder.words.embedding.weight", WORDS),
        Rule(rf"word_model\.lstm\.{_LSTM}", r"decoder.words.lstm.\1_l0"),
        Rule(r"word_model\.linear\.weight", "decoder.words.out.weight", WORDS),
    ),
}


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
    from reportgen_core.models.loading import load_model
    from reportgen_core.models.model import default_card

    model = load_model(into)
    given = read_tensors(file)
    encoder, head = _sorted(given, kind)
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


def _sorted(given: Mapping[str, Tensor], kind: str) -> tuple[dict[str, str], list[tuple[str, str, str, Tensor]]]:
    """Return timm's names with the file's; for the head the model's name, the file's, the kind of rows, the tensor."""
    encoder, head = {}, []
    for name, tensor in given.items():
        for rule in RULES[kind]:
            match = re.fullmatch(rule.pattern, name)
            target = match.expand(rule.target) if match else ""
            if target.startswith("encoder:"):
                encoder[_resnet(target.removeprefix("encoder:")) if kind in UNNAMED else target[8:]] = name
            elif target:
                head.append((target, name, rule.rows, tensor))
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


def _fill_head(
    model: Model, head: list[tuple[str, str, str, Tensor]], names: Mapping[str, tuple[str, ...]]
) -> tuple[set[str], set[str]]:
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
