"""The progress of a pull on stderr, and the pull that `load(NAME)` makes if the model is missing."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from ..manifest.records import Record
from . import cache, fetch, terms


def pull_if_missing(record: Record) -> Path:
    """Return the folder of a model, after pulling it if necessary and saying so on stderr. Raises ZooError."""
    terms.require(record)
    if (at := fetch.present(record)) is not None:
        return at
    print(f"pulling {record.name}, {record.bytes / 2**20:.1f} MiB, into {cache.folder()}", file=sys.stderr)
    return fetch.pull(record, ProgressBar(record))


class ProgressBar:
    """Progress on stderr: one line that is updated on a terminal, else one line for each file.

    Several threads call it, one for each file.
    """

    def __init__(self, record: Record) -> None:
        self.record, self.last, self.lock = record, 0.0, threading.Lock()
        self.done: dict[str, int] = {}

    def __call__(self, file: str, done: int, total: int) -> None:
        with self.lock:
            self.done[file] = done
            if sys.stderr.isatty():
                self._move()
            elif done == total:
                print(f"{self.record.name}/{file}  {total / 2**20:.1f} MiB", file=sys.stderr)

    def _move(self) -> None:
        done = sum(self.done.values())
        whole = done >= self.record.bytes
        if whole or time.monotonic() - self.last >= 0.1:
            self.last = time.monotonic()
            share = f"{done / 2**20:.1f} of {self.record.bytes / 2**20:.1f} MiB"
            print(f"\r{self.record.name}  {share}", end="\n" if whole else "", file=sys.stderr, flush=True)
