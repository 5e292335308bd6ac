"""Run `rg plan make`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import OptionError

from ...dataset_input import ROOT_HELP
from ...options import completes, part, values
from ...render import print_tables
from ...terminal.echo import say, say_json
from ...terminal.progress import Heartbeat


@click.command()
@click.argument("name", metavar="DATA", shell_complete=completes("datasets"))
@click.option("--out", default=Path("plan.json"), show_default=True, metavar="PLAN", help="The file of the plan.",
              type=click.Path(path_type=Path, dir_okay=False))  # fmt: skip
@click.option("--data-root", "root", type=click.Path(path_type=Path), help=ROOT_HELP)
@values("--data-option", "options", "Of the dataset; rg info NAME lists them.")
@click.option("--section", "sections", multiple=True, help="Of the report; may be given again.")
@click.option("--labels", default="", metavar="SOURCE", help="data, mesh, a metric that labels reports, or none.")
@part("--encoder", "encoders", "In place of the one that the rules take.")
@values("--encoder-option", "encoder_options", "Of that encoder.")
@click.option("--weights", default="", metavar="FILE", help="What the encoder starts from; with --encoder.")
@click.option("--size", type=click.IntRange(16, 4096), help="Pixels of an image's sides.")
@click.option("--preset", "presets", multiple=True, shell_complete=completes("presets"),
              help="Judge and measure this one only; may be given again.")  # fmt: skip
@click.option("--measure", "measured", default=6, show_default=True, type=click.IntRange(1),
              help="How many of the presets that can learn are measured.")  # fmt: skip
@click.option("--hours", default=1.0, show_default=True, type=click.FloatRange(min=0, min_open=True),
              help="Say what a run of so many hours trains.")  # fmt: skip
@click.option("--allow-leaks", is_flag=True, help="Take a split whose patients or images leak.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON, without its studies.")
def make(name: str, out: Path, hours: float, as_json: bool, **options: Any) -> None:
    """Make a plan for a dataset: what can learn from it, with which settings, in which time and memory.

    \b
    Example: rg plan make reports.csv --out plan.json
    Example: rg plan make iu-xray --data-root NLMCXR --section findings --out plan.json --hours 2

    DATA is the name of a dataset, a table, or a folder with a table. A few steps of each preset are trained, which
    measures time and memory here; nothing is kept of that. The plan is a file, which may be edited: rg plan run PLAN.
    """
    from ...plan.making.make import MakeRequest, make_plan, save_plan
    from ...plan.making.rules import Wishes
    from ...plan.making.show import plan_tables

    wishes = Wishes(
        sections=options["sections"], labels=options["labels"], size=options["size"] or 0,
        encoder=options["encoder"] or "", encoder_options=parse_options(options["encoder_options"]),
        weights=options["weights"], seed=options["seed"],
    )  # fmt: skip
    if wishes.encoder_options and not wishes.encoder:
        raise OptionError("--encoder-option needs --encoder NAME")
    request = MakeRequest(
        name=name, root=options["root"], options=parse_options(options["options"]), wishes=wishes,
        presets=options["presets"], measured=options["measured"], allow_leaks=options["allow_leaks"], out=out,
    )  # fmt: skip
    with Heartbeat("plan make") as progress:
        plan = make_plan(request, progress)
    save_plan(plan, out)
    if as_json:
        say_json({k: v for k, v in asdict(plan).items() if k != "studies"}, indent=1)
    else:
        print_tables(plan_tables(plan, hours))
    for warning in plan.warnings:
        say(f"warning  {warning}", err=as_json)
    say(out, err=as_json)
