"""Lines on stderr that say how far a long command is, so that the log of a cluster shows life."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from .echo import say

FIRST, MOST = 5.0, 60.0  # seconds to the first line, and the longest time between two lines


T = TypeVar("T")


class Heartbeat:
    """Prints a line now and then, from a thread of its own, if stderr is no terminal.

    The lines are rare at the end of a long command: each waits half of the time that has passed, at most `MOST`.
    """

    def __init__(self, command: str, shown: bool = True) -> None:
        self.command, self.shown = command, shown and not sys.stderr.isatty()
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
            if kind is None and self.done > 1:
                self._print()

    def say(self, state: str) -> None:
        """Set the words of the next line: what the command is doing."""
        self.state = state

    def count(self, values: Iterable[T], unit: str, total: int = 0) -> Iterator[T]:
        """Yield the values and count those that were dealt with; `total` is their number, 0 if it is not known."""
        self.state, self.unit, self.done, self.total = "", unit, 0, total
        for value in values:
            yield value
            self.done += 1

    def _beat(self) -> None:
        pause = FIRST
        while not self._stop.wait(pause):
            self._print()
            pause = min(MOST, max(FIRST, (time.monotonic() - self.start) / 2))

    def _print(self) -> None:
        """Print one line: "rg report: 120 of 4,000 studies, 2 min 10 s, about 70 min left"."""
        spent = time.monotonic() - self.start
        parts = [self.state or "at work"]
        if self.unit:
            parts = [f"{self.done:,} of {self.total:,} {self.unit}" if self.total else f"{self.done:,} {self.unit}"]
        parts.append(duration(spent))
        if 0 < self.done < self.total:
            parts.append(f"about {duration(spent * (self.total - self.done) / self.done)} left")
        say(f"rg {self.command}: {', '.join(parts)}", err=True)


def duration(seconds: float) -> str:
    """Return a time for a reader: "8 s", "2 min 10 s", "3 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
