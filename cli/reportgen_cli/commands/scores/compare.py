"""Run `rg compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen_core import DataError

from ...options import FOLDER
from ...pages.shared.origin import DIGITS, Origin, today
from ...render import print_tables
from ...terminal.echo import say

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
@click.option("--out", type=FOLDER, help="Write the page comparison.html, and the tables as .md and .tex, here.")
@click.option("--images", type=FOLDER, help="With --out: show the studies' images from this folder.")
def compare(
    runs: tuple[Path, ...], anyway: bool, rounds: int, seed: int, output: str, json_output: bool, out: Path | None,
    images: Path | None,
) -> None:  # fmt: skip
    """Put evaluations side by side and test whether they differ from the first.

    \b
    Example: rg compare evaluations/densenet evaluations/vgg --out comparison

    RUN is a folder that rg eval --out wrote. Scores of another protocol, section, split or metric version are refused.
    """
    from reportgen_core.scoring.compared.parts import part_tests
    from reportgen_core.scoring.comparison import compare_evaluations
    from reportgen_core.scoring.evaluation_folder import load_evaluation
    from reportgen_core.scoring.score_tables import as_json

    for path in runs:
        check_run(path)
    evaluations = [load_evaluation(path) for path in runs]
    comparison = compare_evaluations(evaluations, anyway=anyway, rounds=rounds, seed=seed)
    tables = [table for table in (comparison.table, comparison.tests) if table is not None]
    tables += part_tests(evaluations, comparison.differences)
    values = {"json": lambda: as_json(_values(evaluations, comparison))}
    print_tables(tables, "json" if json_output else output, values)
    if out is not None:
        write_comparison(out, runs, evaluations, comparison, images)


def check_run(path: Path) -> None:
    """Raise DataError, with the command that makes an evaluation, for a file of reports, a model or another folder."""
    name = path.resolve().name.split(".")[0] or "one"
    if path.is_file():
        if path.suffix.lower() == ".json":
            return
        what, command = "a file", f"rg eval --predictions {path} --references REFERENCES.csv --out evaluations/{name}"
    elif (path / "scores.json").exists():
        return
    elif (path / "evaluation" / "scores.json").exists():
        raise DataError(f"{path} is no evaluation, and {path / 'evaluation'} is one; name that folder")
    elif (path / "config.json").exists() or (path / "best" / "config.json").exists():
        what, command = "a model", f"rg eval --model {path} --data NAME --data-root DIR --out evaluations/{name}"
    else:
        what = "a folder without scores.json"
        command = f"rg eval --predictions FILE --references FILE --out {path}"
    raise DataError(f"{path} is {what}, and rg compare takes folders that rg eval wrote; {command} writes one")


def write_comparison(
    out: Path,
    runs: Sequence[Path],
    evaluations: Sequence[SavedEvaluation],
    comparison: Comparison,
    images: Path | None,
) -> None:
    """Write the page and the tables of a comparison to the folder `out`."""
    from reportgen_core.files.atomic import atomic_write
    from reportgen_core.scoring.compared.parts import part_tests
    from reportgen_core.scoring.score_tables import as_latex, as_markdown

    from ...pages.evaluation_page import comparison_page

    folders = [run if run.is_dir() else run.parent for run in runs]
    tables = [table for table in (comparison.table, comparison.tests) if table is not None]
    tables += part_tests(evaluations, comparison.differences)
    out.mkdir(parents=True, exist_ok=True)
    html = comparison_page(evaluations, comparison, folders, images=images, origin=_origin(evaluations))
    atomic_write(out / "comparison.html", html)
    atomic_write(out / "comparison.md", as_markdown(tables))
    atomic_write(out / "comparison.tex", as_latex(tables))
    say(f"{out / 'comparison.html'}", err=True)


def _origin(evaluations: Sequence[SavedEvaluation]) -> Origin:
    """Return the origin of a comparison: the models that are known, each with the beginning of its hash."""
    known = [run.model for run in evaluations if run.model.get("name")]
    names = (f"{m['name']} ({m.get('sha256', '')[:DIGITS]})" for m in known)
    return Origin(model=", ".join(names), date=today())


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
