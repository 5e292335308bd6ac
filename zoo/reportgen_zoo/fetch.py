"""Fetches a model: from the first source that has the right bytes, resumed where it broke off, whole or not at all.

Files gather in a partial folder whose name depends on their hashes. Each is hashed while it streams and gets its name
when the hash is right; the folder is renamed to the model's when all are there. Whoever is killed leaves a partial
folder that the next pull goes on with. A lock a model keeps two pulls apart.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from . import cache
from .records import File, Record, ZooError
from .sources import NETWORK_ERRORS, is_local, local_folder, opened

CHUNK = 1 << 20
TRIES = 4  # of a source on the network, a file
BACKOFF = 0.5  # seconds before the second try; doubles

Progress = Callable[[str, int, int], None]  # file, bytes so far, bytes of the file


def quiet(file: str, done: int, total: int) -> None:
    """A progress that says nothing."""


def packaged(record: Record) -> Path | None:
    """The folder of a model that ships inside an installed package."""
    for source in record.sources:
        if source.startswith("package:"):
            folder = local_folder(source)
            if folder and all((folder / f.path).is_file() for f in record.files):
                return folder
    return None


def present(record: Record) -> Path | None:
    """The folder of a model that is on this machine, whole."""
    at = cache.model_folder(record.name)
    if at.is_dir() and all((at / f.path).is_file() for f in record.files):
        return at
    return packaged(record)


def pull(record: Record, progress: Progress = quiet) -> Path:
    """The folder of a model, fetched where need be. Raises ZooError naming every source that failed."""
    if (at := present(record)) is not None:
        return at
    from filelock import FileLock

    try:
        lock = cache.lock_file(record.name)
        lock.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(lock):
            return present(record) or _gather(record, progress)
    except OSError as e:
        raise ZooError(f"{record.name}: cannot write to the cache {cache.folder()}: {e.strerror or e}") from e


def _gather(record: Record, progress: Progress) -> Path:
    partial, final = cache.partial_folder(record), cache.model_folder(record.name)
    partial.mkdir(parents=True, exist_ok=True)
    left = sum(f.bytes for f in record.files if not (partial / f.path).exists())
    if shutil.disk_usage(partial).free < left:
        raise ZooError(f"{record.name} needs {left / 2**20:.0f} MiB more than are free in {cache.folder()}")
    for file in record.files:
        if not (partial / file.path).exists():
            fetch_file(record, file, partial / file.path, progress)
    if final.exists():  # a folder that lacks files, or somebody's own: keep it, out of the way
        final.rename(final.with_name(f".replaced-{record.name}-{time.time_ns()}"))
    partial.rename(final)
    return final


def sources(record: Record) -> tuple[str, ...]:
    """Where to look, in order: the user's mirror, then the record's own sources; offline, only what is here."""
    mirror = os.environ.get("REPORTGEN_MIRROR", "").rstrip("/")
    all_of_them = (*([f"{mirror}/{record.name}"] if mirror else []), *record.sources)
    return tuple(s for s in all_of_them if is_local(s)) if cache.offline() else all_of_them


def fetch_file(record: Record, file: File, target: Path, progress: Progress = quiet) -> None:
    """Fetch one file to `target`, which appears only with the right bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    problems = []
    for source in sources(record):
        for attempt in range(1 if is_local(source) else TRIES):
            if attempt:
                time.sleep(BACKOFF * 2 ** (attempt - 1))
            try:
                _stream(source, file, part, progress)
                os.replace(part, target)
                return
            except ZooError as e:
                part.unlink(missing_ok=True)  # wrong bytes are of no use
                problem = str(e)
            except NETWORK_ERRORS as e:
                if _is_ours(e, part):
                    raise
                problem = str(e)
                code = getattr(e, "code", 500)
                if code == 416:  # it has no such byte, so what is here is of another file
                    part.unlink(missing_ok=True)
                    problem = f"{file.path} is shorter than the {file.bytes} bytes of the record"
                if code in (401, 403, 404, 410):
                    break  # trying again changes nothing
        problems.append(f"{source}: {problem}")
    nowhere = "no source is on this machine, and REPORTGEN_OFFLINE is set" if cache.offline() else "it names no source"
    tried = "; ".join(problems) or nowhere
    raise ZooError(f"{record.name}: cannot get {file.path}: {tried}")


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_ours(error: BaseException, part: Path) -> bool:
    """Whether an error is about the cache, not about the source: another source would not help."""
    return isinstance(error, OSError) and (error.filename == str(part) or error.errno == errno.ENOSPC)


def _stream(source: str, file: File, part: Path, progress: Progress) -> None:
    """Append to `part` what it lacks; raises ZooError unless it is then the file."""
    start = part.stat().st_size if part.exists() else 0
    if start >= file.bytes:  # nothing to ask for; whoever broke off here had no time to look at the hash
        if part.exists() and start == file.bytes and sha256(part) == file.sha256:
            return
        part.unlink(missing_ok=True)
        start = 0
    with opened(source, file.path, start) as found, part.open("r+b" if start else "wb") as out:
        hashed = hashlib.sha256()
        if found.start:
            while chunk := out.read(CHUNK):
                hashed.update(chunk)
        out.truncate(found.start)
        done = found.start
        while chunk := found.stream.read(CHUNK):
            done += len(chunk)
            if done > file.bytes:
                raise ZooError(f"{file.path} is longer than the {file.bytes} bytes of the record")
            hashed.update(chunk)
            out.write(chunk)
            progress(file.path, done, file.bytes)
    if done < file.bytes:
        raise OSError(f"ended after {done} of {file.bytes} bytes")
    if hashed.hexdigest() != file.sha256 and found.start:  # the parts are of two files: once more, from the start
        part.unlink()
        return _stream(source, file, part, progress)
    if hashed.hexdigest() != file.sha256:
        raise ZooError(f"{file.path} has sha256 {hashed.hexdigest()[:16]}..., the record has {file.sha256[:16]}...")
