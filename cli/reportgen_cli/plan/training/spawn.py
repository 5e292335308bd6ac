"""Start the process of a job, pass its lines on, and say why it failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .child import OUTCOME
from .job import Job, Outcome, read_outcome


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process of a job ended: with an outcome, or with a reason in one line."""

    outcome: Outcome | None
    problem: str = ""
    killed: bool = False  # by the system, as it does when memory runs out


def run_process(job: Job, say_line: Callable[[str], None], threads: int) -> Ended:
    """Do a job in a process of its own, which frees its memory. `say_line` takes each line that it prints.

    It has so many threads, or those that the user's OMP_NUM_THREADS names.
    """
    out = Path(job.out)
    path = out / "job.json"
    (out / OUTCOME).unlink(missing_ok=True)
    replace(job, parent=os.getpid(), began=time.time()).save(path)
    command = [sys.executable, "-m", "reportgen_cli.plan.training.child", str(path)]
    last = ""
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={"OMP_NUM_THREADS": str(threads), **os.environ},
    ) as child:
        assert child.stderr is not None
        try:
            for line in child.stderr:
                last = line.strip() or last
                say_line(line.rstrip("\r\n"))
        except BaseException:  # SIGTERM or Ctrl-C: the child ends with us
            child.terminate()
            raise
    if child.returncode == 0:
        return Ended(read_outcome(out / OUTCOME))
    if child.returncode == -signal.SIGKILL:
        return Ended(None, "it was killed, as happens when the memory runs out", killed=True)
    return Ended(None, last.removeprefix("rg: ") or f"it ended with {child.returncode}")
