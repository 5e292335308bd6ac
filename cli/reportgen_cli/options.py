"""Define the options that several commands take."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from reportgen_core import OptionError
from reportgen_core.registry import fold, match_name
from reportgen_core.text.guesses import elsewhere

from .registry_names import KINDS
from .terminal.echo import say

FILE_SUFFIXES = (
    ".bmp", ".csv", ".gif", ".htm", ".html", ".jpeg", ".jpg", ".json", ".jsonl", ".md", ".ndjson", ".npz", ".pdf",
    ".png", ".svg", ".tex", ".tif", ".tiff", ".tsv", ".txt", ".webp", ".xlsx", ".zip",
)  # fmt: skip


def names_a_file(path: Path) -> bool:
    """Return whether a path that is not there yet has the name of a picture, a page or a table."""
    return path.suffix.lower() in FILE_SUFFIXES and not path.exists()


class Folder(click.Path):
    """A folder to write into. The name of a picture, a page or a table that is not there yet is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        path = Path(os.fsdecode(value))
        if names_a_file(path):
            flag = param.opts[0] if param is not None and param.opts else "the option"
            self.fail(
                f"{flag} {path} is the name of a file, and {flag} names a folder for several files; "
                f"write {flag} {path.with_suffix('')}",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


FOLDER = Folder(file_okay=False, path_type=Path)
JSON_VALUES = "K=V, where V is JSON or else text; may be given again."


def completes(kind: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Return the shell completion with the registered names of a kind."""

    def names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(n, help=e.summary) for n, e in KINDS[kind].items() if n.startswith(incomplete)]

    return names


def part(flag: str, kind: str, text: str) -> Callable[[Any], Any]:
    """Return an option that names a registered part. A name that is meant without doubt is the registered one."""

    def find(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        return value if value is None else meant_part(kind, value)

    return click.option(flag, metavar="NAME", shell_complete=completes(kind), help=text, callback=find)


def meant_part(kind: str, name: str) -> str:
    """Return the registered name that a user means, and print a note if it is spelled otherwise. Raises UnknownName."""
    registered = KINDS[kind].find(name)
    if name != registered:
        say(f"note: {name} is the {KINDS[kind].kind} {registered}", err=True)
    return registered


class Words(click.Choice[str]):
    """A choice that also takes a word in capitals, without its end, or in the singular."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        match = match_name(str(value), self.choices) if isinstance(value, str) else None
        if match is not None and fold(match) != fold(value):
            say(f"note: {value} is {match}", err=True)
        if match is None and (part := elsewhere(str(value), "kind of part")):
            self.fail(f"no kind of part is named {value!r}; {part}", param, ctx)
        return super().convert(match or value, param, ctx)


def values(flag: str, name: str, text: str) -> Callable[[Any], Any]:
    """Return an option that is written K=V and may be given any number of times."""
    return click.option(flag, name, multiple=True, metavar="K=V", help=f"{text} {JSON_VALUES}")


def print_note(note: str) -> None:
    """Print a note on stderr about how a file was read."""
    say(f"rg: {note}", err=True)


def images_and_model(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments of every command that writes reports: images, the model, `--study` and `--beams`."""
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
            send_images_option(),
        )
    ):
        command = add(command)
    return command


def send_images_option() -> Callable[[Any], Any]:
    """Return the option `--send-images` of the commands that may ask an endpoint."""
    return click.option(
        "--send-images", is_flag=True, help="Allow a model that is an address elsewhere to be sent the images."
    )


def raw_cells_option() -> Callable[[Any], Any]:
    """Return the option `--raw-cells` of every command that writes CSV or TSV."""
    text = "In CSV and TSV, write no ' in front of a text that a spreadsheet would run (=, +, -, @, tab)."
    return click.option("--raw-cells", is_flag=True, help=text)


def all_pictures_option() -> Callable[[Any], Any]:
    """Return the option `--all-pictures` of the commands that write pages."""
    return click.option(
        "--all-pictures",
        is_flag=True,
        help="With each page also STUDY/: a picture of each sentence and word, tags and numbers; STUDY.words.png.",
    )


def picture_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options `--picture-format` and `--dpi` of the commands that draw the attention."""
    dpi = click.option(
        "--dpi", type=click.IntRange(50, 1200), default=None, help="Dots per inch of the pictures; 300 for print."
    )
    kind = click.option(
        "--picture-format",
        type=click.Choice(["png", "svg"]),
        default="png",
        show_default=True,
        help="Of all pictures next to the pages.",
    )
    return kind(dpi(command))


def device_option() -> Callable[[Any], Any]:
    """Return the option `--device`."""
    return click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where to run.",
    )


class Devices(click.Choice[str]):
    """A device, or GPUs by their numbers, as cuda:0,cuda:1."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if isinstance(value, str) and re.fullmatch(r"cuda:\d+(,cuda:\d+)*", value):
            return value
        return super().convert(value, param, ctx)


def devices_option() -> Callable[[Any], Any]:
    """Return the option `--device` of commands that may use several GPUs."""
    return click.option(
        "--device",
        type=Devices(["auto", "cpu", "cuda", "mps"]),
        default="auto",
        show_default=True,
        help="Where to run; cuda:0,cuda:1 is a worker of Ray for each GPU.",
    )


def cuda_devices(name: str) -> tuple[int, ...]:
    """Return the numbers of several GPUs; () for one device. Raises OptionError for a GPU that is not there."""
    names = name.split(",")
    if len(names) < 2:
        return ()
    return tuple(int(pick_device(device).removeprefix("cuda:")) for device in dict.fromkeys(names))


def pick_device(name: str) -> str:
    """Return the name of the device, for `auto` the best of this machine. Raises OptionError for one that it lacks.

    For the processor, let this process keep freed memory: a network then runs up to 1.4 times as fast.
    """
    picked = _present_device(name)
    if picked == "cpu":
        from reportgen_core.models.computing.heap import keep_freed_memory

        keep_freed_memory()
    return picked


def _present_device(name: str) -> str:
    """Return the name of a device that this machine has. Raises OptionError."""
    import torch

    if name.startswith("cuda:"):
        if int(name[5:]) >= torch.cuda.device_count():
            raise OptionError(f"--device {name}: torch finds no such device here; rg doctor says what there is")
        return name
    usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return next(device for device, present in usable.items() if present)
    if not usable[name]:
        raise OptionError(f"--device {name}: torch finds no such device here; rg doctor says what there is")
    return name
