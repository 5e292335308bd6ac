"""Write a file or a folder whole or not at all: under a temporary name, synced and renamed."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal

from ..errors import CheckpointError


def atomic_write(path: Path, content: str | bytes, *, private: bool = False) -> None:
    """Write a file whole or not at all, as `atomic_file` does."""
    with atomic_file(path, "wb", private=private) as file:
        file.write(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))


@contextmanager
def atomic_file(path: Path, mode: Literal["w", "wb"] = "w", *, private: bool = False) -> Iterator[IO[Any]]:
    """Open a temporary file in the folder of `path`, and rename it to `path` at the end of the block.

    If the block fails, the temporary file is removed and the old file stays. Of two writers at once, the last one to
    finish wins. The new file has the permissions that the umask gives; a `private` one can be read by its owner alone
    (mode 0600). Text is UTF-8 and its line ends stay as they are; a character that UTF-8 cannot express becomes "?".
    Raises OSError.
    """
    temporary = path.with_name(f".{path.name[:40]}.{os.urandom(8).hex()}.part")
    text = {} if mode == "wb" else {"encoding": "utf-8", "errors": "replace", "newline": ""}
    try:
        opener = _private if private else None
        with open(temporary, mode.replace("w", "x"), opener=opener, **text) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@contextmanager
def replacing(folder: Path, holds: str) -> Iterator[Path]:
    """Yield a new temporary folder next to `folder`, and rename it to `folder` at the end of the block.

    If the block or the renaming fails, the old folder stays. Raises CheckpointError then, and also for a folder that
    has files but none named `holds`: such a folder was not written by this package.
    """
    folder = folder.absolute()
    if folder.exists() and not (folder.is_dir() and ((folder / holds).exists() or not any(folder.iterdir()))):
        raise CheckpointError(
            f"cannot write {folder}: the folder has files but no {holds}, so it was not overwritten; "
            "choose another folder"
        )
    from safetensors import SafetensorError

    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as e:
        raise CheckpointError(f"cannot write {folder}: {e.strerror}; choose another place with --out") from e
    try:
        yield temporary
        mode = _usual_mode(temporary)
        for path in temporary.rglob("*"):
            if path.is_file():
                path.chmod(mode)  # safetensors' files are private, whatever the umask
                _sync(path)
        temporary.chmod(mode | (mode & 0o444) >> 2)  # and so are mkdtemp's folders
        _swap(temporary, folder)
    except (OSError, SafetensorError) as e:
        why = e.strerror if isinstance(e, OSError) and e.strerror else e
        unchanged = "; what was there before is untouched" if folder.exists() else ""
        raise CheckpointError(f"cannot write {folder}: {why}{unchanged}") from e
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _usual_mode(folder: Path) -> int:
    """Return the permissions that a new file in this folder gets."""
    probe = folder / ".mode"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    return mode


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _swap(temporary: Path, folder: Path) -> None:
    """Rename `temporary` to `folder`. If the process is killed between the two renames, `recover` restores the old."""
    old = _old(folder)
    recover(folder)
    if folder.exists():
        os.rename(folder, old)
    os.rename(temporary, folder)
    shutil.rmtree(old, ignore_errors=True)


def _old(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")


def recover(folder: Path) -> None:
    """Finish or undo a replacement that was killed between its two renames."""
    old = _old(folder.absolute())
    if old.exists() and not folder.exists():
        try:
            os.rename(old, folder)
        except FileNotFoundError:  # another process of the same run was quicker
            if not folder.exists():
                raise
    elif old.exists():
        shutil.rmtree(old, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove the temporary folders of replacements of `folder` that were killed, after finishing or undoing the last.

    Only for a caller that knows that nobody else is writing `folder`.
    """
    recover(folder)
    for path in folder.parent.glob(f".{glob.escape(folder.name)}.*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
