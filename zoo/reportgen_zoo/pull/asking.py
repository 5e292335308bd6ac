"""Ask several places of the network at the same time, and give up on a place that is silent.

Each place has a thread. A thread that waits for a silent place cannot be ended, so it is a daemon thread: it does not
keep the program alive.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

PATIENCE = 5.0  # seconds in which a place has to send its whole answer, or STEP bytes of it
STEP = 1 << 16  # bytes; a place that sends so many gets PATIENCE again
TELL_AFTER = 1.0  # seconds before stderr says that the program waits

T = TypeVar("T")
Arrived = Callable[[int], None]  # called with the number of bytes that arrived


class Silent(OSError):
    """A place did not answer in time."""


class _Request(Generic[T]):
    """One place that is asked in a thread of its own."""

    def __init__(self, place: str, read: Callable[[Arrived], T], answers: SimpleQueue[tuple[str, T | Exception]]):
        self.place, self.read, self.answers = place, read, answers
        self.bytes, self.seen, self.since = 0, 0, time.monotonic()
        threading.Thread(target=self.run, name=f"ask {place[:60]}", daemon=True).start()

    def run(self) -> None:
        """Read the answer, and put it or its error into the queue."""
        try:
            self.answers.put((self.place, self.read(self.arrived)))
        except Exception as e:  # of any kind: the thread that waits has to see it
            self.answers.put((self.place, e))

    def arrived(self, count: int) -> None:
        """Count bytes that arrived."""
        self.bytes += count

    def silent(self, now: float) -> bool:
        """Return whether too few bytes arrived in the last PATIENCE seconds."""
        if self.bytes - self.seen >= STEP:
            self.seen, self.since = self.bytes, now
        return now - self.since > PATIENCE


def ask_all(readers: Mapping[str, Callable[[Arrived], T]]) -> dict[str, T | Exception]:
    """Call the reader of each place, all at the same time. Return its answer or its error, by place.

    A place that is silent for PATIENCE seconds has the error Silent. After TELL_AFTER seconds stderr names the places
    that did not answer yet.
    """
    queue: SimpleQueue[tuple[str, T | Exception]] = SimpleQueue()
    waiting = {place: _Request(place, read, queue) for place, read in readers.items()}
    answers: dict[str, T | Exception] = {}
    started, announced = time.monotonic(), False
    while waiting:
        try:
            place, answer = queue.get(timeout=min(0.1, PATIENCE / 4))
            if waiting.pop(place, None) is not None:  # it may come after its place was given up
                answers[place] = answer
        except Empty:
            pass
        now = time.monotonic()
        for place in [place for place, request in waiting.items() if request.silent(now)]:
            answers[place] = Silent(f"no answer in {PATIENCE:g} seconds")
            del waiting[place]
        if waiting and not announced and now - started > TELL_AFTER:
            announced = True
            more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
            print(f"waiting for {next(iter(waiting))}{more}, at most {PATIENCE:g} seconds", file=sys.stderr)
    return {place: answers[place] for place in readers}
