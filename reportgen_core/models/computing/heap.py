"""Keep the memory of freed tensors for the next ones, on a processor."""

from __future__ import annotations

import ctypes
import os
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_MOST = 2**30  # bytes; a larger tensor still has memory of its own, which is given back
_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for the next tensors of this process, and return whether it does.

    By itself it gives a large block back at once, and the system fills the next one with zeros, page by page. A network
    frees and asks for such blocks in every layer. The most memory that a process has stays the same, but it keeps it.
    Nothing changes without glibc, or where the environment sets MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_ or
    GLIBC_TUNABLES.
    """
    if sys.platform != "linux" or any(name in os.environ for name in _OWN):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    kept = [mallopt(_TRIM_THRESHOLD, 2**31 - 1), mallopt(_MMAP_THRESHOLD, _MOST)]
    return all(kept)
