"""Try the zoo with kills and with a full disk: `python -m benchmarks.zoo_faults [TIMES]`, 200 without TIMES.

Processes that pull from a server on this machine into one cache are killed with SIGKILL at random moments, until TIMES
were killed before they ended. After each kill the cache must open, and files with a final name must be right. At the
end the pull must end with the right bytes. Then a pull writes to a file system of 1 MiB; mounting it needs root.
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
    """Return the error of a pull that fills the disk; "" if no small file system can be mounted."""
    import test_faults
    from reportgen_zoo.manifest.records import ZooError
    from reportgen_zoo.pull import fetch
    from zoo_server import Shelf, serve

    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True).returncode:
        return ""
    os.environ["REPORTGEN_CACHE"] = str(folder / "cache")
    body, shutil_usage = test_faults.BODY, fetch.shutil.disk_usage
    fetch.shutil.disk_usage = lambda _: shutil_usage("/")  # as when another fills the disk meanwhile
    try:
        with serve(Shelf({"/m/model.safetensors": body})) as served:
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
        pulls = test_faults.killed_pulls(times, Path(scratch))
        seconds = time.perf_counter() - start
        error = full_disk(Path(scratch) / "full")
    print(f"full disk: {error or 'not tried, no file system of 1 MiB can be mounted here'}", file=sys.stderr)
    rows = [
        Row(f"pulls started until {times} were killed, then the right bytes", counted(pulls), ""),
        Row("time of that", counted(seconds), "s"),
        Row("a full disk is reported in one line", counted("No space left" in error and "\n" not in error), ""),
    ]
    emit(rows)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
