"""One optimizer step on a batch: on the losses of the model, by a part's own training step, or on a reward."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from ...errors import OptionError
from ...models.abilities import HasTrainingStep
from ...types import Batch, Decoded, Features
from ..order import _mix
from ..run import TrainingRun
from .reward import Reward
from .self_critical import self_critical


class Place(NamedTuple):
    """The place of a batch in an optimizer step."""

    full: bool  # it ends the step
    weight: float  # of its mean loss, see `Pace.weight`


def weighted(losses: Mapping[str, Tensor], weights: Mapping[str, float], names: Sequence[str] = ()) -> Tensor:
    """Return Σ λ loss over all losses. Raises OptionError if one of `names` is not among them."""
    for name in names:
        if name not in losses:
            raise OptionError(
                f"a training step asks for loss {name!r}; this model has {', '.join(losses) or 'none of them'}"
            )
    return torch.stack([weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()


def backward(run: TrainingRun, batch: Batch, names: Sequence[str], place: Place) -> dict[str, float]:
    """Run forward and backward for the losses of these names, or for all of them without names.

    Take an optimizer step if the batch ends one. Return the losses by name.
    """
    with nullcontext() if place.full else run.accelerator.no_sync(run.ready):
        out: Decoded = run.ready(batch, remembered(run, batch))
        chosen = {k: v for k, v in out.losses.items() if not names or k in names}
        _descend(run, weighted(chosen, run.settings.weights, names), " ".join(names), place)
    return {k: round(float(v.detach()), 6) for k, v in chosen.items()}


def _descend(run: TrainingRun, loss: Tensor, group: str, place: Place) -> None:
    """Add the gradients of a loss to those of its group of losses; take an optimizer step if the batch ends one.

    Each group has gradients of its own while batches are accumulated, so that a step is made of its losses alone.
    """
    accelerator, settings = run.accelerator, run.settings
    parameters = list(run.ready.parameters())
    for parameter, gradient in zip(parameters, run.gradients.pop(group, ()), strict=False):
        parameter.grad = gradient
    accelerator.backward(loss * place.weight)
    if place.full:
        if settings.clip is not None:
            accelerator.clip_grad_norm_(parameters, settings.clip)
        run.optimizer.step()
        run.optimizer.zero_grad()
    else:
        run.gradients[group] = [p.grad for p in parameters]
        for parameter in parameters:
            parameter.grad = None


def own_step(run: TrainingRun, batch: Batch, place: Place) -> dict[str, float]:
    """Let the head train on a batch by its own `training_step`. Return the losses for the log, by name."""
    head, count = run.model.head, itertools.count()
    assert isinstance(head, HasTrainingStep)

    def forward() -> Decoded:
        out: Decoded = run.ready(batch, remembered(run, batch))
        return out

    def step(losses: Mapping[str, Tensor]) -> None:
        _descend(run, weighted(losses, run.settings.weights), f"own {next(count)}", place)

    with nullcontext() if place.full else run.accelerator.no_sync(run.ready):
        losses = head.training_step(batch, forward, step)
    return {k: round(float(v.detach()), 6) for k, v in losses.items()}


def reward_step(
    run: TrainingRun, reward: Reward, batch: Batch, place: Place, total: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Learn from the rewards of drawn reports. Return the loss by name, and the mean rewards for the log."""
    seed = _mix(run.settings.seed, total, run.accelerator.process_index)
    known = remembered(run, batch)
    with nullcontext() if place.full else run.accelerator.no_sync(run.ready):
        taught = self_critical(run.model, reward, batch, known, lambda drawn: run.ready(drawn, known), seed)
        _descend(run, weighted({"reward": taught.loss}, run.settings.weights), "reward", place)
    return {"reward": float(taught.loss.detach())}, {"drawn": taught.drawn, "greedy": taught.greedy}


def remembered(run: TrainingRun, batch: Batch) -> Features | None:
    """Return the features of a batch if the run keeps those of its fixed encoder; None otherwise."""
    if run.memory is None:
        return None
    with run.accelerator.autocast():
        return run.memory.encode(batch)
