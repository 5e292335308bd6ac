"""Run `rg reproduce`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import OptionError
from reportgen_core.registries import presets

from ..dataset_input import ROOT_HELP, read_dataset
from ..options import FOLDER, completes, device_option, pick_device, values
from ..render import TrainingProgress, print_tables
from ..terminal.echo import say

if TYPE_CHECKING:
    from reportgen_zoo.reproduce.record import Reproduction, ReproductionRequest

    from reportgen_core.scoring.evaluation import Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class ReproduceOptions:
    """The options of `rg reproduce` that are the same for every preset."""

    data: str
    data_root: Path | None
    data_options: tuple[str, ...]
    scale: str
    epochs: int | None
    limit: int | None
    seed: int
    out: Path
    cache: bool
    device: str

    def request(self, preset: str) -> ReproductionRequest:
        """Return the request for one preset."""
        from reportgen_zoo.reproduce.run import reproduction_request

        return reproduction_request(
            preset, self.data, parse_options(self.data_options), scale=self.scale, epochs=self.epochs,
            limit=self.limit, seed=self.seed,
        )  # fmt: skip

    def arguments(self) -> list[str]:
        """Return the options as they are written on the command line."""
        words = ["--data", self.data, "--scale", self.scale, "--seed", str(self.seed), "--out", str(self.out)]
        for flag, value in (("--epochs", self.epochs), ("--limit", self.limit), ("--data-root", self.data_root)):
            words += [] if value is None else [flag, str(value)]
        for name, value in parse_options(self.data_options).items():
            words += ["--data-option", f"{name}={json.dumps(value)}"]
        return [*words, "--device", self.device, "--cache" if self.cache else "--no-cache"]


@click.command()
@click.argument("preset", required=False, shell_complete=completes("presets"))
@click.option("--all", "every", is_flag=True, help="Every preset that writes reports, each in a process of its own.")
@click.option(
    "--data", required=True, metavar="NAME", shell_complete=completes("datasets"), help="See rg list datasets."
)
@click.option("--data-root", type=click.Path(path_type=Path), help=ROOT_HELP)
@values("--data-option", "data_options", "Of the dataset; rg info NAME lists them.")
@click.option(
    "--scale", type=click.Choice(["paper", "small", "medium"]), default="paper", show_default=True, help="See below."
)
@click.option("--epochs", type=click.IntRange(1), help="Instead of the preset's, or of the scale's.")
@click.option("--limit", type=click.IntRange(1), help="At most so many studies of each split, the first ones.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option(
    "--out", type=FOLDER, default=Path("reproduced"), show_default=True, help="A folder for each preset here."
)
@click.option("--cache/--no-cache", default=True, show_default=True, help="Keep resized images on disk.")
@device_option()
def reproduce(preset: str | None, every: bool, **options: Any) -> None:
    """Train and score PRESET, and print its paper's row, ours, a constant sentence's and the nearest image's.

    \b
    Example: rg reproduce jing-coattention --data iu-xray --data-root NLMCXR
    Example: rg reproduce --all --data phantom --scale small

    Scale paper takes the preset as it stands, which is a GPU's work. Scale small gives every system the same small
    encoder, image size and budget, so that a CPU compares decoders like with like; medium is eight times the studies.
    What is finished in --out is not made again, and what was stopped goes on; with --all a preset that fails is named,
    and the others are made.
    """
    if every == (preset is not None):
        raise OptionError("reproduce needs PRESET or --all, one of them")
    given = ReproduceOptions(**options)
    if preset is None:
        _reproduce_all(given)
        return
    record = _reproduce(preset, given)
    from reportgen_zoo.reproduce.result_tables import preset_table

    print_tables([preset_table(record)])
    say(str(given.out / preset / "reproduction.md"), err=True)


def _reproduce(preset: str, given: ReproduceOptions) -> Reproduction:
    from reportgen_zoo.reproduce.run import finished
    from reportgen_zoo.reproduce.run import reproduce as make

    from reportgen_core.data.images import default_cache

    request, out = given.request(preset), given.out
    if (earlier := finished(preset, request, out)) is not None:
        say(f"{preset} is finished in {out / preset}", err=True)
        return earlier
    collection = read_dataset(given.data, given.data_root, request.options)
    with TrainingProgress(command="reproduce") as progress:
        return make(
            preset, collection, request, out=out, device=pick_device(given.device),
            cache=default_cache() if given.cache else None, watch=progress, on_evaluation=_write_page,
        )  # fmt: skip


def _write_page(evaluation: Evaluation, folder: Path) -> None:
    """Write the page and the curves of an evaluation, as `rg eval --out` does."""
    from ..pages.evaluation_page import write_page

    write_page(evaluation, folder)


def _reproduce_all(given: ReproduceOptions) -> None:
    from reportgen_zoo.reproduce.result_tables import system_tables
    from reportgen_zoo.reproduce.run import finished, presets_that_write

    from reportgen_core.files.atomic import atomic_write
    from reportgen_core.scoring.score_tables import as_json, as_markdown

    names = presets_that_write(list(presets))
    records, failed, out = [], [], given.out
    for i, name in enumerate(names, 1):
        request = given.request(name)
        if finished(name, request, out) is None:
            say(f"{i} of {len(names)}: {name}", err=True)
            if why := _in_other_process(name, given):
                failed.append((name, why))
                continue
        if (record := finished(name, request, out)) is not None:
            records.append(record)
    tables = system_tables(records, failed)
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(out / "systems.md", as_markdown(tables))
    atomic_write(out / "systems.json", as_json({"systems": [r.to_json() for r in records], "failed": dict(failed)}))
    print_tables(tables)
    if failed:
        click.get_current_context().exit(1)


def _in_other_process(preset: str, given: ReproduceOptions) -> str:
    """Reproduce one preset in another process, which frees its memory. Return why it failed; "" if it did not."""
    command = [sys.executable, "-m", "reportgen_cli", "reproduce", preset, *given.arguments()]
    last = ""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        try:
            for line in child.stderr:
                say(line.rstrip("\r\n"), err=True)
                last = line.strip() or last
        except BaseException:  # SIGTERM or Ctrl-C: the child ends with us
            child.terminate()
            raise
    return "" if child.returncode == 0 else last or f"it ended with {child.returncode}"
