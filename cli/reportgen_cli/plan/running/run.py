"""Run a plan: train its presets one after another, choose on validation, score the choice on test once.

A run is a folder, and goes on where it was stopped:

    RUN/asked.json              the plan and the hours: others need another folder
    RUN/studies.jsonl           the studies with their reports and labels
    RUN/encoder/, RUN/PRESET/   a training in run/, the scores of its best epoch in validation/, outcome.json at its end
    RUN/baselines/, RUN/test/   scores of a constant and of the nearest image; scores on test, with report.html
    RUN/model/                  the model that was chosen, with its card
    RUN/results.json, results.html
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from reportgen_core import CheckpointError, DataError, OptionError
from reportgen_core.data.images import default_cache
from reportgen_core.files.json_files import read_json, write_json

from ..making.refuse import cache_bytes, refuse_disk
from ..settled.checks import read_plan
from ..settled.digests import describe_changes, study_digests
from ..settled.plan_file import Cost, Plan
from ..settled.schedule import Schedule, make_schedule
from ..settled.studies import UsableStudies, labelled_studies, read_collection, save_studies, usable_studies
from ..settled.weights import weights_file
from ..training.child import OUTCOME
from ..training.job import BASELINES, ENCODER, SYSTEM, TEST, Job, Outcome, read_job, read_outcome
from ..training.spawn import Ended, run_process

SLOWER = 1.5  # times the predicted time: then a training stops at the end of its epoch
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class PlanRun:
    """A run: its plan, its folder and its schedule."""

    plan: Plan
    file: Path
    out: Path
    schedule: Schedule
    say: Say

    def job(self, kind: str, folder: str, **values: object) -> Job:
        """Return a job of this run."""
        job = Job(kind=kind, plan=str(self.file), studies=str(self.out / "studies.jsonl"), out=str(self.out / folder))
        return replace(job, **values)  # type: ignore[arg-type]  # fields of a job

    def process(self, job: Job) -> Ended:
        """Do a job in a process of its own."""
        return run_process(job, self.say, self.plan.rules.threads)

    def outcome(self, folder: str) -> Outcome | None:
        """Return what a finished process measured."""
        return read_outcome(self.out / folder / OUTCOME)


@dataclass(frozen=True, slots=True)
class Trained:
    """What became of the encoder and of each preset: an outcome, or a reason in one line."""

    outcomes: Mapping[str, Outcome]
    problems: Mapping[str, str]
    encoder: Outcome | None


def begin_run(file: Path, out: Path, hours: float, say: Say) -> PlanRun:
    """Check plan and data, and return the run, with its studies written. Raises ReportgenError in one line."""
    plan = read_plan(file)
    usable = usable_studies(read_collection(plan.data).studies, plan.data.sections)
    if changes := describe_changes(plan.studies, study_digests(usable.studies)):
        raise DataError(
            f"the data of {file} changed since the plan was made: {changes}; rg plan make {plan.data.name} --out "
            f"{file} makes a new plan"
        )
    schedule = _asked(plan, out, hours)
    _refuse_full_disk(plan, usable, out)
    weights_file(plan.rules.weights)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "asked.json", {"plan": _plan_digest(plan), **schedule.to_json()}, sort=False)
    if not (out / "studies.jsonl").exists():
        save_studies(labelled_studies(usable, plan.data).studies, out / "studies.jsonl")
    return PlanRun(plan, file.absolute(), out, schedule, say)


def _plan_digest(plan: Plan) -> str:
    return hashlib.sha256(json.dumps(asdict(plan), sort_keys=True).encode()).hexdigest()


def _asked(plan: Plan, out: Path, hours: float) -> Schedule:
    """Return the schedule of the run in `out`, or a new one. Raises OptionError for another plan or other hours."""
    path = out / "asked.json"
    if not path.exists():
        return make_schedule(plan, hours)
    saved = read_json(path, DataError, hint=f"another --out than {out} begins anew")
    if saved.pop("plan", "") != _plan_digest(plan):
        raise OptionError(f"{out} was begun with another plan; another --out than {out} keeps both")
    if saved.get("hours") != hours:
        raise OptionError(
            f"{out} was begun with --hours {saved.get('hours'):g}, and its epochs follow from them; give these hours "
            "to go on, or another --out"
        )
    return Schedule(**saved)


def _refuse_full_disk(plan: Plan, usable: UsableStudies, out: Path) -> None:
    needed = cache_bytes(usable.studies, plan.rules.image_size, plan.rules.views)
    if not default_cache().exists():
        refuse_disk(default_cache(), needed, "the cache of images")
    refuse_disk(out, 64 * 2**20 * plan.rules.most_presets, "a run of the plan")


def train_all(run: PlanRun) -> Trained:
    """Teach the encoder and train every preset of the schedule. A preset that fails is that one's matter."""
    earlier = [run.outcome(name) for name in ("encoder", *run.schedule.epochs)]
    began = time.monotonic() - sum(outcome.seconds for outcome in earlier if outcome is not None)
    encoder = _school(run)
    start = str(run.out / "encoder" / "run" / "best") if encoder else ""
    outcomes: dict[str, Outcome] = {}
    problems: dict[str, str] = {}
    for number, (name, epochs) in enumerate(run.schedule.epochs.items(), 1):
        if (finished := run.outcome(name)) is not None:
            outcomes[name] = finished
            continue
        left = run.schedule.hours * 3600 - run.schedule.scoring - (time.monotonic() - began)
        if outcomes and left < run.schedule.seconds[name] / 2:
            problems[name] = "the time was over before it began; more --hours and another --out train it, too"
            continue
        run.say(f"{number} of {len(run.schedule.epochs)}: {name}, {epochs} epochs")
        ended = _train(run, name, epochs, start)
        if ended.outcome is None:
            problems[name] = ended.problem
            run.say(f"{name} failed: {ended.problem}")
        else:
            outcomes[name] = ended.outcome
    return Trained(outcomes, problems, encoder)


