"""The process of one job: `python -m reportgen_cli.plan.training.child JOB.json`. It writes OUT/outcome.json.

The calibration and the training of a plan are the same code; a calibration has fewer studies and three epochs.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from reportgen_core import ReportgenError

from ...render import TrainingProgress
from ...terminal.echo import say
from ...terminal.streams import guarded_streams
from ..settled.checks import read_plan
from ..settled.studies import UsableStudies, load_studies
from .job import BASELINES, ENCODER, SYSTEM, TEST, Job, Outcome, read_job
from .memory import own_gpu_peak, own_peak
from .stopwatch import Orphaned, Stopwatch

OUTCOME = "outcome.json"
PR_SET_PDEATHSIG = 1  # of prctl(2)


def main(path: Path) -> int:
    """Do the job in a file, and return the exit code: 1 after an error, which is one line on stderr."""
    with guarded_streams():
        try:
            job = read_job(path)
            _end_with_parent()
            scores = job.kind in (BASELINES, TEST)
            with TrainingProgress(command=f"plan {job.kind if scores else job.preset or job.kind}") as progress:
                progress.heartbeat.say("writing reports and scoring them" if scores else "preparing the first step")
                outcome = run_job(job, progress)
            Path(job.out).mkdir(parents=True, exist_ok=True)
            outcome.save(Path(job.out) / OUTCOME)
        except ReportgenError as e:
            say(f"{e}", err=True)
            return 1
        except (KeyboardInterrupt, click.Abort, Orphaned):
            return 143
    return 0


def _end_with_parent() -> None:
    """Ask Linux to end this process when the one that started it has gone; elsewhere the next step notices that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def run_job(job: Job, progress: Callable[[Mapping[str, Any]], None]) -> Outcome:
    """Do a job, and return what it measured."""
    from . import score, train

    plan, studies = read_plan(Path(job.plan)), _limited(load_studies(Path(job.studies)), job)
    watch = Stopwatch(job.began, job.seconds, job.parent, progress)
    jobs = {ENCODER: train.train_encoder, SYSTEM: train.train_system, BASELINES: score.score_baselines}
    outcome = {**jobs, TEST: score.score_test}[job.kind](plan, job, studies, watch)
    return replace(
        outcome, seconds=watch.now(), memory=own_peak(), gpu_memory=own_gpu_peak(), steps=len(watch.steps),
        **watch.times(),
    )  # fmt: skip


def _limited(studies: UsableStudies, job: Job) -> UsableStudies:
    """Return the studies with at most so many to learn from and to validate on."""
    if not job.train_limit and not job.val_limit:
        return studies
    limits = {"train": job.train_limit, "val": job.val_limit}
    kept = [s for name in ("train", "val", "test") for s in studies.split(name)[: limits.get(name) or None]]
    return replace(studies, studies=tuple(kept))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
