"""Measure what a training costs on this machine: 21 steps of it, in a process of its own, by the code that trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..settled.plan_file import Candidate, Cost, Plan, write_plan
from ..training.job import ENCODER, SYSTEM, Job, Outcome
from ..training.spawn import run_process

STEPS, EPOCHS = 7, 3  # 21 steps, in three epochs: the first one reads images, and the second ends as all later ones do
LEAST = 40  # training studies: with fewer, no space of images is made
VAL = 64  # validation studies
SPACE = {"train": 1000, "val": 500}  # studies that the space of images is made of, at most
SMALLEST = 1  # study a batch
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Where and with what presets are measured."""

    folder: Path  # for plans, jobs and runs of the measurement; it is temporary
    studies: Path  # the file of the studies
    memory: int  # MiB that a training may take
    gpu_memory: int  # MiB; 0 without a GPU
    say: Say


def measure_encoder(plan: Plan, calibration: Calibration) -> Cost | str:
    """Return what the schooling of the encoder costs, or why it failed."""
    batch = int(plan.rules.schooling["batch_size"])
    outcome, problem, limits = _measure(plan, calibration, ENCODER, "", batch)
    return problem if outcome is None else _cost(plan, outcome, limits, 0)


def measure_preset(plan: Plan, name: str, features: int, calibration: Calibration) -> Candidate | str:
    """Return a preset with its cost and with a batch that the memory holds, or why it failed.

    `features` are the bytes of the features of a study. The batch is halved as long as the memory does not hold it.
    """
    candidate, first = plan.presets[name], plan.presets[name].batch_size
    kept = 0 if plan.rules.encoder_learns else features
    while True:
        sized = replace(plan, presets={**plan.presets, name: candidate})
        outcome, problem, limits = _measure(sized, calibration, SYSTEM, name, candidate.batch_size)
        cost = None if outcome is None else _cost(plan, outcome, limits, kept)
        if cost is not None and _fits(cost, calibration):
            halved = f"batch {candidate.batch_size} in place of {first}, for the memory" if problem else ""
            small = candidate.batch_size < first
            return replace(candidate, cost=cost, note=halved or (f"batch {candidate.batch_size}" if small else ""))
        if cost is None and problem != KILLED:
            return problem
        if candidate.batch_size == SMALLEST:
            needs = f"{cost.memory} MiB" if cost else "more memory than there is"
            return f"a batch of one study needs {needs}, and {calibration.memory} MiB may be used"
        candidate = replace(candidate, batch_size=candidate.batch_size // 2)


KILLED = "the memory did not hold it"


def _fits(cost: Cost, calibration: Calibration) -> bool:
    on_gpu = not calibration.gpu_memory or cost.gpu_memory <= calibration.gpu_memory
    return cost.memory <= calibration.memory and on_gpu


def _measure(
    plan: Plan, calibration: Calibration, kind: str, name: str, batch: int
) -> tuple[Outcome | None, str, Mapping[str, int]]:
    """Return what a short training measured, or None and why it failed, and how many studies it had."""
    train = min(max(STEPS * batch, LEAST), plan.counts["train"])
    limits = {"train": train, "val": min(VAL, plan.counts["val"])}
    out = calibration.folder / (name or kind)
    file = calibration.folder / "plan.json"
    write_plan(replace(plan, studies={}), file)
    job = Job(
        kind=kind, plan=str(file), studies=str(calibration.studies), out=str(out), preset=name, epochs=EPOCHS,
        train_limit=limits["train"], val_limit=limits["val"],
    )  # fmt: skip
    ended = run_process(job, calibration.say, plan.rules.threads)
    _remove(out)
    return ended.outcome, KILLED if ended.killed else ended.problem, limits


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)  # weights of a few steps, in a temporary folder


def _cost(plan: Plan, outcome: Outcome, limits: Mapping[str, int], features: int) -> Cost:
    """Return the cost of a training on all studies, from that on a few. `features` are bytes of a study."""
    val = plan.counts["val"] / limits["val"]
    space = sum(min(plan.counts[s], n) for s, n in SPACE.items()) / sum(min(limits[s], n) for s, n in SPACE.items())
    more = sum(plan.counts[s] - limits[s] for s in limits) * features
    return Cost(
        start=outcome.start,
        first_step=outcome.first_step,
        step=outcome.step,
        first_end=outcome.first_validation * val + outcome.state,
        end=outcome.validation * val + outcome.state,
        finish=outcome.images * space + outcome.scores * val,
        memory=outcome.memory + round(more / 2**20),
        gpu_memory=outcome.gpu_memory,
    )
