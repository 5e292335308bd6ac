"""Share the time of a run: how long the encoder learns, and which presets are trained for how many epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from reportgen_core import OptionError

from .plan_file import Cost, Plan

KEPT = 0.92  # share of the time that is planned; the rest is for a machine that is slower than it was
SCHOOL = 0.35  # share of the time that the schooling of the encoder may take
LEAST_SCHOOL = 3  # epochs


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a run trains in its time."""

    hours: float
    encoder_epochs: int  # 0: the encoder has no schooling
    epochs: Mapping[str, int]  # of each preset that is trained, in their order
    seconds: Mapping[str, float]  # predicted, of the encoder ("encoder") and of each preset
    scoring: float  # predicted seconds of the baselines and of test
    left: Mapping[str, str] = field(default_factory=dict)  # a preset that is tried by the plan, and why not here

    @property
    def total(self) -> float:
        """Return the predicted seconds of the whole run."""
        return sum(self.seconds.values()) + self.scoring

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return asdict(self)


def make_schedule(plan: Plan, hours: float) -> Schedule:
    """Return what is trained in so many hours. Raises OptionError if not even one epoch of one preset fits."""
    names = plan.tried.presets
    scoring = _scoring(plan)
    budget = KEPT * hours * 3600 - scoring
    school, school_seconds = _schooling(plan, budget)
    rest = budget - school_seconds
    for count in range(min(plan.rules.most_presets, len(names)), 0, -1):
        epochs = _shares(plan, names[:count], rest)
        if all(n >= _least(plan) for n in epochs.values()):
            break
    if not epochs or min(epochs.values()) < 1:
        raise OptionError(_too_short(plan, hours, scoring, school_seconds))
    seconds = {name: _seconds(plan, name, n) for name, n in epochs.items()}
    left = {n: f"{plan.rules.most_presets} presets are trained at most" for n in names[len(epochs) :]}
    if len(epochs) < min(plan.rules.most_presets, len(names)):
        left = {n: f"{_least(plan)} epochs do not fit in {60 * hours:.0f} minutes" for n in left}
    schooled = {"encoder": school_seconds} if school else {}
    return Schedule(hours, school, epochs, {**schooled, **seconds}, scoring, left)


def _least(plan: Plan) -> int:
    return min(plan.rules.least_epochs, plan.rules.epochs)


def _seconds(plan: Plan, name: str, epochs: int) -> float:
    candidate = plan.presets[name]
    return candidate.cost.seconds(epochs, plan.steps(candidate.batch_size))


def _fitting(cost: Cost, steps: int, seconds: float, most: int) -> int:
    """Return the most epochs, 0..most, that fit in so many seconds."""
    return max((n for n in range(1, most + 1) if cost.seconds(n, steps) <= seconds), default=0)


def _shares(plan: Plan, names: tuple[str, ...], rest: float) -> dict[str, int]:
    """Return the epochs of each preset: equal shares of the time, and what one does not need is for the others."""
    waiting = sorted(names, key=lambda name: _seconds(plan, name, plan.rules.epochs))
    epochs = {}
    for done, name in enumerate(waiting):
        candidate = plan.presets[name]
        share = rest / (len(waiting) - done)
        epochs[name] = _fitting(candidate.cost, plan.steps(candidate.batch_size), share, plan.rules.epochs)
        rest -= _seconds(plan, name, epochs[name]) if epochs[name] else 0.0
    return {name: epochs[name] for name in names}


def _schooling(plan: Plan, budget: float) -> tuple[int, float]:
    """Return epochs and seconds of the encoder's schooling; (0, 0) if it has none."""
    schooling, cost = plan.rules.schooling, plan.encoder_cost
    if not schooling or cost is None:
        return 0, 0.0
    steps = plan.steps(int(schooling["batch_size"]))
    most = int(schooling["epochs"])
    epochs = max(_fitting(cost, steps, SCHOOL * budget, most), min(LEAST_SCHOOL, most))
    return epochs, cost.seconds(epochs, steps)


def _scoring(plan: Plan) -> float:
    """Return the seconds of two further processes, which score baselines and test."""
    costs = [plan.presets[name].cost for name in plan.tried.presets]
    share = plan.counts["test"] / plan.counts["val"] + 1
    return 2 * max(c.start for c in costs) + share * max(c.finish for c in costs)


def _too_short(plan: Plan, hours: float, scoring: float, school: float) -> str:
    """Return why nothing fits, and how long a run must be."""
    cheapest = min(plan.tried.presets, key=lambda name: _seconds(plan, name, 1))
    least = (_seconds(plan, cheapest, 1) + scoring + school) / KEPT / 3600
    return (
        f"--hours {hours:.4g} is too short: one epoch of {cheapest}, with the encoder and the scores, takes about "
        f"{least * 60:.0f} minutes; give --hours {1.1 * least:.2f} or more"
    )
