"""Run one step of a metric and turn any failure into one line of text."""

from __future__ import annotations

import traceback
from collections.abc import Callable, MutableMapping
from pathlib import PurePath
from typing import Any, TypeVar

from ...errors import ReportgenError
from ...text.printable import printable

MAX_REASON = 300  # characters

T = TypeVar("T")


def attempt(
    problems: MutableMapping[str, str], name: str, otherwise: T, step: Callable[..., T], *args: Any, **options: Any
) -> T:
    """Return `step(*args, **options)`, a step of the metric `name`.

    If it raises or calls sys.exit, write the reason into `problems` and return `otherwise`. A keyboard interrupt
    passes through.
    """
    try:
        return step(*args, **options)
    except (Exception, SystemExit) as e:
        problems[name] = failure_reason(e)
        return otherwise


def failure_reason(error: BaseException) -> str:
    """Return one line on an error: the message of one of our own errors, else also its type and where it was raised."""
    try:
        message = str(error)
    except Exception as e:
        message = f"its message cannot be read: {type(e).__name__}"
    if isinstance(error, ReportgenError):
        return printable_line(message)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({PurePath(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SystemExit):
        return printable_line(f"it called sys.exit({message})") + place
    return printable_line(f"{type(error).__name__}: {message}".removesuffix(": ")) + place


def printable_line(text: str, most: int = MAX_REASON) -> str:
    """Return a text on one line, without control characters, of about `most` characters at most."""
    return printable(" ".join(text.split()), most)
