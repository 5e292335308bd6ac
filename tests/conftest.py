"""What all tests share: a processor feature that must be off before torch is imported."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

CPU = Path("/proc/cpuinfo")

# oneDNN's AVX2 kernels for strided 1 x 1 convolutions write past the end of their memory when a layer has four channels,
# lies in memory channels-last and is trained on one thread: the process aborts, later and elsewhere ("corrupted
# double-linked list"). Models of tests are that narrow; those that people train are not. AVX-512 has other kernels.
if not CPU.is_file() or "avx512f" not in CPU.read_text(encoding="utf-8", errors="replace"):
    os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX")

# A busy machine draws examples slowly; that says nothing about the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
