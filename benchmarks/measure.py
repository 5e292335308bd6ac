"""The tools of the benchmarks: time runs in turns, and compare the spread of the measurements with a bar.

A machine that others use changes its speed by a factor of three within minutes. A ratio is therefore taken pair by
pair (A B A B ...), each pair within seconds, and given as the median of at least seven pairs with the smallest and the
largest. A bar counts as met or missed only if the whole range lies on one side of it.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

PAIRS = 7  # the fewest pairs of a ratio

Run = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, the smallest and the largest of `count` measurements of one number."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values), len(values))


def counted(value: float) -> Spread:
    """Return the spread of a number that was counted once and is the same in every run."""
    return Spread.of([value])


def milliseconds(seconds: Sequence[float]) -> Spread:
    return Spread.of([1000 * s for s in seconds])


def per_second(count: int, seconds: Sequence[float]) -> Spread:
    """Return how many of `count` things are done in a second, if all of them take `seconds`."""
    return Spread.of([count / s for s in seconds])


def ratio(seconds: Sequence[float], base: Sequence[float]) -> Spread:
    """Return the spread of the quotients seconds[i] / base[i] of pairs that `in_turns` measured.

    Raise ValueError if there are fewer than seven pairs, or if one of the two has more turns than the other.
    """
    if len(seconds) < PAIRS:
        raise ValueError(f"a ratio needs at least {PAIRS} pairs, got {len(seconds)}")
    return Spread.of([a / b for a, b in zip(seconds, base, strict=True)])


def in_turns(
    *runs: Run,
    rounds: int = PAIRS,
    turn: float = 0.5,
    warm_up: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> list[list[float]]:
    """Return for each run the seconds that it took in each round, the runs taken in turns: A B A B ...

    Each run is called once before, unless `warm_up` is False. A turn repeats its run until it has lasted `turn` seconds
    and counts the mean, so that a short run is measured over a longer stretch than one hiccup of the machine.
    """
    for run in runs if warm_up else ():
        run()
    times: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, taken in zip(runs, times, strict=True):
            taken.append(_mean_seconds(run, turn, clock))
    return times


def _mean_seconds(run: Run, turn: float, clock: Callable[[], float]) -> float:
    start, count = clock(), 0
    while True:
        run()
        count += 1
        elapsed = clock() - start
        if elapsed >= turn:
            return elapsed / count


def command(*arguments: str, env: Mapping[str, str] | None = None) -> Run:
    """Return a run of a command that must succeed; its output is dropped."""
    return lambda: subprocess.run(arguments, check=True, capture_output=True, env=env)


def compiled() -> dict[str, str]:
    """Return the environment, changed so that Python may save compiled modules, as on a user's machine."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of a benchmark. The bar is the value promised for the ratio, or for the figure if it has no ratio."""

    what: str
    figure: Spread
    unit: str
    ratio: Spread | None = None
    against: str = ""  # what the ratio is taken to
    bar: float | None = None
    at_most: bool = False  # whether the bar is an upper one

    @property
    def verdict(self) -> str:
        """Return "met" or "missed" if the whole range is on one side of the bar, else "undecided"; "" without a bar."""
        if self.bar is None:
            return ""
        measured = self.ratio or self.figure
        if self.at_most:
            met, missed = measured.high <= self.bar, measured.low > self.bar
        else:
            met, missed = measured.low >= self.bar, measured.high < self.bar
        return "met" if met else "missed" if missed else "undecided"


def row_from_json(values: Mapping[str, Any]) -> Row:
    """Return the row that `emit` wrote as `values`."""
    spreads = {k: values[k] and Spread(**values[k]) for k in ("figure", "ratio")}
    return Row(**{**values, **spreads})


def peak_mib() -> float:
    """Return the peak memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def machine() -> str:
    """Return the processor, its cores, the version of torch, and whether the processor multiplies bf16."""
    import torch

    from reportgen_core.models import best_precision

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    except OSError:
        print("no /proc/cpuinfo: the processor's name is left out", file=sys.stderr)
    bf16 = "with" if best_precision(torch.device("cpu")) == "bf16" else "without"
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}, {bf16} bf16"


def emit(rows: Sequence[Row]) -> None:
    """Print the rows of one benchmark as JSON, with the peak memory of its process."""
    print(json.dumps({"rows": [asdict(r) for r in rows], "peak_mib": peak_mib(), "machine": machine()}))
