"""Take over whole models of R2Gen and R2GenCMN: weights, and the words, which their checkpoints do not hold.

Their programs build the vocabulary anew from `annotation.json` at each start: the words of the cleaned reports of
`train` that occur often enough, and `<unk>`, by the alphabet, numbered from 1. Row 0 of embedding and output is for
padding, start and end at once. So <pad>, <bos> and <eos> read row 0 here, and <eos> alone of them can be written.

The number of heads is in no tensor: it is that of the model which is filled.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reportgen_core.text.spec import BOS, PAD, SPECIAL, UNK, TextSpec, Vocabulary, build_vocabulary

from ..manifest.records import ZooError
from ..manifest.schema import from_json, parse
from .rules import Placed

if TYPE_CHECKING:
    from reportgen_core import Model

WHOLE = ("transformer", "r2gen", "r2gen-cmn")  # the decoders that such a checkpoint fills
NEVER = -1e4  # the logit of a word that is never written: e to that power is 0
MAX_SHOWN = 20
TABLES = ".pe"  # the end of the names of tables of sines, which are computed here


def is_whole(model: Model) -> bool:
    """Return whether the decoder of the model is one that a checkpoint of R2Gen or R2GenCMN fills."""
    return model.decoder is not None and model.decoder.part_config["name"] in WHOLE


def fill_whole(
    model: Model, file: Path, head: Sequence[Placed], unplaced: Iterable[str], vocabulary: Path | None
) -> tuple[Model, set[str], set[str]]:
    """Return a new model like `model` with the checkpoint's words and decoder; our names and its names of the tensors.

    `head` are the tensors that have a place, `unplaced` the names of others. Raises ZooError if tensors are missing,
    unexpected or of another shape, or if the vocabulary is of another size.
    """
    names = _word_names(model, file, head, vocabulary)
    model = _with_words(model, names)
    state = {k: v for k, v in model.state_dict().items() if k.startswith("decoder.")}
    unexpected = [n for n in unplaced if not n.endswith(TABLES)] + [p.source for p in head if p.target not in state]
    missing = state.keys() - {p.target for p in head}
    if missing or unexpected:
        lists = (f"{word}: {_shown(keys)}" for word, keys in (("missing", missing), ("unexpected", unexpected)) if keys)
        assert model.decoder is not None
        raise ZooError(f"{file} is no checkpoint of {model.decoder.part_config['name']}; {'; '.join(lists)}")
    _fill(model, head, names)
    return model, set(state), {p.source for p in head}


def _shown(names: Iterable[str]) -> str:
    """Return names in order, at most MAX_SHOWN of them and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - MAX_SHOWN} more" if len(ordered) > MAX_SHOWN else ""
    return ", ".join(ordered[:MAX_SHOWN]) + more


def _word_names(model: Model, file: Path, head: Sequence[Placed], vocabulary: Path | None) -> tuple[str, ...]:
    """Return the word of each row, "" for row 0. Raises ZooError if the names are not given or not as many as rows."""
    rows = {p.source: len(p.tensor) for p in head if p.rows}
    if vocabulary is None:
        count = f"{next(iter(rows.values())) - 1} words" if rows else "words"
        raise ZooError(f"{file} has {count} without their names: the annotation.json of its training has them")
    names = _read_words(vocabulary, model.text)
    for source, length in rows.items():
        if length != len(names):
            raise ZooError(
                f"{file}: {source} is for {length - 1} words, but {vocabulary} has {len(names) - 1} by the text recipe "
                f"{model.text.recipe} with min_count {model.text.min_count}; R2Gen's are r2gen-iu with 3 for IU X-Ray "
                "and r2gen-mimic with 10 for MIMIC-CXR"
            )
    return names


def _read_words(file: Path, text: TextSpec) -> tuple[str, ...]:
    """Return the words of R2Gen's annotation.json, or of a JSON list, in the order of their rows, row 0 first.

    Raises ZooError if the file is neither.
    """
    content = parse(file.read_bytes(), str(file))
    if isinstance(content, list):
        names = ("", *from_json(tuple[str, ...], content, str(file))[1:])
    elif isinstance(content, dict) and isinstance(rows := content.get("train"), list):
        if not all(isinstance(row, dict) and isinstance(row.get("report"), str) for row in rows):
            raise ZooError(f"{file}: a row of train has no report; an annotation has {{id, report, image_path}} each")
        words = build_vocabulary((row["report"] for row in rows), text).words[len(SPECIAL) :]
        names = ("", *sorted((*words, SPECIAL[UNK])))
    else:
        raise ZooError(f"{file} is no annotation.json, which has the reports of train, and no JSON list of words")
    if SPECIAL[UNK] not in names or len(set(names)) < len(names):
        raise ZooError(f"{file}: the words need {SPECIAL[UNK]}, and each word once")
    return names


def _with_words(model: Model, names: Sequence[str]) -> Model:
    """Return a new model of the same parts, with random weights, for the words of these names."""
    from reportgen_core import compose

    assert model.decoder is not None
    encoder, decoder = model.encoder.part_config, model.decoder.part_config
    return compose(
        encoder["name"],
        decoder["name"],
        encoder_options={k: v for k, v in encoder["options"].items() if k != "pretrained"},
        decoder_options=decoder["options"],
        text=model.text,
        vocabulary=Vocabulary(w for w in names if w not in ("", SPECIAL[UNK])),
        tags=model.tags,
        findings=model.findings,
    )


def _fill(model: Model, head: Sequence[Placed], names: Sequence[str]) -> None:
    """Copy the tensors, rows of words to the rows of the same words. Raises ZooError for another shape."""
    import torch

    row = {name: i for i, name in enumerate(names)}
    rows = [row.get(word, 0) for word in model.vocabulary.words]  # <pad>, <bos>, <eos> and no other read row 0
    state = model.state_dict()
    with torch.no_grad():
        for target, source, kind, tensor in head:
            place, values = state[target], tensor[rows] if kind else tensor
            if place.shape != values.shape:
                raise ZooError(f"{source} is {tuple(values.shape)}, but {target} of the model is {tuple(place.shape)}")
            place.copy_(values)
        state["decoder.words.out.weight"][[PAD, BOS]] = 0
        state["decoder.words.out.bias"][[PAD, BOS]] = NEVER
