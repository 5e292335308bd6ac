"""The lock of a run's folder: only one run trains in a folder at a time (torch-free)."""

from __future__ import annotations

import os
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import CheckpointError

LOCK = ".lock"
RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")  # as accelerate reads them

_held: dict[Path, int] = {}  # locks of this process, with the thread that holds each
_guard = threading.Lock()


def is_main_process() -> bool:
    """Return whether this process is the first, or the only one, of a run."""
    return next((os.environ[name] for name in RANKS if os.environ.get(name)), "0") == "0"


@contextmanager
def lock_run(run: Path) -> Iterator[None]:
    """Hold the lock of the folder `run` during the block. The operating system releases it if the process dies.

    The folder is made if it is missing, and removed again if nothing was written into it. A thread that holds the lock
    may take it again. Only the first process of a run takes the lock. Raises CheckpointError if another run has it.
    """
    path = run.resolve() / LOCK
    if not is_main_process() or _held.get(path) == threading.get_ident():
        yield
        return
    with _guard:
        if path in _held:
            raise _busy(run, f"another thread of process {os.getpid()}")
        file = _acquire(run, path)
        _held[path] = threading.get_ident()
    try:
        yield
    finally:
        with _guard:
            del _held[path]
            with suppress(OSError):  # elsewhere the folder may be gone; a lock file that stays does no harm
                path.unlink()
            os.close(file)
        with suppress(OSError):  # it has files, as it should
            run.rmdir()


def _acquire(run: Path, path: Path) -> int:
    """Return the open lock file, locked. Raises CheckpointError if another process has locked it."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        while True:
            file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
            if not _try_lock(file, path):
                holder = os.read(file, 200).decode("utf-8", "replace").strip()
                os.close(file)
                raise _busy(run, holder or "another process")
            if _is_file(path, file):
                break
            os.close(file)  # its last holder removed it meanwhile
        os.truncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        return file
    except OSError as e:
        raise CheckpointError(f"cannot train in {run}: {e.strerror}; choose another place with --out") from e


def _is_file(path: Path, file: int) -> bool:
    """Return whether `path` is still the name of the open file."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _try_lock(file: int, path: Path) -> bool:
    """Lock the whole file for this process and return True; False if another process has locked it.

    The lock belongs to the process, not to its forked workers, so that it ends with the process.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as e:
        warnings.warn(f"{path}: {e.strerror}; start only one run in this folder", stacklevel=4)
    return True


def _busy(run: Path, holder: str) -> CheckpointError:
    return CheckpointError(f"cannot train in {run}: {holder} trains there; wait for its end, or choose another --out")
