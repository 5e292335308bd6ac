"""Take the times of a training off the records of its log, and stop it when its time is over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

WARM = 2  # steps that are not timed: the first ones allocate memory


class Overtime(Exception):
    """The time of a training is over; its best epoch so far is in its folder."""


class Orphaned(Exception):
    """The process that started this one has gone."""


class Stopwatch:
    """Watches a training. It passes each record on, and raises Overtime at the first step after its time."""

    def __init__(self, began: float, seconds: float, parent: int, watch: Callable[[Mapping[str, Any]], None]) -> None:
        self.offset = time.time() - began - time.perf_counter()  # of the clock that is read here
        self.limit, self.parent, self.watch = seconds, parent, watch
        self.steps: list[tuple[int, float, float]] = []  # epoch, seconds of the step, its end
        self.epochs: list[tuple[int, float]] = []  # number, when its record was written

    def __call__(self, record: Mapping[str, Any]) -> None:
        """Take one record of the log."""
        now = self.now()
        if record["kind"] == "step":
            self.steps.append((record["epoch"], record["seconds"], now))
            if self.parent and os.getppid() != self.parent:
                raise Orphaned
            if self.limit and self.epochs and now > self.limit:
                raise Overtime
        elif record["kind"] == "epoch":
            self.epochs.append((record["epoch"], now))
        self.watch(record)

    def now(self) -> float:
        """Return the seconds since the process was started."""
        return time.perf_counter() + self.offset

    def times(self) -> dict[str, Any]:
        """Return the times of an `Outcome`; {} if no step was made here."""
        if not self.steps:
            return {}
        first = self.steps[0][0]
        of_first = [seconds for epoch, seconds, _ in self.steps if epoch == first]
        later = [seconds for epoch, seconds, _ in self.steps if epoch > first]
        warm = of_first[WARM:] or of_first
        step = fmean(later) if later else fmean(warm)
        lost = sum(of_first[:WARM]) - WARM * fmean(warm) if len(of_first) > WARM else 0.0
        begin = self.steps[0][2] - self.steps[0][1]
        validations = [self._validation(epoch, at) for epoch, at in self.epochs]
        return {
            "start": begin + max(lost, 0.0),
            "first_step": fmean(warm),
            "step": step,
            "first_validation": validations[0] if validations else 0.0,
            "validation": fmean(validations[1:] or validations or [0.0]),
            "state": self._state(),
        }

    def _validation(self, epoch: int, at: float) -> float:
        """Return the seconds between the last step of an epoch and the record of its end."""
        return at - max((end for number, _, end in self.steps if number == epoch), default=at)

    def _state(self) -> float:
        """Return the mean time between the record of an epoch and the beginning of the next one's first step."""
        begins: dict[int, float] = {}
        for epoch, seconds, end in self.steps:
            begins.setdefault(epoch, end - seconds)
        waits = [begins[epoch + 1] - at for epoch, at in self.epochs if epoch + 1 in begins]
        return fmean(waits) if waits else 0.0
