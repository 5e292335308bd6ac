"""`rg compare`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="RUN...")
@click.option("--anyway", is_flag=True, help="Put unlike scores into one table, marked.")
@click.option("--rounds", default=10_000, show_default=True, type=click.IntRange(1, 10_000_000), help="Of the test.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--format", "shape", type=click.Choice(["table", "json", "markdown", "latex"]), default="table")
def compare(runs: tuple[Path, ...], anyway: bool, rounds: int, seed: int, shape: str) -> None:
    """Put evaluations side by side and test whether they differ from the first.

    \b
    Example: rg compare evaluations/densenet evaluations/vgg

    RUN is a folder that rg eval --out wrote. Scores of another protocol, section, split or metric version are refused.
    """
    from reportgen_core.scoring import score_tables as tables
    from reportgen_core.scoring.comparison import compare_runs
    from reportgen_core.scoring.evaluation_folder import load_run

    found = compare_runs([load_run(r) for r in runs], anyway=anyway, rounds=rounds, seed=seed)
    shown = [t for t in (found.table, found.tests) if t is not None]
    if shape == "json":
        differences = {run: {k: asdict(d) for k, d in scores.items()} for run, scores in found.differences.items()}
        rows = [dict(zip(found.table.header, row, strict=True)) for row in found.table.rows]
        click.echo(tables.as_json({"table": rows, "differences": differences, "unlike": found.unlike}), nl=False)
    elif shape == "table":
        from ..render import table

        for one in shown:
            click.echo(one.title)
            table(one.header, one.rows)
            for line in one.foot:
                click.echo(line)
            click.echo()
    else:
        click.echo({"markdown": tables.as_markdown, "latex": tables.as_latex}[shape](shown), nl=False)
