"""Compare the model of a plan with unchanged presets, each with the same processor time, on the phantom.

The plan is made, and is run in `--minutes`, which the schooling of the encoder, its presets, the choice and the scores
share. A preset is trained with the settings of its paper from random weights, because those of ImageNet are not here,
and is stopped at the first step after it has had as much processor time as making and running the plan took, so that a
machine that others use is fair to both. Its best epoch counts; if it has finished none, it has no model. All are scored
on the test studies, with the sections of the plan as references, and each preset is compared with the plan's model by a
paired test.

    OMP_NUM_THREADS=1 python -m benchmarks.plan --out DIR [--minutes 20] [--studies 500] [--preset NAME ...]

What is finished in DIR is not made again. `--only plan`, `--only NAME` or `--only table` makes one part, so that parts
can be made one after another, or side by side, as the machine allows.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen_zoo.reproduce.preset import load_preset

from reportgen_core import Collection, GenerationSettings, TrainSettings, compose, train
from reportgen_core.models.loading import load_model
from reportgen_core.registries import datasets
from reportgen_core.scoring.comparison import paired_tests
from reportgen_core.scoring.evaluation import evaluate
from reportgen_core.scoring.evaluation_folder import SavedEvaluation, load_evaluation, save_evaluation
from reportgen_core.scoring.evaluation_set import EvaluationRequest

PRESETS = ("jing-coattention", "soft-att", "ditag-baseline", "tienet-igr")
SECTIONS = ("impression", "findings")
FINDINGS, CIDER = "chexpert-rules micro-14 f1", "cider"
PLAN = "plan"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared, and where."""

    out: Path
    minutes: float
    options: Mapping[str, Any]
    presets: Sequence[str]

    @property
    def run(self) -> Path:
        """Return the folder of the plan's run."""
        return self.out / "run"

    def plan_times(self) -> Mapping[str, float]:
        """Return the seconds of `rg plan make` and of `rg plan run`, and the processor seconds of both."""
        path = self.out / "plan-times.json"
        if not path.exists():
            raise SystemExit(f"{path} is not there: --only {PLAN} is to be made first")
        times: dict[str, float] = json.loads(path.read_text())
        return times

    def studies(self) -> Collection:
        """Return the studies of the phantom."""
        return datasets.create("phantom", self.out / "phantom", **self.options).read()


class Over(Exception):
    """The time of a preset is over."""


def make_and_run_plan(comparison: Comparison) -> None:
    """Make the plan and run it, each in a process of its own, and write what they took."""
    options = [word for k, v in comparison.options.items() for word in ("--data-option", f"{k}={v}")]
    sections = [word for s in SECTIONS for word in ("--section", s)]
    plan, hours = comparison.out / "plan.json", str(comparison.minutes / 60)
    make = ["make", "phantom", "--data-root", str(comparison.out / "phantom"), *options, *sections, "--hours", hours]
    seconds, used = [], _processor_seconds()
    for command in ([*make, "--out", str(plan)], ["run", str(plan), "--hours", hours, "--out", str(comparison.run)]):
        before = time.perf_counter()
        subprocess.run([sys.executable, "-m", "reportgen_cli", "plan", *command], check=True)
        seconds.append(time.perf_counter() - before)
    facts = {"make": seconds[0], "seconds": seconds[1], "processor": _processor_seconds() - used}
    (comparison.out / "plan-times.json").write_text(json.dumps(facts))


def train_preset(comparison: Comparison, name: str) -> None:
    """Train a preset with the settings of its paper until its time is over, and write its folder."""
    limit = comparison.plan_times()["processor"]
    began, used = time.perf_counter(), _processor_seconds()
    preset = load_preset(name)
    parts = preset.compose
    options = {k: v for k, v in parts.encoder_options.items() if k != "pretrained"}
    model = compose(
        parts.encoder, parts.decoder, encoder_options=options, decoder_options=parts.decoder_options,
        text=preset.text_spec(),
    )  # fmt: skip
    collection, steps = comparison.studies(), [0, 0]

    def watch(record: Mapping[str, Any]) -> None:
        steps[0] += record["kind"] == "step"
        steps[1] += record["kind"] == "epoch"
        if record["kind"] == "step" and _processor_seconds() - used > limit:
            raise Over

    out = comparison.out / name
    learn, val = (collection.split(split) for split in ("train", "val"))
    with contextlib.suppress(Over):
        train(model, learn, val, out=out / "training", settings=TrainSettings.of(preset.train), watch=watch)
    seconds = time.perf_counter() - began
    facts = {"steps": steps[0], "epochs": steps[1], "seconds": seconds, "processor": _processor_seconds() - used}
    (out / "times.json").write_text(json.dumps(facts))


