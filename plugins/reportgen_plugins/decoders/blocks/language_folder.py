"""A folder with a language model in the format of transformers: its architecture, its weights, its vectors.

The decoders `gpt2` and `transformers/*` read it with cross-attention of their own, the decoder `llm` as it is.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import AutoConfig

from reportgen_core.errors import OptionError
from reportgen_core.files.json_files import read_json
from reportgen_core.text.spec import BOS, EOS, SPECIAL

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
FOLDER = f"{CONFIG}, {WEIGHTS} and {TOKENIZER}"
OF_THE_VOCABULARY = (".position_ids", "lm_head.bias", "predictions.bias")  # ends of names; they start anew
# What the data, the decoder or the library decides, or what says nothing of the architecture.
LEFT_OUT = {
    "vocab_size", "bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "is_decoder",
    "is_encoder_decoder", "add_cross_attention", "tie_word_embeddings", "architectures", "transformers_version",
    "dtype", "torch_dtype", "model_type", "use_cache", "task_specific_params",
}  # fmt: skip


def settled(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return options with `architecture` and `config` as the folder in `pretrained` says; without a folder they stay.

    Raises OptionError if the folder has no config.json of a causal language model.
    """
    given = options.get("pretrained", False)
    if given is False:
        return options
    found = _read(given)
    name = str(found.get("model_type", ""))
    try:
        known = set(AutoConfig.for_model(name).to_dict())
    except (ValueError, TypeError, KeyError) as e:
        raise OptionError(f"pretrained={given!r}: transformers knows no architecture {name!r} (model_type)") from e
    config = {key: value for key, value in found.items() if key in known - LEFT_OUT}
    return {**options, "architecture": name, "config": {**config, **dict(options.get("config") or {})}}


def _read(given: bool | str) -> dict[str, Any]:
    folder = Path(str(given)).expanduser()
    if given is True or not (folder / CONFIG).is_file():
        raise OptionError(f"pretrained={given!r}: give a local folder with {FOLDER}, or false")
    return _read_config(folder)


def _read_config(folder: Path) -> dict[str, Any]:
    found = read_json(folder / CONFIG, OptionError)
    if not isinstance(found, dict):
        raise OptionError(f"{folder / CONFIG}: it is no configuration: it is a {type(found).__name__}")
    return found


def start_from_folder(
    model: Any,
    given: bool | str,
    words: tuple[str, ...],
    *,
    name: str = "",
    body: Container[str] | None = None,
    needs_words: bool = True,
) -> None:
    """Copy the weights of a folder into a model, and to each word the vector of its piece, or the mean of its pieces'.

    Args:
        model: a causal language model of transformers with a vocabulary of `words`.
        given: the folder. It may name the weights with the prefix of the model's body or without.
        words: the vocabulary.
        name: the architecture, for messages.
        body: names of the tensors that the folder must have; the others may keep random values. None: all.
        needs_words: whether the folder must have a tokenizer. Without one the words keep random vectors.

    Raises OptionError for weights or a tokenizer that do not fit.
    """
    folder = Path(str(given)).expanduser()
    weights = _read_weights(given, f"{model.base_model_prefix}.")
    state = model.state_dict(keep_vars=True)
    ends = {"input": model.get_input_embeddings().weight, "output": model.get_output_embeddings().weight}
    keys = {end: next(key for key, value in state.items() if value is part) for end, part in ends.items()}
    with torch.no_grad():
        for key, value in state.items():
            if key in keys.values() or key.endswith(OF_THE_VOCABULARY):
                continue
            if key in weights and weights[key].shape == value.shape:
                value.copy_(weights[key])
            elif body is None or key in body:
                problem = f"is {tuple(weights[key].shape)}" if key in weights else "is missing"
                fits = f" does not fit {name}" if name else ""
                raise OptionError(
                    f"pretrained={given!r}{fits}: {key} {problem} and should be {tuple(value.shape)}; "
                    f"say in config what its {CONFIG} says"
                )
        if not needs_words and not (folder / TOKENIZER).is_file():
            return
        rows = _pieces(folder, _read_config(folder) if (folder / CONFIG).is_file() else {}, words)
        _copy_vectors(ends["input"], weights, keys["input"], rows, given)
        # A model whose two ends share their vectors saves them once.
        output = keys["output"] if keys["output"] in weights else keys["input"]
        _copy_vectors(ends["output"], weights, output, rows, given)


def _read_weights(given: bool | str, prefix: str) -> dict[str, Tensor]:
    """Return the tensors of a folder, those without the prefix of the body also with it. Raises OptionError."""
    file = Path(str(given)).expanduser() / WEIGHTS
    if given is True or not (file.is_file() or (file.parent / CONFIG).is_file()):
        raise OptionError(f"pretrained={given!r}: give a local folder with {FOLDER}, or false")
    try:
        weights = load_file(file)
    except (SafetensorError, OSError) as e:
        raise OptionError(f"pretrained={given!r}: {file} cannot be read: {e}") from e
    return {prefix + key: value for key, value in weights.items() if not key.startswith(prefix)} | weights


def _pieces(folder: Path, config: Mapping[str, Any], words: tuple[str, ...]) -> list[list[int]]:
    """Return the tokenizer's pieces of each of our words; [] for one that it cannot write."""
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as e:  # the library raises bare Exception
        raise OptionError(f"{folder / TOKENIZER} cannot be read: {' '.join(str(e).split())[:200]}") from e
    ids = tokenizer.get_vocab(with_added_tokens=True)
    known = set(ids.values())
    own_pieces = sum(word in ids for word in words) > len(words) / 2  # recipe subwords with this tokenizer
    special: dict[int, Any] = {BOS: config.get("bos_token_id"), EOS: config.get("eos_token_id")}
    rows: list[list[int]] = []
    for i, word in enumerate(words):
        if i < len(SPECIAL):
            mark = special.get(i)
            rows.append([mark] if isinstance(mark, int) and mark in known else [])
        elif own_pieces and word in ids:
            rows.append([ids[word]])
        else:
            rows.append(list(tokenizer.encode(f" {word}", add_special_tokens=False).ids))
    return rows


def _copy_vectors(
    target: Tensor, weights: Mapping[str, Tensor], key: str, rows: list[list[int]], given: bool | str
) -> None:
    """Copy to each word of `target` (V, H) the mean vector of its pieces. Raises OptionError if one has no vector."""
    if key not in weights:
        raise OptionError(f"pretrained={given!r}: {key} is missing, so words have no vectors")
    source = weights[key]
    if source.shape[1:] != target.shape[1:]:
        raise OptionError(
            f"pretrained={given!r}: {key} has vectors of {source.shape[1]}, and {target.shape[1]} are needed"
        )
    most = max((i for row in rows for i in row), default=0)
    if most >= len(source):
        raise OptionError(
            f"pretrained={given!r}: {TOKENIZER} has piece {most}, and the model has vectors for {len(source)} pieces; "
            "they are not of one model"
        )
    for i, row in enumerate(rows):
        if row:
            target[i] = source[row].float().mean(0).to(target.dtype)
