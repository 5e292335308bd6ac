"""Print lines, texts and JSON. All output of the commands passes here, and texts of others are made printable.

A line is one message: what would end it, move the cursor or turn the direction of reading is written as an escape, and
a very long message is cut in the middle. A terminal may have a status in its last line; every message removes it.
"""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

import click

from reportgen_core.text.printable import escape_json, printable, printable_json, printable_lines

MAX_LINE = 4000  # characters of one message
ERASE = "\r\x1b[2K"  # to the start of the line, which becomes empty

_writing = threading.Lock()  # a thread draws the status while the command prints
_drawn = [False]  # whether the terminal has a status now


def show_status(text: str) -> None:
    """Show a text in the last line of the terminal on stderr, until the next message; "" removes it."""
    with _writing:
        if text or _drawn[0]:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(ERASE + printable(text)[:width])
            sys.stderr.flush()
        _drawn[0] = bool(text)


def erase_status() -> None:
    """Remove the status from the terminal, if it has one."""
    if _drawn[0]:
        show_status("")


def say(message: object = "", *, err: bool = False) -> None:
    """Print a message as one line."""
    erase_status()
    click.echo(printable(str(message), MAX_LINE), err=err)


def say_text(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text of several lines; nothing is cut. Without `nl` no line end is added."""
    erase_status()
    click.echo(printable_lines(text), err=err, nl=nl)


def say_json(value: object, *, indent: int | None = None) -> None:
    """Print a value as JSON: in one line, or indented. It is ASCII where stdout is not UTF-8."""
    erase_status()
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").replace("_", "")
    click.echo(printable_json(value, indent=indent, ascii=encoding != "utf8"))


def say_json_text(text: str) -> None:
    """Print JSON that is text already, without a further line end."""
    erase_status()
    click.echo(escape_json(text), nl=False)


def show_usage_error(error: click.ClickException) -> None:
    """Print an error of the command line as click does: the usage, and the message as one line."""
    erase_status()
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # a group without a command, click 8.2
        error.show()
        return
    message = printable(error.format_message(), MAX_LINE)
    if isinstance(error, click.UsageError):
        click.UsageError(message, error.ctx).show()
    else:
        click.ClickException(message).show()


def data_stream() -> IO[str]:
    """Return standard output for rows of data: written as they are, but printable on a terminal."""
    return cast(IO[str], _Printable()) if sys.stdout.isatty() else sys.stdout  # only `write` is used


class _Printable:
    def write(self, text: str) -> int:
        return sys.stdout.write(printable_lines(text))


@contextmanager
def literal_text() -> Iterator[None]:
    """Draw every text as it is: a "$" in a name of a file, a tag or a finding begins no formula."""
    from matplotlib import rc_context

    with rc_context({"text.parse_math": False}):
        yield
