"""Run `rg compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..render import print_tables

if TYPE_CHECKING:
    from reportgen_core.scoring.comparison import Comparison
    from reportgen_core.scoring.evaluation_folder import SavedEvaluation


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="RUN...")
@click.option("--anyway", is_flag=True, help="Put unlike scores into one table, marked.")
@click.option("--rounds", default=10_000, show_default=True, type=click.IntRange(1, 10_000_000), help="Of the test.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--format", "output", type=click.Choice(["table", "json", "markdown", "latex"]), default="table")
@click.option("--json", "json_output", is_flag=True, help="Print JSON, as --format json does.")
def compare(runs: tuple[Path, ...], anyway: bool, rounds: int, seed: int, output: str, json_output: bool) -> None:
    """Put evaluations side by side and test whether they differ from the first.

    \b
    Example: rg compare evaluations/densenet evaluations/vgg

    RUN is a folder that rg eval --out wrote. Scores of another protocol, section, split or metric version are refused.
    """
    from reportgen_core.scoring.comparison import compare_evaluations
    from reportgen_core.scoring.evaluation_folder import load_evaluation
    from reportgen_core.scoring.score_tables import as_json

    evaluations = [load_evaluation(path) for path in runs]
    comparison = compare_evaluations(evaluations, anyway=anyway, rounds=rounds, seed=seed)
    tables = [table for table in (comparison.table, comparison.tests) if table is not None]
    values = {"json": lambda: as_json(_values(evaluations, comparison))}
    print_tables(tables, "json" if json_output else output, values)


def _values(evaluations: Sequence[SavedEvaluation], comparison: Comparison) -> dict[str, Any]:
    """Return JSON values: the table as it is printed, the card and the scores of each run, and the tests."""
    from reportgen_core.scoring.scorecard import card_to_json

    differences = {run: {k: asdict(d) for k, d in scores.items()} for run, scores in comparison.differences.items()}
    rows = [dict(zip(comparison.table.header, row, strict=True)) for row in comparison.table.rows]
    runs = [
        {"name": name, "card": card_to_json(run.card), "scores": [asdict(line) for line in run.systems[0].lines]}
        for name, run in zip(comparison.names, evaluations, strict=True)
    ]
    tested = comparison.tests.foot if comparison.tests else ()
    foot = [*comparison.table.foot, *tested]
    return {"runs": runs, "table": rows, "differences": differences, "unlike": comparison.unlike, "foot": foot}
