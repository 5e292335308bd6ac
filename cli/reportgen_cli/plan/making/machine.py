"""Look at the machine: processors, memory, load, a GPU."""

from __future__ import annotations

import os

from ..settled.plan_file import Machine

SHARE = 0.8  # of the free memory that a training may take


def this_machine() -> Machine:
    """Return what this machine has free now."""
    import psutil  # type: ignore[import-untyped]  # it has no types
    import torch

    memory = psutil.virtual_memory()
    gpu, gpu_memory = "", 0
    if torch.cuda.is_available():
        gpu, gpu_memory = torch.cuda.get_device_name(0), round(torch.cuda.mem_get_info()[0] / 2**20)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    mib = 2**20
    load = round(psutil.getloadavg()[0], 2)
    return Machine(cpus, memory.total // mib, memory.available // mib, load, gpu, gpu_memory)


def usable_memory(machine: Machine) -> int:
    """Return the MiB that a training may take, on the processor's side."""
    return round(SHARE * machine.available)


def free_threads(machine: Machine) -> tuple[int, str]:
    """Return how many threads a training has, and why: threads that wait for each other on a busy machine cost most."""
    free = max(1, machine.cpus - round(machine.load))
    busy = f"{machine.load:g} of {machine.cpus} processors were busy"
    return (free, f"{busy}, and threads that wait for a processor hold all others up.") if free < machine.cpus else (
        machine.cpus, f"{busy}: all of them are used."
    )  # fmt: skip


def best_precision(machine: Machine) -> tuple[str, str]:
    """Return the precision of training, and why."""
    if not machine.gpu:
        return "fp32", "Training runs on the processor, where lower precision gains little."
    import torch

    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16", f"{machine.gpu} multiplies bf16 in hardware, in half of the memory."
    return "fp32", f"{machine.gpu} has no bf16 in hardware."
