"""The settings of a training run: JSON values and their meanings, the same for presets, commands and notebooks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import OptionError, lists_only
from ..text.arguments import known_fields

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "linear")


def _setting(default: Any, meaning: str) -> Any:
    factory = {"default_factory": lambda: default} if isinstance(default, dict | list) else {"default": default}
    return field(metadata={"meaning": meaning}, **factory)


@lists_only
@dataclass(frozen=True, slots=True)
class TrainSettings:
    """How to train. The defaults suit a small dataset on one machine; a preset has the settings of its paper."""

    epochs: int = _setting(30, "passes over the training studies")
    batch_size: int = _setting(16, "studies a step and process")
    bucket: int = _setting(0, "batches drawn together whose studies are sorted by the length of the report; 0: none")
    lr: float = _setting(5e-4, "learning rate of the decoder or retriever")
    encoder_lr: float | None = _setting(None, "learning rate of the encoder; null: the same")
    freeze_encoder: bool = _setting(False, "keep the whole encoder as it is, statistics too")
    keep_features: bool = _setting(
        False, "if the whole encoder is fixed, encode each study once; a resumed run may differ in the last digits"
    )
    optimizer: str = _setting("adam", "adam, adamw or sgd")
    momentum: float = _setting(0.9, "of sgd")
    weight_decay: float = _setting(0.0, "L2 of adam and sgd, decoupled in adamw")
    schedule: str = _setting("constant", "of the learning rates: constant, cosine or linear, to zero at the last step")
    warmup: int = _setting(0, "steps over which the learning rates rise from zero")
    decay: float = _setting(1.0, "factor on the learning rates every `decay_epochs` epochs")
    decay_epochs: int = _setting(1, "epochs between two decays")
    accumulate: int = _setting(1, "batches whose gradients make one step")
    clip: float | None = _setting(1.0, "largest norm of the gradient; null: not clipped")
    precision: str = _setting("fp32", "fp32, bf16 or fp16")
    weights: Mapping[str, float] = _setting({}, "λ of each loss by name; 1 if none is given")
    steps: Sequence[Sequence[str]] = _setting(
        [], "losses of each optimizer step of a batch; []: one step on all losses"
    )
    reward: Mapping[str, float] = _setting(
        {}, "self-critical training: weight of each metric that scores the reports which the decoder draws"
    )
    select: str = _setting("loss", "validation score that picks the best: loss, perplexity, or a metric such as cider")
    patience: int | None = _setting(None, "stop after so many epochs without a better validation score")
    validate_every: int = _setting(1, "epochs between two validations")
    save_every: int = _setting(0, "steps between two resumable states; 0: only at the end of every epoch")
    checkpoint: bool = _setting(False, "compute activations again in the backward pass in place of keeping them")
    log_with: str = _setting("", "trackers of accelerate, with commas between: tensorboard, wandb, mlflow and others")
    workers: int = _setting(0, "processes that read images ahead")
    seed: int = _setting(0, "of weights, order and dropout")

    def __post_init__(self) -> None:
        for name, choices in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("precision", ("fp32", "bf16", "fp16")),
        ):
            if getattr(self, name) not in choices:
                raise OptionError(f"training has no {name}={getattr(self, name)!r}; there are: {', '.join(choices)}")
        for name in ("epochs", "batch_size", "accumulate", "validate_every", "decay_epochs"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise OptionError(f"training needs {name} of at least 1, got {getattr(self, name)!r}")
        if self.reward and self.steps:
            raise OptionError("training takes either reward or steps: a reward is learned in one step on one loss")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> TrainSettings:
        """Return settings made from JSON values. Raises OptionError for an unknown name or a wrong value."""
        return cls(**known_fields(cls, values, "training"))

    def rate(self, step: int, steps: int, epoch: int) -> float:
        """Return the factor on the learning rates at `step`, 0..steps-1, of an epoch, counted from 0."""
        factor = self.decay ** (epoch // self.decay_epochs)
        if step < self.warmup:
            return factor * (step + 1) / self.warmup
        done = (step - self.warmup) / max(steps - self.warmup, 1)
        if self.schedule == "cosine":
            return factor * 0.5 * (1 + math.cos(math.pi * done))
        return factor * (1 - done) if self.schedule == "linear" else factor
