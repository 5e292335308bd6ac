"""Train the encoder of a plan, or one of its systems, and score the system on the validation studies."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reportgen_zoo.reproduce import training as zoo
from reportgen_zoo.reproduce.scales import SCALES, Scale

from reportgen_core.data.images import default_cache
from reportgen_core.models.loading import load_model
from reportgen_core.training.domain import write_domain
from reportgen_core.training.log import read_log
from reportgen_core.types import Study

from ..settled.plan_file import Plan
from ..settled.presets import plan_preset, plan_scale, school_settings
from ..settled.studies import UsableStudies
from ..settled.weights import weights_file
from . import score
from .job import Job, Outcome
from .stopwatch import Overtime, Stopwatch

if TYPE_CHECKING:
    from reportgen_core import Model

HEAD = SCALES["small"].head


def train_encoder(plan: Plan, job: Job, studies: UsableStudies, watch: Stopwatch) -> Outcome:
    """Teach the encoder the labels of the training studies."""
    scale = _scale(plan)
    learn, held_out = (_labelled(studies.split(name)) for name in ("train", "val"))
    settings, run = {**school_settings(plan), "epochs": job.epochs}, Path(job.out) / "run"
    stopped = False
    try:
        zoo.train_encoder(scale, learn, held_out, run, settings=settings, cache=default_cache(), watch=watch)
    except Overtime:
        stopped = True
    images = watch.now() - watch.epochs[-1][1] if watch.epochs else 0.0
    return Outcome(images=images, epochs=_epochs(run), stopped=stopped, resumed=_steps(run) > len(watch.steps))


def train_system(plan: Plan, job: Job, studies: UsableStudies, watch: Stopwatch) -> Outcome:
    """Train one preset, and score its best epoch on the validation studies."""
    preset = plan_preset(plan, job.preset, weights_file(plan.rules.weights))
    learn, held_out, run = studies.split("train"), studies.split("val"), Path(job.out) / "run"
    stopped = False
    try:
        model, _ = zoo.train_system(
            preset, learn, held_out, run, start=Path(job.start) if job.start else None, seed=plan.fixed.seed,
            epochs=job.epochs, cache=default_cache(), watch=watch, domain=plan.data.called,
        )  # fmt: skip
    except Overtime:
        model, stopped = _best_so_far(run, learn, held_out, plan.data.called), True
    images = watch.now() - watch.epochs[-1][1] if watch.epochs else 0.0
    began = time.perf_counter()
    notes, values = score.score_validation(plan, job, model, studies)
    return Outcome(
        images=images, scores=time.perf_counter() - began, epochs=_epochs(run), stopped=stopped,
        resumed=_steps(run) > len(watch.steps), notes=notes, values=values,
    )  # fmt: skip


def _scale(plan: Plan) -> Scale:
    return plan_scale(plan, weights_file(plan.rules.weights))


def _labelled(studies: Sequence[Study]) -> list[Study]:
    return [s for s in studies if s.labels]


def _best_so_far(run: Path, learn: Sequence[Study], held_out: Sequence[Study], domain: str) -> Model:
    """Return the best model of a training that was stopped, after writing the space of its images."""
    write_domain(run / "best", learn, held_out, name=domain, cache=default_cache())
    return load_model(run / "best")


def _epochs(run: Path) -> int:
    return sum(record["kind"] == "epoch" for record in read_log(run / "log.jsonl"))


def _steps(run: Path) -> int:
    return sum(record["kind"] == "step" for record in read_log(run / "log.jsonl"))