def _train(run: PlanRun, name: str, epochs: int, start: str) -> Ended:
    limit = SLOWER * run.schedule.seconds[name]
    return run.process(run.job(SYSTEM, name, preset=name, epochs=epochs, start=start, seconds=limit))


def _school(run: PlanRun) -> Outcome | None:
    """Return the outcome of the encoder's schooling, after it if necessary; None if the plan has none.

    Raises CheckpointError if it fails, since every preset starts from it.
    """
    epochs = run.schedule.encoder_epochs
    if not epochs:
        return None
    if (earlier := run.outcome("encoder")) is not None:
        return earlier
    run.say(f"the encoder learns the labels ({run.plan.data.labels}), {epochs} epochs")
    limit = SLOWER * run.schedule.seconds["encoder"]
    ended = run.process(run.job(ENCODER, "encoder", epochs=epochs, seconds=limit))
    if ended.outcome is None:
        raise CheckpointError(f"the encoder could not be taught: {ended.problem}; the same command goes on from here")
    return ended.outcome


def score_baselines(run: PlanRun, name: str) -> str:
    """Score the baselines on validation, with the encoder of a trained preset. Return why they failed, or ""."""
    return _score(run, BASELINES, "baselines", name, run.out / name / "run" / "best")


def score_test(run: PlanRun, name: str, model: Path) -> str:
    """Score the chosen model and the baselines on test, unless that was done. Return why it failed, or ""."""
    if chosen_before(run) not in ("", name):
        (run.out / "test" / OUTCOME).unlink()
    return _score(run, TEST, "test", name, model)


def chosen_before(run: PlanRun) -> str:
    """Return the preset that test was scored for in an earlier session; "" if it was not."""
    return read_job(run.out / "test" / "job.json").preset if run.outcome("test") is not None else ""


def _score(run: PlanRun, kind: str, folder: str, name: str, model: Path) -> str:
    if run.outcome(folder) is not None:
        return ""
    run.say("scoring the baselines on validation" if kind == BASELINES else "scoring test, once")
    return run.process(run.job(kind, folder, preset=name, start=str(model))).problem


def predicted(run: PlanRun, name: str) -> tuple[float, int]:
    """Return the seconds and the MiB that were predicted for a preset, or for the encoder."""
    cost: Cost | None = run.plan.encoder_cost if name == "encoder" else run.plan.presets[name].cost
    return run.schedule.seconds.get(name, 0.0), cost.memory if cost else 0
