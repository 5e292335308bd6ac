"""`make bench`: every benchmark in a process of its own, one table with command, figure, ratio, bar and peak memory.

Exit status 1 where a bar is missed.
"""

from __future__ import annotations

import json
import subprocess
import sys

from rich.console import Console
from rich.table import Table

from .measure import Row

BENCHMARKS = (
    "startup",
    "decoding",
    "reporting",
    "training",
    "evaluation",
    "phantom",
    "tienet",
    "scale",
    "zoo_speed",
)


def main(names: list[str]) -> int:
    table = Table("what", "figure", "ratio", "bar", "", "peak MiB", title="python -m benchmarks")
    missed, machine = 0, ""
    for name in names or BENCHMARKS:
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            return 1
        found = json.loads(done.stdout.splitlines()[-1])
        machine = found["machine"]
        table.add_section()
        table.add_row(f"[b]python -m benchmarks.{name}")
        for row in (Row(**r) for r in found["rows"]):
            sign = "≤" if row.at_most else "≥"
            ratio = "" if row.ratio is None else f"{row.ratio:.2f} × {row.against}"
            bar = "" if row.bar is None else f"{sign} {row.bar}"
            verdict = {None: "", True: "met", False: "MISSED"}[row.met]
            missed += row.met is False
            table.add_row(row.what, f"{row.value:,.1f} {row.unit}", ratio, bar, verdict, f"{found['peak_mib']:,.0f}")
    Console(width=150).print(table)
    print(machine)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
