"""Freed memory is kept for the next tensors: seen by the pages that the system has to fill."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from reportgen_core.models.computing import heap

FAULTS = """
import resource, runpy, sys
keeps = runpy.run_path(sys.argv[1])["keep_freed_memory"]() if len(sys.argv) > 1 else False
for n in range(3):
    bytearray(2**26)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for n in range(20):
    bytearray(2**26)
print(keeps, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*arguments: str, **variables: str) -> tuple[str, int]:
    """Return whether a new process keeps memory, and how many pages it is given for 20 blocks of 64 MiB, one after another."""
    ours = {name: value for name, value in os.environ.items() if name not in heap._OWN} | variables
    done = subprocess.run([sys.executable, "-c", FAULTS, *arguments], env=ours, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    keeps, pages = done.stdout.split()
    return keeps, int(pages)


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(os, "confstr") or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""),
    reason="needs glibc",
)
def test_a_block_that_was_freed_is_used_again_and_not_asked_for_anew() -> None:
    _, before = faults()
    keeps, pages = faults(heap.__file__)
    assert keeps == "True"
    assert pages < before / 100
    assert before >= 20 * 2**26 / 2**21  # at least one for each page, however large pages are


def test_what_the_environment_says_of_memory_is_left_as_it_is() -> None:
    assert faults(heap.__file__, MALLOC_TRIM_THRESHOLD_="131072")[0] == "False"
    assert faults(heap.__file__, GLIBC_TUNABLES="glibc.malloc.trim_threshold=131072")[0] == "False"
