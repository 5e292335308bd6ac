"""One training run: its model, data, settings and folder, its optimizer, and the processes that take part."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from ..errors import OptionError
from ..models.abilities import HasFrozenParts
from ..models.model import Model
from ..models.precision import to_channels_last
from ..types import Study
from .features import FeatureMemory
from .logs.trackers import tracking_arguments
from .order import Pace
from .prepare import check_needs
from .settings import TrainSettings
from .state import origin_of
from .steps.reward import Reward, make_reward

OnRecord = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """Everything that stays the same while a model is trained."""

    model: Model
    ready: nn.Module  # the model as accelerate wraps it
    optimizer: Any
    accelerator: Accelerator
    settings: TrainSettings
    train: Sequence[Study]
    val: Sequence[Study]
    out: Path
    cache: Path | None
    watch: OnRecord
    memory: FeatureMemory | None  # the features of a fixed encoder, with `keep_features`
    origin: Mapping[str, Any]  # `origin_of` this run
    reward: Reward | None = None  # with the setting `reward`
    gradients: dict[str, list[Tensor | None]] = field(default_factory=dict)  # accumulated, by group of losses

    @property
    def batches(self) -> int:
        """The number of batches in an epoch, for each process."""
        return self.pace.batches(len(self.train))

    @property
    def pace(self) -> Pace:
        """How the order of the studies is cut into batches and steps."""
        return Pace(self.settings.batch_size, self.accelerator.num_processes, self.settings.accumulate)


def prepare_run(
    model: Model,
    train_studies: Sequence[Study],
    val_studies: Sequence[Study],
    out: Path,
    settings: TrainSettings,
    cache: Path | None,
    watch: OnRecord | None,
) -> TrainingRun:
    """Return a run whose fixed modules do not learn, with its optimizer. Raises OptionError, DataError."""
    AcceleratorState._reset_state()  # an earlier run of this process may have had another precision
    wrap = DistributedDataParallelKwargs(find_unused_parameters=True)  # a step on some losses leaves parameters out
    mixed = "no" if settings.precision == "fp32" else settings.precision
    accelerator = Accelerator(
        mixed_precision=mixed, kwargs_handlers=[wrap], **tracking_arguments(settings.log_with, out)
    )
    if val_studies:
        check_needs(model, val_studies)
    for part in fixed_modules(model, settings):
        part.requires_grad_(False)
    to_channels_last(model.encoder)
    fixed = not any(p.requires_grad for p in model.encoder.parameters())
    optimizer = _optimizer(model, settings)
    ready, optimizer = accelerator.prepare(model, optimizer)
    return TrainingRun(
        model,
        ready,
        optimizer,
        accelerator,
        settings,
        train_studies,
        val_studies,
        out,
        cache,
        watch or _warn,
        FeatureMemory(model) if settings.keep_features and fixed else None,
        origin_of(model.targets, train_studies, val_studies, accelerator.num_processes),
        make_reward(model, settings.reward, train_studies) if settings.reward else None,
    )


def _warn(record: Mapping[str, Any]) -> None:
    """Warn of a note in the log of a run that nobody watches."""
    if record["kind"] == "note":
        warnings.warn(record["note"], stacklevel=4)


def fixed_modules(model: Model, settings: TrainSettings) -> Sequence[nn.Module]:
    """Return the modules that do not learn."""
    if settings.freeze_encoder:
        return [model.encoder]
    return model.encoder.frozen() if isinstance(model.encoder, HasFrozenParts) else []


def _optimizer(model: Model, settings: TrainSettings) -> torch.optim.Optimizer:
    """Return the optimizer, with a group for the encoder and one for the head; `base` is the group's learning rate."""
    parts = (
        (model.encoder, settings.lr if settings.encoder_lr is None else settings.encoder_lr),
        (model.head, settings.lr),
    )
    groups = [{"params": [p for p in part.parameters() if p.requires_grad], "lr": lr, "base": lr} for part, lr in parts]
    groups = [g for g in groups if g["params"]]
    if not groups:
        raise OptionError("nothing of this model learns: its parts are frozen or have no parameters")
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=settings.momentum, weight_decay=settings.weight_decay)
    kind = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, weight_decay=settings.weight_decay)
