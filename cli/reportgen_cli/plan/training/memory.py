"""Measure the memory of this process and of this machine, in MiB."""

from __future__ import annotations

from pathlib import Path

from reportgen_zoo.reproduce.training import peak_memory

STATUS = Path("/proc/self/status")


def own_peak() -> int:
    """Return the largest resident memory of this process.

    On Linux it is that of the program itself: `ru_maxrss` would begin with the memory of the process that started it.
    """
    if STATUS.is_file():
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024)
    return peak_memory()


def own_gpu_peak() -> int:
    """Return the largest memory of a GPU that this process had allocated; 0 without one."""
    import torch

    return round(torch.cuda.max_memory_allocated() / 2**20) if torch.cuda.is_available() else 0
