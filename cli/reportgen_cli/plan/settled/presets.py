"""The presets of a plan: published systems with the encoder, sizes and training that the plan settles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from reportgen_zoo.reproduce.preset import Preset, load_preset
from reportgen_zoo.reproduce.scales import SCALES, WRAPPED, Scale, scaled

from reportgen_core.training.settings import TrainSettings

from .plan_file import Plan, Rules

SMALL = SCALES["small"]


def train_settings(plan: Plan) -> dict[str, Any]:
    """Return the settings of training that all presets of a plan share."""
    fixed, rules = plan.fixed, plan.rules
    return {
        "optimizer": fixed.optimizer, "schedule": fixed.schedule, "lr": fixed.lr, "clip": fixed.clip,
        "precision": rules.precision, "warmup": rules.warmup, "keep_features": not rules.encoder_learns,
        "freeze_encoder": not rules.encoder_learns and "frozen" not in rules.encoder_options,
    }  # fmt: skip


def school_settings(plan: Plan) -> dict[str, Any]:
    """Return the settings by which the encoder learns the labels."""
    return {**SMALL.first, "precision": plan.rules.precision, "seed": plan.fixed.seed, **plan.rules.schooling}


def plan_scale(plan: Plan, weights: Path | None) -> Scale:
    """Return the scale of a plan's presets. `weights` is the file that the encoder starts from."""
    rules = plan.rules
    return replace(
        SMALL,
        name="plan",
        encoder=rules.encoder,
        encoder_options=encoder_options(rules, weights),
        sizes=rules.sizes,
        train=train_settings(plan),
        data={},
    )


def encoder_options(rules: Rules, weights: Path | None) -> dict[str, Any]:
    """Return the options of the encoder: size, views and where its weights are."""
    options = {**rules.encoder_options, "size": rules.image_size, "views": rules.views}
    return {**options, "pretrained": str(weights)} if weights else options


def plan_preset(plan: Plan, name: str, weights: Path | None = None) -> Preset:
    """Return a preset as the plan trains it."""
    candidate = plan.presets[name]
    preset = settled_preset(load_preset(name), plan_scale(plan, weights))
    if weights and WRAPPED in preset.compose.encoder_options:
        options = {**preset.compose.encoder_options, "pretrained": str(weights)}
        preset = replace(preset, compose=replace(preset.compose, encoder_options=options))
    training = {**preset.train, "batch_size": candidate.batch_size}
    return replace(preset, text=candidate.text, train=training)


def settled_preset(preset: Preset, scale: Scale) -> Preset:
    """Return a preset at a scale whose views hold for every encoder that is not wrapped."""
    preset = scaled(preset, scale)
    parts = preset.compose
    options = dict(parts.encoder_options)
    if WRAPPED in options:
        own = {k: v for k, v in options[f"{WRAPPED}_options"].items() if k not in ("pretrained", "views")}
        options[f"{WRAPPED}_options"] = own
    elif parts.encoder != "none":
        options["views"] = scale.encoder_options["views"]
    return replace(preset, compose=replace(parts, encoder_options=options))


def chosen_settings(plan: Plan, preset: Preset, epochs: int) -> TrainSettings:
    """Return the settings of one training."""
    return TrainSettings.of({**preset.train, "seed": plan.fixed.seed, "epochs": epochs})
