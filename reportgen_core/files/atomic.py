"""A folder that appears whole or not at all: written beside, synced and renamed; what was there survives a failure."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import safetensors

from ..errors import CheckpointError


@contextmanager
def replacing(folder: Path, holds: str) -> Iterator[Path]:
    """A new folder beside `folder`, which takes its place at the end. Where that fails the old one stands.

    Raises CheckpointError, also for a folder with files in it and none named `holds`: it is somebody's, not ours.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder.is_dir() and ((folder / holds).exists() or not any(folder.iterdir()))):
        raise CheckpointError(f"{folder} is there and holds no {holds}: it is not replaced; choose another place")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as e:
        raise CheckpointError(f"cannot write {folder}: {e.strerror}; choose another place with --out") from e
    try:
        yield beside
        mode = _usual_mode(beside)
        for path in beside.rglob("*"):
            if path.is_file():
                path.chmod(mode)  # safetensors' files are private, whatever the umask
                _sync(path)
        beside.chmod(mode | (mode & 0o444) >> 2)  # and so are mkdtemp's folders
        _swap(beside, folder)
    except (OSError, safetensors.SafetensorError) as e:
        why = e.strerror if isinstance(e, OSError) and e.strerror else e
        kept = "; what was there before is untouched" if folder.exists() else ""
        raise CheckpointError(f"cannot write {folder}: {why}{kept}") from e
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _usual_mode(folder: Path) -> int:
    """The permissions that a new file gets here."""
    probe = folder / ".mode"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    return mode


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _swap(beside: Path, folder: Path) -> None:
    """Put `beside` in the place of `folder`. Killed in between, `recover` finds the old one."""
    old = _old(folder)
    recover(folder)
    if folder.exists():
        os.rename(folder, old)
    os.rename(beside, folder)
    shutil.rmtree(old, ignore_errors=True)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def recover(folder: Path) -> None:
    """Finish or undo a replacement that was killed between its two renames."""
    old = _old(folder.absolute())
    if old.exists() and not folder.exists():
        os.rename(old, folder)
    elif old.exists():
        shutil.rmtree(old, ignore_errors=True)
