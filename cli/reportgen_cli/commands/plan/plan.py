"""Run `rg plan`: look at a dataset before anything is trained on it, make a plan, and run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reportgen_cli.option_values import parse_options
from reportgen_core.registries import datasets

from ...dataset_input import ROOT_HELP, meant_dataset, read_dataset
from ...options import FOLDER, completes, values
from ...terminal.echo import say, say_json
from ...terminal.groups import Commands
from ...terminal.progress import Heartbeat
from .make import make
from .run import run

if TYPE_CHECKING:
    from ...plan.fingerprint import Fingerprint

LABELER, NONE = "chexpert-rules", "none"


@click.group(cls=Commands)
def plan() -> None:
    """From a dataset to the best model that this machine can make: look, make a plan, run it.

    \b
    Example: rg plan look reports.csv --out look
    Example: rg plan make reports.csv --out plan.json
    Example: rg plan run plan.json --hours 2
    """


plan.add_command(make)
plan.add_command(run)


@plan.command()
@click.argument("name", metavar="DATA", shell_complete=completes("datasets"))
@click.option("--data-root", "root", type=click.Path(path_type=Path), help=ROOT_HELP)
@values("--data-option", "options", "Of the dataset; rg info NAME lists them.")
@click.option("--section", "sections", multiple=True, default=("findings",), show_default=True,
              help="Of the report; may be given again.")  # fmt: skip
@values("--text", "text", "How reports become words, as rg train takes it.")
@click.option("--labeler", default=LABELER, show_default=True, help="A metric that labels texts, or none.")
@click.option("--images", "sample", default=200, show_default=True, type=click.IntRange(0),
              help="How many images are decoded.")  # fmt: skip
@click.option("--out", type=FOLDER, default=Path("look"), show_default=True, help="The folder to write into.")
@click.option("--json", "as_json", is_flag=True, help="Print the fingerprint as JSON, too.")
def look(
    name: str, root: Path | None, options: tuple[str, ...], sections: tuple[str, ...], text: tuple[str, ...],
    labeler: str, sample: int, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Measure a dataset, and warn of what is wrong with it. Nothing is trained.

    \b
    Example: rg plan look reports.csv --out look
    Example: rg plan look iu-xray --data-root NLMCXR --section findings --section impression

    DATA is the name of a dataset, a table, or a folder with a table. Writes fingerprint.json, and fingerprint.html, a
    page with pictures. Neither has a report or an image in it. Reports alone are enough; images that are missing are
    counted.
    """
    from reportgen_core.files.atomic import atomic_write
    from reportgen_core.files.json_files import write_json
    from reportgen_core.text.spec import TextSpec

    from ...pages.shared.origin import Origin, today
    from ...plan.advice import warnings_of
    from ...plan.fingerprint import take_fingerprint
    from ...plan.page import fingerprint_page

    spec = TextSpec.from_json({**parse_options(text), "sections": list(sections)}, what="--text")
    registered, _ = meant_dataset(name, root)
    free = {"require_images": False} if "require_images" in datasets.options(registered) else {}
    with Heartbeat("plan look") as progress:
        progress.say("reading the dataset")
        collection = read_dataset(name, root, {**free, **parse_options(options)})
        fingerprint = take_fingerprint(name, collection, spec, "" if labeler == NONE else labeler, sample, progress)
    warnings = warnings_of(fingerprint)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "fingerprint.json", fingerprint.to_json(warnings), sort=False)
    atomic_write(out / "fingerprint.html", fingerprint_page(fingerprint, warnings, Origin(date=today())))
    if as_json:
        say_json(fingerprint.to_json(warnings), indent=1)
    else:
        _print(fingerprint)
    for warning in warnings:
        say(f"warning  {warning}", err=as_json)
    say(out / "fingerprint.html", err=as_json)


def _print(fingerprint: Fingerprint) -> None:
    """Print the facts that a reader looks for first."""
    from ...plan.numbers import percent

    studies, texts, images, read = fingerprint.studies, fingerprint.texts, fingerprint.images, fingerprint.read
    splits = ", ".join(f"{name or 'no split'} {facts['studies']}" for name, facts in studies.splits.items())
    say(fingerprint.source)
    say(f"studies  {studies.studies}: {splits}; {studies.patients or 'no'} patients")
    if texts is not None:
        say(
            f"reports  {texts.reports}, {texts.distinct} distinct; words {texts.words.median} (median), "
            f"{texts.words.p95} (95 %), {texts.words.greatest} (most); sentences {texts.sentences.median}, "
            f"{texts.sentences.p95}, {texts.sentences.greatest}; {percent(texts.cut.by_any, texts.reports)} cut"
        )
        say(f"words    {texts.vocabulary} distinct in {texts.tokens}; {texts.once} occur once")
    if read is not None:
        common = ", ".join(f"{f.name} {f.present}" for f in read.findings[:4] if f.present)
        normal = f"{percent(read.normal, read.labelled)} normal; " if read.normal is not None else ""
        say(f"findings {normal}{common or 'none is stated'} (by {read.source})")
    sizes = ", ".join(f"{size} ({n})" for size, n in list(images.sample_sizes.items())[:3])
    say(f"images   {images.files} of {images.files + images.missing} files there" + (f"; {sizes}" if sizes else ""))
