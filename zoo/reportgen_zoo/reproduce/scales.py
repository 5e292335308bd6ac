"""The size at which a published system is reproduced: the paper's, or so small that a CPU compares all systems.

paper  the preset without changes; this needs a GPU.
small  every system gets the same encoder, the same pixels and widths, and the same budget of training; what its paper
       is about stays: decoder, attention, tags, differences, order of sentences, the λ and steps of its losses. The
       encoder is first trained to name the findings of the training studies, once for all systems, and then fixed.
medium as small, but with eight times the studies, more findings in each, an encoder that finds small findings, and no
       sentence twice in a report. One system takes about twenty minutes on two cores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reportgen_core import OptionError
from reportgen_core.models.owners import Composition
from reportgen_core.registry import did_you_mean

from .preset import Preset

VIEWS = "views"  # an option of encoders, and of datasets that draw their images
KEPT = (VIEWS,)  # options of an encoder that every scale leaves as they are
WRAPPED = "inner"  # the option by which an encoder names the one that it wraps


@dataclass(frozen=True, slots=True)
class Scale:
    """The settings that replace those of a preset. Empty ones replace nothing."""

    name: str
    encoder: str = ""
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, Any] = field(default_factory=dict)  # options of parts that have them
    text: Mapping[str, Any] = field(default_factory=dict)  # if the preset does not set it
    train: Mapping[str, Any] = field(default_factory=dict)
    with_heads: Mapping[str, Any] = field(default_factory=dict)  # added to `train` for decoders with attention heads
    first: Mapping[str, Any] = field(default_factory=dict)  # training of the encoder alone; {}: none
    head: Mapping[str, Any] = field(default_factory=dict)  # options of the classifier in that training
    generation: Mapping[str, Any] = field(default_factory=dict)  # of GenerationSettings, added to the preset's
    data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # options by dataset
    protocol: str | None = None  # None: the preset's own
    metrics: tuple[str, ...] = ()  # empty: the standard ones


WIDTHS = {
    "hidden": 128, "embedding": 128, "transition": 128, "width": 128, "joint": 128, "grouper_options": {"k": 50},
    "architecture": "gpt2", "config": {"n_layer": 2, "n_head": 4, "n_embd": 128}, "learn": "all",
}  # fmt: skip
QUICK = ("bleu", "rouge-l", "cider", "chexpert-rules")  # METEOR takes longer than all of these
SYSTEM = {"epochs": 12, "schedule": "cosine", "optimizer": "adam", "clip": 5.0, "keep_features": True}
FIRST = {"batch_size": 16, "schedule": "cosine", "warmup": 60, "optimizer": "adamw", "weight_decay": 0.02}
SCALES = {
    "paper": Scale("paper"),
    "small": Scale(
        "small",
        encoder="timm/resnet18",
        encoder_options={"size": 128, "depth": -2, "frozen": 4, "model_args": {"channels": [24, 48, 96, 192]}},
        sizes=WIDTHS,
        train={**SYSTEM, "batch_size": 8, "lr": 1.5e-3, "warmup": 20},
        first={**FIRST, "epochs": 24, "lr": 1e-3},
        head={"transition": 256, "pooling": "mean", "balanced": False},
        data={"phantom": {"n": 1500, "size": 128, "views": 2}},
        protocol="",
        metrics=QUICK,
    ),
    "medium": Scale(
        "medium",
        encoder="timm/resnet10t",
        encoder_options={
            "size": 128, "depth": -2, "frozen": 4, "pooling": "lse", "sharpness": 3.0,
            "model_args": {"channels": [24, 48, 96, 192], "stem_width": 12},
        },
        sizes=WIDTHS,
        text={"max_sentences": 16},
        train={**SYSTEM, "batch_size": 16, "lr": 3e-3, "warmup": 50},
        with_heads={"lr": 1e-3},  # at the rate of the LSTMs r2gen learns no more after its first epoch
        first={**FIRST, "epochs": 6, "lr": 2e-3},
        head={"transition": 0, "pooling": "lse", "sharpness": 3.0, "balanced": False},
        generation={"distinct": True},
        data={"phantom": {"n": 12000, "size": 128, "views": 1, "normal": 0.0, "abundance": 2.5}},
        protocol="",
        metrics=QUICK,
    ),
}  # fmt: skip
HEADS = "heads"  # an option of decoders that are transformers
KEPT_TRAINING = ("weights", "steps", "select")  # training settings of a preset that every scale leaves as they are


def scale_of(name: str) -> Scale:
    """Return the scale of that name. Raises OptionError."""
    if name not in SCALES:
        raise OptionError(f"no scale {name!r}; {did_you_mean(name, SCALES)}")
    return SCALES[name]


def scaled(preset: Preset, scale: Scale) -> Preset:
    """Return the preset at that scale."""
    if not scale.encoder:
        return preset
    of_paper = {k: v for k, v in preset.train.items() if k in KEPT_TRAINING}
    with_heads = scale.with_heads if HEADS in preset.compose.decoder_options else {}
    return replace(
        preset,
        compose=_composition(preset.compose, scale),
        text={**scale.text, **preset.text},
        train={**scale.train, **with_heads, **of_paper},
        generation={**preset.generation, **scale.generation},
        protocol=preset.protocol if scale.protocol is None else scale.protocol,
    )


def _composition(parts: Composition, scale: Scale) -> Composition:
    options = {k: scale.sizes.get(k, v) for k, v in parts.decoder_options.items()}
    return replace(
        parts,
        encoder=parts.encoder if _reads_no_image(parts) or _wraps(parts) else scale.encoder,
        encoder_options=_encoder_options(parts, scale),
        decoder_options=options,
    )


def _encoder_options(parts: Composition, scale: Scale) -> dict[str, Any]:
    own = dict(parts.encoder_options)
    if _reads_no_image(parts):
        return own
    if _wraps(parts):
        own = {k: scale.sizes.get(k, v) for k, v in own.items() if k != "pretrained"}
        return {**own, WRAPPED: scale.encoder, f"{WRAPPED}_options": dict(scale.encoder_options)}
    return {**scale.encoder_options, **{k: v for k, v in own.items() if k in KEPT}}


def _wraps(parts: Composition) -> bool:
    """Return whether the encoder wraps another one, which its options name."""
    return WRAPPED in parts.encoder_options


def _reads_no_image(parts: Composition) -> bool:
    """Return whether the encoder reads no image."""
    return parts.encoder == "none"
