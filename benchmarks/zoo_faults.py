"""How the zoo stands kills and a disk that is really full: `python -m benchmarks.zoo_faults [TIMES]`, 200 without it.

Processes that pull from a server on this machine are killed with SIGKILL at random moments, over one cache, until TIMES
were killed before they were through. After each the cache must open, what has a final name must be right, and at the
end the pull must end with the right bytes. Then a pull goes to a file system of 1 MiB; mounting that needs root.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Row, counted, emit

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "zoo"))


def full_disk(folder: Path) -> str:
    """What a pull says that meets a full disk, and "" where such a disk cannot be had."""
    import test_faults
    from reportgen_zoo.manifest.records import ZooError
    from reportgen_zoo.pull import fetch
    from zoo_server import Shelf, serve

    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True).returncode:
        return ""
    os.environ["REPORTGEN_CACHE"] = str(folder / "cache")
    known, shutil_usage = test_faults.BODY, fetch.shutil.disk_usage
    fetch.shutil.disk_usage = lambda _: shutil_usage("/")  # as when another fills the disk meanwhile
    try:
        with serve(Shelf({"/m/model.safetensors": known})) as served:
            fetch.pull(test_faults.one(served.url))
    except ZooError as e:
        return str(e)
    finally:
        fetch.shutil.disk_usage = shutil_usage
        subprocess.run(["umount", str(folder)], check=True)
    raise AssertionError("2 MiB were pulled into 1 MiB")


def main(times: int) -> None:
    import test_faults
    from reportgen_zoo.pull import fetch

    fetch.BACKOFF = 0.0
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["REPORTGEN_CACHE"] = str(Path(scratch) / "cache")
        start = time.perf_counter()
        begun = test_faults.killed_pulls(times, Path(scratch))
        took = time.perf_counter() - start
        said = full_disk(Path(scratch) / "full")
    print(f"full disk: {said or 'not tried, no file system of 1 MiB can be mounted here'}", file=sys.stderr)
    rows = [
        Row(f"pulls begun until {times} were killed, then the right bytes", counted(begun), ""),
        Row("time of that", counted(took), "s"),
        Row("a full disk is told in one line", counted("No space left" in said and "\n" not in said), ""),
    ]
    emit(rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
