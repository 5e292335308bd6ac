"""Say for `rg doctor` what is slow or missing for the next step of this user: in this folder, on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from reportgen_core import ReportgenError

from ..report import default_model
from .completion import SHELLS, places

State = Literal["ok", "note", "bad"]
Line = tuple[str, State, str]  # what it is about, how it is, the text
FEW_GB, MANY = 8.0, 500
TABLES = (".csv", ".tsv", ".xlsx", ".jsonl")


def speed() -> Iterator[Line]:
    """Time the model that ships inside, on the radiograph that ships inside: what `rg report` will take here."""
    from reportgen_zoo.demo import image

    from reportgen_core import load

    try:
        start = time.perf_counter()
        model = load(default_model())
        model.report(image())
        first = time.perf_counter() - start
        start = time.perf_counter()
        model.report(image())
        more = time.perf_counter() - start
    except (ReportgenError, OSError) as e:
        yield "report", "bad", f"the model that ships inside cannot write a report: {e}"
        return
    text = f"the shipped model takes {first:.1f} s for its first report and {more:.2f} s for each more"
    yield "report", "ok" if more < 5 else "note", text


def machine() -> Iterator[Line]:
    """Say what limits training here: cores, memory, no GPU."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if torch.get_num_threads() < cores:
        setting = os.environ.get("OMP_NUM_THREADS", "not set")
        text = f"torch uses {torch.get_num_threads()} of {cores} cores: OMP_NUM_THREADS is {setting}"
        yield "speed", "note", text
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
        if memory < FEW_GB:
            yield "memory", "note", f"{memory:.1f} GiB: train with a small batch, --batch-size 4"
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        advice = "begin with rg train --encoder resnet18 --limit 200, or rg reproduce --scale small"
        yield "training", "note", f"slow without a GPU: a paper's preset takes days on {cores} cores; {advice}"


def folder() -> Iterator[Line]:
    """Say what to do next with what is in the current folder: a model, a table, images, or nothing yet."""
    here = Path()
    names = sorted(p for p in here.iterdir() if not p.name.startswith("."))[:MANY]
    models = [p for p in names if (p / "config.json").is_file() or (p / "best" / "config.json").is_file()]
    tables = [p for p in names if p.suffix.lower() in TABLES]
    if models:
        yield "next", "ok", f"a model is here: rg report IMAGE --model {models[0]}"
    elif tables:
        yield "next", "ok", f"a table is here: rg data audit table --data-root {tables[0]}"
    else:
        yield "next", "ok", "rg demo writes a first report; rg zoo list shows trained models"
    shell = Path(os.environ.get("SHELL", "")).name
    if shell in SHELLS and not places(shell)[0].exists():
        yield "completion", "note", "the tab key does not complete rg: rg completion install"
