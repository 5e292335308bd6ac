"""What every benchmark shares: time, memory, and a row that says what was compared with what."""

from __future__ import annotations

import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `bar` is what the project promises of `ratio`; None where a row is there to compare with."""

    what: str
    value: float
    unit: str
    ratio: float | None = None  # to the row it is compared with, as `against` says
    against: str = ""
    bar: float | None = None
    at_most: bool = False  # the bar is an upper one

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None where there is none."""
        if self.bar is None or self.ratio is None:
            return None
        return self.ratio <= self.bar if self.at_most else self.ratio >= self.bar


def seconds(run: Callable[[], object], repeats: int = 5) -> float:
    """The quickest of `repeats` runs after one that warms up: other work on the machine only adds."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def alternate(runs: Sequence[Callable[[], object]], repeats: int = 5, turn: float = 1.0) -> list[float]:
    """Seconds of each of several runs, taken in turn, so that a slow minute of the machine hits all of them.

    A turn repeats its run until it has lasted `turn` seconds and counts their mean, so that a short run is measured
    over the same stretch as a long one; the best of `repeats` turns is returned.
    """
    times: list[list[float]] = [[] for _ in runs]
    for run in runs:
        run()
    for _ in range(repeats):
        for run, taken in zip(runs, times, strict=True):
            taken.append(_mean(run, turn))
    return [min(t) for t in times]


def _mean(run: Callable[[], object], turn: float) -> float:
    """Mean seconds of a run, repeated until it has lasted `turn` seconds."""
    start, count = time.perf_counter(), 0
    while True:
        run()
        count += 1
        taken = time.perf_counter() - start
        if taken >= turn:
            return taken / count


def compiled() -> dict[str, str]:
    """The environment, in which Python may keep what it compiled, as on a user's machine."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")}


def peak_mib() -> float:
    """The most memory this process has had, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def machine() -> str:
    """The processor, its cores and the version of torch."""
    import torch

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), name)
    except OSError:
        print("no /proc/cpuinfo: the processor's name is left out", file=sys.stderr)
    return f"{name}, {torch.get_num_threads()} threads, torch {torch.__version__}"


def emit(rows: Sequence[Row]) -> None:
    """Print the rows of one benchmark as JSON, with the peak memory of its process."""
    print(json.dumps({"rows": [asdict(r) for r in rows], "peak_mib": peak_mib(), "machine": machine()}))
