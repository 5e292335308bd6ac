"""Run `rg plan run`."""

from __future__ import annotations

from pathlib import Path

import click

from reportgen_core.training.lock import lock_run

from ...options import FOLDER
from ...render import print_tables
from ...terminal.echo import say, say_json


@click.command()
@click.argument("file", metavar="PLAN", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--hours", default=1.0, show_default=True, type=click.FloatRange(min=0, min_open=True),
              help="The time for all trainings and scores.")  # fmt: skip
@click.option("--out", type=FOLDER, help="The run's folder; without it, PLAN without its ending, and -run.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def run(file: Path, hours: float, out: Path | None, as_json: bool) -> None:
    """Train what fits the time, choose on validation, and score the choice on test once.

    \b
    Example: rg plan run plan.json --hours 2

    The same command goes on where a run was stopped. The model is in RUN/model, the result in RUN/results.json and on
    the page RUN/results.html. A preset that fails has a row that says why, and the others are trained.
    """
    from ...plan.running.finish import finish_run
    from ...plan.running.result import FAILED, result_table
    from ...plan.running.run import begin_run

    folder = out or Path(f"{file.with_suffix('')}-run")
    with lock_run(folder):
        begun = begin_run(file, folder, hours, lambda line: say(line, err=True))
        result = finish_run(begun)
    if as_json:
        say_json(result.to_json(), indent=1)
    else:
        print_tables([result_table(result)])
    say(folder / "results.html", err=True)
    say(folder / "model", err=as_json)
    if any(row.state == FAILED for row in result.rows):
        click.get_current_context().exit(1)
