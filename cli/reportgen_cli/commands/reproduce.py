"""`rg reproduce`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reportgen_cli.option_values import parse_options
from reportgen_core import OptionError
from reportgen_core.registries import presets

from ..dataset_input import ROOT_HELP, read_dataset
from ..options import FOLDER, completes, device_option, pick_device, values
from ..render import Training, print_tables

if TYPE_CHECKING:
    from reportgen_zoo.reproduce.record import Asked, Reproduction


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
def reproduce(preset: str | None, every: bool, **how: Any) -> None:
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
    if every:
        _all(how)
        return
    assert preset is not None
    made = _one(preset, how)
    from reportgen_zoo.reproduce.result_tables import one

    print_tables([one(made)])
    click.echo(str(how["out"] / preset / "reproduction.md"), err=True)


def _one(name: str, how: dict[str, Any]) -> Reproduction:
    from reportgen_zoo.reproduce.run import finished
    from reportgen_zoo.reproduce.run import reproduce as make

    from reportgen_core.data.images import default_cache

    asked, out = _asked(name, how), how["out"]
    if (there := finished(name, asked, out)) is not None:
        click.echo(f"{name} is finished in {out / name}", err=True)
        return there
    collection = read_dataset(how["data"], how["data_root"], asked.options)
    with Training() as shown:
        return make(
            name, collection, asked, out=out, device=pick_device(how["device"]),
            cache=default_cache() if how["cache"] else None, watch=shown,
        )  # fmt: skip


def _asked(name: str, how: dict[str, Any]) -> Asked:
    from reportgen_zoo.reproduce.run import asked_for

    given = {k: how[k] for k in ("scale", "epochs", "limit", "seed")}
    return asked_for(name, how["data"], parse_options(how["data_options"]), **given)


def _all(how: dict[str, Any]) -> None:
    from reportgen_zoo.reproduce.result_tables import together
    from reportgen_zoo.reproduce.run import finished, presets_that_write

    from reportgen_core.files.atomic import atomic_write
    from reportgen_core.scoring.score_tables import as_json, as_markdown

    names = presets_that_write(list(presets))
    made, failed, out = [], [], how["out"]
    for i, name in enumerate(names, 1):
        asked = _asked(name, how)
        if finished(name, asked, out) is None:
            click.echo(f"{i} of {len(names)}: {name}", err=True)
            if why := _apart(name, how):
                failed.append((name, why))
                continue
        if (there := finished(name, asked, out)) is not None:
            made.append(there)
    shown = together(made, failed)
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(out / "systems.md", as_markdown(shown))
    atomic_write(out / "systems.json", as_json({"systems": [m.to_json() for m in made], "failed": dict(failed)}))
    print_tables(shown)
    if failed:
        click.get_current_context().exit(1)


def _apart(name: str, how: dict[str, Any]) -> str:
    """Reproduce one preset in another process, which frees its memory; what went wrong, or "" where nothing did."""
    command = [sys.executable, "-m", "reportgen_cli", "reproduce", name, *_arguments(how)]
    last = ""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:
            click.echo(line, nl=False, err=True)
            last = line.strip() or last
    return "" if child.returncode == 0 else last or f"it ended with {child.returncode}"


def _arguments(how: dict[str, Any]) -> list[str]:
    """The options again, as they are written."""
    said = ["--data", how["data"], "--scale", how["scale"], "--seed", str(how["seed"]), "--out", str(how["out"])]
    for name in ("epochs", "limit"):
        said += [] if how[name] is None else [f"--{name}", str(how[name])]
    said += [] if how["data_root"] is None else ["--data-root", str(how["data_root"])]
    for name, value in parse_options(how["data_options"]).items():
        said += ["--data-option", f"{name}={json.dumps(value)}"]
    return [*said, "--device", how["device"], "--cache" if how["cache"] else "--no-cache"]
