"""Compose a model: look up the parts by name, check that they fit together, and build them.

The check builds the parts on torch's meta device, where a tensor has a shape and no memory. So parts that do not fit
are found before anything is allocated, downloaded or read.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..registries import decoders, encoders, retrievers
from ..text.spec import SPECIAL, TextSpec, Vocabulary, given_recipe, recipe
from ..types import TargetSpec
from .abilities import HasOwnTexts
from .computing.shapes import shapes_only
from .model import Model, attach, build_model, target_spec
from .owners import Composition, settled_options, without_pretrained


@dataclass(frozen=True, slots=True)
class PartSummary:
    """One line of a plan: a part, its inputs and outputs, and its size."""

    part: str  # "encoder", "decoder", …
    name: str
    takes: str
    gives: str
    parameters: int
    learning: int  # parameters that are not frozen


@dataclass(frozen=True, slots=True)
class CompositionPlan:
    """The description of a composition whose parts fit together."""

    rows: tuple[PartSummary, ...]
    notes: tuple[str, ...]


def compose(
    encoder: str,
    decoder: str | None = None,
    *,
    retriever: str | None = None,
    encoder_options: Mapping[str, Any] | None = None,
    decoder_options: Mapping[str, Any] | None = None,
    text: TextSpec | None = None,
    vocabulary: Vocabulary | None = None,
    tags: Sequence[str] = (),
    findings: Sequence[str] = (),
    positives: Sequence[float] = (),
    seed: int = 0,
) -> Model:
    """Build a model with random weights by `seed`; the encoder has pretrained weights if its options request them.

    `compose("densenet121", "hier-lstm")` names an encoder and a decoder; a retriever in its place is taken as one.
    Without a vocabulary the model has no words yet; `train` takes words, tags and findings from the training data.
    `decoder_options` are the options of the retriever if the model has one. Raises UnknownName, OptionError,
    CompositionError.
    """
    text = given_recipe(text or TextSpec())
    parts = parts_named(encoder, decoder, retriever, encoder_options, decoder_options)
    if vocabulary is not None:
        vocabulary = _with_own_words(vocabulary, parts, text, findings)
    targets = target_spec(text, vocabulary or Vocabulary(), tags, findings, positives)
    with shapes_only():
        build_model(without_pretrained(parts), text, targets)
    with seeded(seed):
        return build_model(parts, text, targets)


def _with_own_words(vocabulary: Vocabulary, parts: Composition, text: TextSpec, findings: Sequence[str]) -> Vocabulary:
    """Return the vocabulary with the words of the sentences that the decoder itself has, if it has some."""
    with shapes_only():
        head = build_model(without_pretrained(parts), text, target_spec(text, Vocabulary(), (), findings)).head
    texts = head.own_texts(findings) if isinstance(head, HasOwnTexts) else ()
    words = {word for t in texts for sentence in recipe(text).split(t) for word in sentence}
    return Vocabulary([*vocabulary.words[len(SPECIAL) :], *sorted(words - set(vocabulary.words))])


def parts_named(
    encoder: str,
    decoder: str | None,
    retriever: str | None,
    encoder_options: Mapping[str, Any] | None = None,
    decoder_options: Mapping[str, Any] | None = None,
) -> Composition:
    """Return the parts under their registered names. Raises UnknownName."""
    if decoder is not None and retriever is None and decoder not in decoders and decoder in retrievers:
        decoder, retriever = None, decoder
    encoder = encoders.find(encoder)
    decoder = None if decoder is None else decoders.find(decoder)
    retriever = None if retriever is None else retrievers.find(retriever)
    head = dict(decoder_options or {})
    if decoder is not None:
        head = settled_options(decoders, decoder, head)
    elif retriever is not None:
        head = settled_options(retrievers, retriever, head)
    return Composition(encoder, decoder, retriever, settled_options(encoders, encoder, encoder_options), head)


def check_composition(
    *,
    encoder: str,
    decoder: str | None = None,
    retriever: str | None = None,
    encoder_options: Mapping[str, Any] | None = None,
    decoder_options: Mapping[str, Any] | None = None,
    text: TextSpec | None = None,
    targets: TargetSpec | None = None,
) -> CompositionPlan:
    """Return the shapes and numbers of parameters of the model that `compose` would build. Nothing is allocated."""
    text = text or TextSpec()
    parts = parts_named(encoder, decoder, retriever, encoder_options, decoder_options)
    with shapes_only():
        model = build_model(without_pretrained(parts), text, targets or target_spec(text, Vocabulary()))
    return plan(model, starts_random=parts.encoder_options.get("pretrained", False) is False)


def retarget(model: Model, targets: TargetSpec, text: TextSpec, seed: int = 0) -> Model:
    """Return a model of the same encoder and a new head, with the same options, for other words, tags and findings."""
    kind = decoders if model.decoder is not None else retrievers
    config = model.head.part_config
    with seeded(seed):
        attach(model.encoder, targets)
        head = kind.create(config["name"], model.encoder.features, targets, **config["options"])
    return Model(model.encoder, head, text=text, targets=targets)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Set torch's random state by `seed` inside the context, and restore the caller's state afterwards."""
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


def plan(model: Model, *, starts_random: bool) -> CompositionPlan:
    """Describe a model: the inputs, outputs and parameters of each part."""
    image, features, targets = model.encoder.image, model.encoder.features, model.targets
    views = f"{image.views} × " if image.views > 1 else ""
    grid = " = " + " × ".join(map(str, features.grid)) if features.grid else ""
    tokens = f"{features.tokens}{grid} tokens of {features.dim}, pooled {features.pooled}"
    kind = "decoder" if model.decoder is not None else "retriever"
    writes = f"{targets.max_sentences} sentences × {targets.max_words} words"
    rows = (
        _row("encoder", model.encoder, f"{views}{image.channels} × {image.height} × {image.width} pixels", tokens),
        _row(kind, model.head, tokens, writes if kind == "decoder" else "texts it holds"),
    )
    notes = []
    if len(model.vocabulary) == len(Vocabulary()):
        notes.append("no words, tags or findings yet: training takes them from its data, and the decoder grows by them")
    if starts_random and rows[0].parameters:
        known = "pretrained" in inspect.signature(type(model.encoder).__init__).parameters
        remedy = "--encoder-option pretrained=true takes published ones" if known else "training sets them"
        notes.append(f"the encoder's weights are random: {remedy}")
    return CompositionPlan(rows, tuple(notes))


def _row(part: str, module: nn.Module, takes: str, gives: str) -> PartSummary:
    sizes = [(p.numel(), p.requires_grad) for p in module.parameters()]
    name = str(module.part_config["name"])  # type: ignore[index]  # set by the registry on every part
    return PartSummary(part, name, takes, gives, sum(n for n, _ in sizes), sum(n for n, grad in sizes if grad))