def score(comparison: Comparison, name: str) -> SavedEvaluation:
    """Score a model on the test studies, once, and return the evaluation."""
    folder = comparison.out / "scores" / name
    if not (folder / "scores.json").exists():
        plan = name == PLAN
        model = load_model(comparison.run / "model" if plan else comparison.out / name / "training" / "best")
        chosen = json.loads((comparison.run / "results.json").read_text())["chosen"] if plan else name
        preset = load_preset(chosen)
        request = EvaluationRequest(
            sections=SECTIONS, split="test", dataset="phantom", baselines=False, name=name,
            metrics=("bleu", CIDER, "chexpert-rules"), settings=GenerationSettings(**preset.generation),
        )  # fmt: skip
        save_evaluation(evaluate(model, comparison.studies(), request), folder)
    return load_evaluation(folder)


def table(comparison: Comparison) -> str:
    """Return the scores, the paired differences to the plan's model, and the times, as Markdown."""
    plan = score(comparison, PLAN)
    lines = [
        "| | finding F1 | minus the plan's | CIDEr | minus the plan's | epochs | steps | minutes | of a processor |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    times = comparison.plan_times()
    chosen = json.loads((comparison.run / "results.json").read_text())["chosen"]
    lines.append(_row(f"the plan: `{chosen}`", plan, None, {**times, "epochs": "–", "steps": "–"}))
    for name in comparison.presets:
        facts = json.loads((comparison.out / name / "times.json").read_text())
        if facts["epochs"]:
            lines.append(_row(f"`{name}`", score(comparison, name), plan, facts))
        else:
            lines.append(f"| `{name}` | no epoch was finished: no model | | | | {_work(facts)} |")
    return "\n".join(lines)


def _row(title: str, run: SavedEvaluation, plan: SavedEvaluation | None, facts: Mapping[str, Any]) -> str:
    problems: dict[str, str] = {}
    tests = {} if plan is None else paired_tests(run, plan, problems=problems)
    if problems:
        raise SystemExit(f"{title}: " + "; ".join(f"{metric}: {why}" for metric, why in problems.items()))
    cells = []
    for metric in (FINDINGS, CIDER):
        line, test = run.systems[0].line(metric), tests.get(metric)
        if line is None:
            raise SystemExit(f"{title} has no {metric}")
        cells.append(f"{line.value:.3f}" + (f" ({line.low:.3f}-{line.high:.3f})" if line.low is not None else ""))
        cells.append("" if test is None else f"{test.value:+.3f} ({test.low:+.3f} to {test.high:+.3f}), p {test.p:.3f}")
    return f"| {title} | {' | '.join(cells)} | {_work(facts)} |"


def _work(facts: Mapping[str, Any]) -> str:
    minutes = [f"{facts[key] / 60:.1f}" for key in ("seconds", "processor")]
    return " | ".join([str(facts["epochs"]), str(facts["steps"]), *minutes])


def _processor_seconds() -> float:
    """Return the processor time of this process and of those that it started and that have ended."""
    return sum(
        u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the images, the plan and the models")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--size", type=int, default=224, help="pixels of the drawings")
    parser.add_argument("--preset", action="append", help="in place of " + ", ".join(PRESETS))
    parser.add_argument("--only", help=f"make one part: {PLAN}, a preset, or table")
    given = parser.parse_args()
    options = {"n": given.studies, "size": given.size, "views": 1}
    comparison = Comparison(given.out.absolute(), given.minutes, options, tuple(given.preset or PRESETS))
    comparison.out.mkdir(parents=True, exist_ok=True)
    if given.only in (None, PLAN) and not (comparison.out / "plan-times.json").exists():
        make_and_run_plan(comparison)
    for name in comparison.presets:
        if given.only == name or (given.only is None and not (comparison.out / name / "times.json").exists()):
            train_preset(comparison, name)
    if given.only in (None, "table"):
        print(table(comparison))


if __name__ == "__main__":
    main()
