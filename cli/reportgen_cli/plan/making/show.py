"""Print a plan: its presets with time and memory, its settings by kind, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from reportgen_core import OptionError
from reportgen_core.scoring.printed.table import PrintedTable

from ...terminal.progress import duration
from ..settled.plan_file import Plan
from ..settled.schedule import Schedule, make_schedule

SHOWN = 60  # characters of a value


def plan_tables(plan: Plan, hours: float) -> list[PrintedTable]:
    """Return the presets of a plan with their costs, and its settings with their reasons."""
    return [_presets(plan, hours), _settings(plan), _left_out(plan)]


def _presets(plan: Plan, hours: float) -> PrintedTable:
    schedule, problem = _fitting(plan, hours)
    rows = []
    if plan.encoder_cost is not None:
        school = plan.rules.schooling
        epochs = schedule.encoder_epochs if schedule else 0
        cost, steps = plan.encoder_cost, plan.steps(int(school["batch_size"]))
        rows.append(
            (
                "encoder, once for all", str(school["batch_size"]), f"{cost.step:.3f}", str(school["epochs"]),
                duration(cost.seconds(int(school["epochs"]), steps)), _memory(cost.memory, cost.gpu_memory),
                f"{epochs} epochs" if epochs else "",
            )
        )  # fmt: skip
    for name, candidate in plan.presets.items():
        cost, epochs = candidate.cost, schedule.epochs.get(name, 0) if schedule else 0
        whole = cost.seconds(plan.rules.epochs, plan.steps(candidate.batch_size))
        rows.append(
            (
                name, str(candidate.batch_size), f"{cost.step:.3f}", str(plan.rules.epochs), duration(whole),
                _memory(cost.memory, cost.gpu_memory), f"{epochs} epochs" if epochs else "not",
            )
        )  # fmt: skip
    header = ("", "batch", "s a step", "epochs", "time", "MiB", f"in {duration(3600 * hours)}")
    machine = plan.machine
    foot = [
        f"measured by 21 steps each: {machine.cpus} processors, load {machine.load:g} before, "
        f"{machine.available} MiB free" + (f", {machine.gpu}" if machine.gpu else "")
    ]
    if schedule:
        foot.append(f"rg plan run --hours {hours:.4g}: about {duration(schedule.total)}, baselines and test included")
    foot += [problem] if problem else []
    return PrintedTable("Presets that can learn", header, tuple(rows), tuple(foot))


def _fitting(plan: Plan, hours: float) -> tuple[Schedule | None, str]:
    try:
        return make_schedule(plan, hours), ""
    except OptionError as e:
        return None, str(e)


def _memory(memory: int, gpu: int) -> str:
    return f"{memory}" + (f" + {gpu} GPU" if gpu else "")


def _settings(plan: Plan) -> PrintedTable:
    return PrintedTable("Settings", ("kind", "setting", "value", "why"), tuple(setting_rows(plan)))


def setting_rows(plan: Plan) -> Iterator[tuple[str, str, str, str]]:
    """Yield the settings of a plan: kind, name, value and reason."""
    text = next(iter(plan.presets.values())).text if plan.presets and plan.data.sections else {}
    limits = {k: v for k, v in text.items() if k in ("max_sentences", "max_words", "max_length", "min_count")}
    batches = {name: candidate.batch_size for name, candidate in plan.presets.items()}
    data = {"sections": list(plan.data.sections), "labels": plan.data.labels or "none", "splits": dict(plan.counts)}
    groups: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("fixed", asdict(plan.fixed)),
        (
            "rule",
            {
                **data,
                **asdict(plan.rules),
                "weights": Path(plan.rules.weights).name,
                **({"text": limits} if limits else {}),
                "batch_size": batches,
            },
        ),
        ("tried", asdict(plan.tried)),
    )
    for kind, values in groups:
        for name, value in values.items():
            yield kind, name, shown_value(value), plan.why.get(name, "")


def shown_value(value: Any) -> str:
    """Return a value in few words."""
    if isinstance(value, Mapping):
        parts = set(map(str, value.values()))
        same = len(parts) == 1 and len(value) > 2
        text = parts.pop() if same else ", ".join(f"{k} {shown_value(v)}" for k, v in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(map(str, value))
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return (text if len(text) <= SHOWN else text[: SHOWN - 1] + "…") or "none"


def _left_out(plan: Plan) -> PrintedTable:
    return PrintedTable("Left out", ("preset", "why"), tuple(plan.left_out.items()), tuple(unmeasured_note(plan)))


def unmeasured_note(plan: Plan) -> list[str]:
    """Return a line on the presets that can learn and were not measured; [] if there are none."""
    names = ", ".join(plan.unmeasured)
    return [f"these can learn, too, and were not measured (--preset NAME, --measure N): {names}"] if names else []
