"""Write the card of the model that a plan chose: what it learned from, how it was chosen, its scores and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reportgen_zoo.manifest.cards import LIMITS
from reportgen_zoo.reproduce.preset import load_preset

from ..making.show import setting_rows
from ..settled.plan_file import Plan
from .result import BASELINE, CHOSEN, RunResult, result_table


def model_card(plan: Plan, result: RunResult) -> str:
    """Return the card as Markdown."""
    return "\n".join(_lines(plan, result)).rstrip() + "\n"


def _lines(plan: Plan, result: RunResult) -> Iterator[str]:
    preset, row = load_preset(result.chosen), result.row(result.chosen)
    yield f"# {result.chosen}, trained on {plan.data.called}\n"
    yield f"The preset `{result.chosen}` ({preset.summary}), with the encoder and the sizes of a plan.\n"
    yield "## What it is\n"
    yield f"- system: `{result.chosen}`, {preset.paper}"
    yield f"- encoder: `{plan.rules.encoder}`, {plan.rules.image_size} pixels, {plan.rules.views} view(s)"
    yield f"- starts from: {Path(plan.rules.weights).name or 'random weights'}"
    if plan.data.sections:
        yield f"- writes: {' then '.join(plan.data.sections)}"
    yield f"\n## Intended use and limits\n\n{LIMITS}\n"
    yield "## Training\n"
    counts = ", ".join(f"{n} {split}" for split, n in plan.counts.items())
    yield f"Data: {plan.data.called}; studies: {counts}. Labels: {plan.data.labels or 'none'}. {row.epochs} epochs.\n"
    yield f"{result.why}.\n"
    yield "## Scores\n"
    table = result_table(result)
    shown = [r for r in table.rows if r[-1] in (CHOSEN, BASELINE)]
    yield f"| {' | '.join(table.header)} |\n{'|---' * len(table.header)}|"
    yield from (f"| {' | '.join(cells)} |" for cells in shown)
    yield from (f"\n{line}." for line in table.foot[1:])
    yield "\n## Settings\n\n| kind | setting | value | why |\n|---|---|---|---|"
    yield from (f"| {' | '.join(cells)} |" for cells in setting_rows(plan))
