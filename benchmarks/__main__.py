"""`make bench`: run every benchmark in a process of its own, and print one Markdown table of the measurements.

A figure and a ratio are medians, with the smallest and the largest of the runs in parentheses. Exit status 1 if a bar
is missed or a benchmark fails; a bar that lies within the range is undecided and no failure.

    python -m benchmarks [NAME ...]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence

from .measure import Row, Spread, row_from_json

BENCHMARKS = {  # the name of each with the arguments that keep all of them within 15 minutes on two cores
    "startup": (),
    "decoding": (),
    "precision": (),
    "reporting": (),
    "training": (),
    "evaluation": (),
    "phantom": (),
    "tienet": (),
    "scale": ("--kinds", "ivf"),
    "zoo_speed": (),
    "serving": ("flood", "hostile", "latency", "--requests", "500", "--hostile", "44"),
}
HEAD = ("what", "figure", "ratio", "bar", "peak MiB")


def main(names: Sequence[str]) -> int:
    rows: list[tuple[Row, float]] = []
    failed, machine, load, start = 0, "", os.getloadavg()[0], time.monotonic()
    for name in names or BENCHMARKS:
        before = time.monotonic()
        command = [sys.executable, "-m", f"benchmarks.{name}", *BENCHMARKS.get(name, ())]
        process = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"{name}: {time.monotonic() - before:.0f} s", file=sys.stderr)
        if process.returncode:
            print(process.stderr, file=sys.stderr)
            failed += 1
            continue
        result = json.loads(process.stdout.splitlines()[-1])
        machine = result["machine"]
        rows += [(row_from_json(values), result["peak_mib"]) for values in result["rows"]]
    print(as_markdown(rows))
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(f"\n{machine}; load of other work at the start {load:.1f}; {minutes} min {seconds} s")
    return 1 if failed or any(row.verdict == "missed" for row, _ in rows) else 0


def as_markdown(rows: Sequence[tuple[Row, float]]) -> str:
    """Return the table of rows, each with the peak memory of its process in MiB, its columns aligned."""
    cells = [HEAD, *(_cells(row, peak) for row, peak in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(HEAD))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def _cells(row: Row, peak: float) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else _measured(row.ratio, f"× {row.against}")
    bound = "at most" if row.at_most else "at least"
    bar = "" if row.bar is None else f"{bound} {row.bar:g}: {row.verdict}"
    return row.what, _measured(row.figure, row.unit), ratio, bar, f"{peak:,.0f}"


def _measured(spread: Spread, unit: str) -> str:
    spread_text = "" if spread.count == 1 else f" ({_number(spread.low)} to {_number(spread.high)})"
    return f"{_number(spread.median)} {unit}".rstrip() + spread_text


def _number(value: float) -> str:
    """Return a number with three digits or more."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
