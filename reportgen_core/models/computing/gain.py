"""Measure how much faster a computation is in bf16 than in fp32, and decide by that."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

LEAST_GAIN = 1.1  # of the median pair; with less, fp32 stays, which is more exact
PAIRS = (2, 5)  # the fewest and the most pairs
SECONDS = 0.25  # no further pair begins after so long

Run = Callable[[], object]


def measured_gains(fp32: Run, bf16: Run, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Return the seconds of `fp32` divided by those of `bf16`, pair by pair, measured in turns.

    Each of the two runs once before, because the first run of a computation also prepares it.
    """
    fp32()
    bf16()
    start = clock()
    gains: list[float] = []
    while len(gains) < PAIRS[0] or (len(gains) < PAIRS[1] and clock() - start < SECONDS):
        exact = _seconds(fp32, clock)
        gains.append(exact / max(_seconds(bf16, clock), 1e-9))
    return gains


def faster_precision(gains: list[float]) -> str:
    """Return "bf16" if the gain is clear: the median is LEAST_GAIN or more, and no pair is a loss. Else "fp32"."""
    return "bf16" if median(gains) >= LEAST_GAIN and min(gains) > 1 else "fp32"


def _seconds(run: Run, clock: Callable[[], float]) -> float:
    start = clock()
    run()
    return clock() - start
