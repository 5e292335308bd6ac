"""Say on stderr how far a long command is: a status on a terminal, now and then a line in the log of a cluster."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

from .echo import say, show_status

FIRST, MOST = 5.0, 60.0  # seconds to the first line, and the longest time between two lines
LIVE = 0.5  # seconds between two states of the status on a terminal
BAR = 20  # signs of the bar


T = TypeVar("T")


class Heartbeat:
    """Shows the state of a command from a thread of its own: as a status on a terminal, else as a line now and then.

    The lines are rare at the end of a long command: each waits half of the time that has passed, at most `MOST`.
    A command with a bar of its own is not `live`: it has no status. The lines name the command that runs, which may be
    another than `command`; a name with a dot is a function of Python. Without `last` no line has the whole count at the
    end: the results are on the screen by then.
    """

    def __init__(self, command: str, shown: bool = True, live: bool = True, last: bool = True) -> None:
        self.command, self.live = command if "." in command else f"rg {running() or command}", sys.stderr.isatty()
        self.shown, self.last = shown and (live or not self.live), last
        self.state, self.unit, self.done, self.total = "", "", 0, 0
        self.start = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        if self.shown:
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *problem: object) -> None:
        self._stop.set()
        if self.shown:
            self._thread.join()
            if self.live:
                show_status("")
            elif kind is None and self.last and self.done > 1:
                say(self._line(), err=True)

    def say(self, state: str) -> None:
        """Set the words of the next line: what the command is doing, in place of a count."""
        self.state, self.unit, self.done, self.total = state, "", 0, 0

    def count(self, values: Iterable[T], unit: str, total: int = 0) -> Iterator[T]:
        """Yield the values and count those that were dealt with; `total` is their number, 0 if it is not known."""
        self.state, self.unit, self.done, self.total = "", unit, 0, total
        for value in values:
            yield value
            self.done += 1

    def _beat(self) -> None:
        pause = LIVE if self.live else FIRST
        while not self._stop.wait(pause):
            if self.live:
                show_status(self._bar() + self._line())
                continue
            say(self._line(), err=True)
            pause = min(MOST, max(FIRST, (time.monotonic() - self.start) / 2))

    def _bar(self) -> str:
        """Return the share that is done as a bar; "" if the total is not known."""
        if not self.total:
            return ""
        full = round(BAR * min(self.done / self.total, 1))
        return "━" * full + "─" * (BAR - full) + "  "

    def _line(self) -> str:
        """Return the state as a line: "rg report: 120 of 4,000 studies, 2 min 10 s, about 70 min left"."""
        spent = time.monotonic() - self.start
        parts = [self.state or "at work"]
        if self.unit:
            parts = [f"{self.done:,} of {self.total:,} {self.unit}" if self.total else f"{self.done:,} {self.unit}"]
        parts.append(duration(spent))
        if 0 < self.done < self.total:
            parts.append(f"about {duration(spent * (self.total - self.done) / self.done)} left")
        return f"{self.command}: {', '.join(parts)}"


def running() -> str:
    """Return the name of the command that the user wrote, such as "explain" or "zoo pull"; "" if none runs."""
    context = click.get_current_context(silent=True)
    chain: list[click.Context] = []
    while context is not None:
        chain, context = [context, *chain], context.parent
    words = []
    for inner in chain[1:] if chain and isinstance(chain[0].command, click.Group) else ():
        words.append(inner.info_name or "")
        if not isinstance(inner.command, click.Group):
            break
    return " ".join(words)


def duration(seconds: float) -> str:
    """Return a time for a reader: "8 s", "2 min 10 s", "20 min", "3 h 5 min", "2 h"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = whole % 3600 // 60
    return f"{whole // 3600} h" + (f" {minutes} min" if minutes else "")
