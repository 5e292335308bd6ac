"""Options that several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from reportgen_core import OptionError

from .registry_names import KINDS

FOLDER = click.Path(file_okay=False, path_type=Path)
JSON_VALUES = "K=V, where V is JSON or else text; may be given again."


def completes(kind: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Shell completion with the registered names of a kind."""

    def names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(n, help=e.summary) for n, e in KINDS[kind].items() if n.startswith(incomplete)]

    return names


def part(flag: str, kind: str, text: str) -> Callable[[Any], Any]:
    """An option that names a registered part."""
    return click.option(flag, metavar="NAME", shell_complete=completes(kind), help=text)


def values(flag: str, name: str, text: str) -> Callable[[Any], Any]:
    """An option that is given as K=V, any number of times."""
    return click.option(flag, name, multiple=True, metavar="K=V", help=f"{text} {JSON_VALUES}")


def print_note(note: str) -> None:
    """Tell the user how a file was read."""
    click.echo(f"rg: {note}", err=True)


def images_and_model(command: Callable[..., Any]) -> Callable[..., Any]:
    """Images, the model that reads them, and how it writes: what every command that writes reports takes."""
    for add in reversed(
        (
            click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE..."),
            click.option(
                "--model",
                metavar="NAME|DIR",
                help="A model of the zoo or a folder; without it, the one that ships inside.",
            ),
            click.option("--study", "as_study", is_flag=True, help="All images are views of one study."),
            click.option("--beams", default=1, show_default=True, type=click.IntRange(1, 100), help="1 is greedy."),
        )
    ):
        command = add(command)
    return command


def device_option() -> Callable[[Any], Any]:
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where to run.",
    )


def pick_device(name: str) -> str:
    """The device that `auto` means on this machine. Raises OptionError for one that it has not."""
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, usable in there.items() if usable)
    if not there[name]:
        raise OptionError(f"--device {name}: torch finds no such device here; rg doctor says what there is")
    return name
