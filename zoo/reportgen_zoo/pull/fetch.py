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
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path

from reportgen_core.files.digests import sha256_file

from ..manifest import settings
from ..manifest.models import Models
from ..manifest.records import File, Record, ZooError
from . import cache
from .sources import NETWORK_ERRORS, Readable, is_local, local_folder, opened

CHUNK = 1 << 20
PARALLEL = 4  # files at once
TRIES = 4  # of a source on the network, a file, that bring nothing
BACKOFF = 0.5  # seconds before the second try; doubles


Progress = Callable[[str, int, int], None]  # file, bytes so far, bytes of the file


def quiet(file: str, done: int, total: int) -> None:
    """A progress that says nothing."""


class Stopped(Exception):
    """Another file of the same pull has failed; this one need not be fetched."""


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


def present_names(models: Models) -> set[str]:
    """The names of those that are on this machine. Looks into the cache once, however many there are."""
    try:
        cached = set(os.listdir(cache.folder() / "models"))
    except OSError:
        cached = set()
    return {name for name in (*(cached & models.keys()), *models.shipped()) if present(models[name])}


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
    wanted = [f for f in record.files if not _whole(partial / f.path, f)]
    have = sum(_size(_part(partial / f.path)) for f in wanted)
    left = sum(f.bytes for f in wanted) - have
    if shutil.disk_usage(partial).free < left:
        raise ZooError(f"{record.name} needs {left / 2**20:.0f} MiB more than are free in {cache.folder()}")
    _fetch_all(record, wanted, partial, progress)
    if final.exists():  # a folder that lacks files, or somebody's own: keep it, out of the way
        final.rename(final.with_name(f".replaced-{record.name}-{time.time_ns()}"))
    partial.rename(final)
    return final


def _whole(path: Path, file: File) -> bool:
    """Whether a file of a partial folder is what a pull left there: a name is given only to right bytes."""
    return path.is_file() and not path.is_symlink() and _size(path) == file.bytes


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _fetch_all(record: Record, files: Sequence[File], partial: Path, progress: Progress) -> None:
    """Fetch files beside each other, large ones first; the first failure stops the others and is raised."""
    stop = threading.Event()

    def one(file: File) -> None:
        try:
            fetch_file(record, file, partial / file.path, progress, stop)
        except BaseException:
            stop.set()
            raise

    in_order = sorted(files, key=lambda f: -f.bytes)
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="pull") as pool:
        try:
            running = [pool.submit(one, file) for file in in_order]
            wait(running)
        except BaseException:  # Ctrl-C: let the threads end at their next chunk
            stop.set()
            raise
    problems = [e for e in (f.exception() for f in running) if e is not None]
    for problem in sorted(problems, key=lambda e: isinstance(e, Stopped)):
        raise problem


def sources(record: Record) -> tuple[str, ...]:
    """Where to look, in order: the user's mirror, then the record's own sources; offline, only what is here."""
    mirror = settings.mirror()
    all_of_them = (*([f"{mirror}/{record.name}"] if mirror else []), *record.sources)
    return tuple(s for s in all_of_them if is_local(s)) if cache.offline() else all_of_them


def fetch_file(
    record: Record, file: File, target: Path, progress: Progress = quiet, stop: threading.Event | None = None
) -> None:
    """Fetch one file to `target`, which appears only with the right bytes. Raises Stopped once `stop` is set."""
    target.parent.mkdir(parents=True, exist_ok=True)
    stop = stop or threading.Event()
    problems = []
    for source in sources(record):
        problem = _from(source, file, target, progress, stop)
        if problem is None:
            return
        problems.append(f"{source}: {problem}")
    nowhere = "no source is on this machine, and REPORTGEN_OFFLINE is set" if cache.offline() else "it names no source"
    tried = "; ".join(problems) or nowhere
    raise ZooError(f"{record.name}: cannot get {file.path}: {tried}")


def _from(source: str, file: File, target: Path, progress: Progress, stop: threading.Event) -> str | None:
    """Fetch a file from one source, with retries as long as they get on. None, or what was wrong."""
    part, failed, problem = _part(target), 0, ""
    while failed < (1 if is_local(source) else TRIES):
        before = _size(part)
        try:
            _stream(source, file, part, progress, stop)
            os.replace(part, target)
            return None
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
                return problem + (f"; set HF_TOKEN where {source} is private" if source.startswith("hf:") else "")
        failed = 1 if _size(part) >= before + CHUNK else failed + 1  # a bad line that gets on is no failure
        if failed < TRIES and not is_local(source) and stop.wait(BACKOFF * 2 ** (failed - 1)):
            raise Stopped
    return problem


def _ahead(stream: Readable, most: int) -> Generator[memoryview, None, None]:
    """The chunks of a stream, `most` bytes at most; a thread reads the next one while one is hashed and written.

    Two buffers take turns. A chunk is valid until the next.
    """
    buffers = [memoryview(bytearray(CHUNK)) for _ in range(2)]
    with ThreadPoolExecutor(1, thread_name_prefix="read") as thread:
        reading = thread.submit(stream.readinto, buffers[0][:most])
        while size := reading.result():
            chunk = buffers[0][:size]
            most -= size
            buffers.reverse()
            reading = thread.submit(stream.readinto, buffers[0][:most])
            yield chunk


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _is_ours(error: BaseException, part: Path) -> bool:
    """Whether an error is about the cache, not about the source: another source would not help."""
    return isinstance(error, OSError) and (error.filename == str(part) or error.errno == errno.ENOSPC)


def _stream(source: str, file: File, part: Path, progress: Progress, stop: threading.Event) -> None:
    """Append to `part` what it lacks; raises ZooError unless it is then the file."""
    if part.is_symlink():  # not ours: writing would go where it points
        part.unlink()
    start = _size(part)
    if start >= file.bytes:  # nothing to ask for; whoever broke off here had no time to look at the hash
        if part.exists() and start == file.bytes and sha256_file(part) == file.sha256:
            return
        part.unlink(missing_ok=True)
        start = 0
    hashed = hashlib.sha256()
    with opened(source, file.path, start) as found, part.open("r+b" if start else "wb") as out:
        if found.start:
            while had := out.read(CHUNK):
                hashed.update(had)
        if found.start < start:  # it cannot go on; ext4 writes a truncated file to the disk as it is closed
            out.truncate(found.start)
        done = found.start
        with closing(_ahead(found.stream, file.bytes - done + 1)) as chunks:
            for chunk in chunks:
                done += len(chunk)
                if done > file.bytes:
                    raise ZooError(f"{file.path} is longer than the {file.bytes} bytes of the record")
                hashed.update(chunk)
                out.write(chunk)
                progress(file.path, done, file.bytes)
                if stop.is_set():
                    raise Stopped
    if done < file.bytes:
        raise OSError(f"ended after {done} of {file.bytes} bytes")
    if hashed.hexdigest() != file.sha256 and found.start:  # the parts are of two files: once more, from the start
        part.unlink()
        return _stream(source, file, part, progress, stop)
    if hashed.hexdigest() != file.sha256:
        raise ZooError(f"{file.path} has sha256 {hashed.hexdigest()[:16]}..., the record has {file.sha256[:16]}...")
