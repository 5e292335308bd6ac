"""Fetch a model from the first source that has the right bytes.

The files are downloaded into a partial folder, whose name depends on their hashes. Each file is hashed while it is
downloaded, and gets its final name when the hash is right. When all files are complete, the folder gets the model's
name. A pull that was interrupted leaves a partial folder, and the next pull continues there. Each model has a lock, so
that two pulls of it do not write at the same time.
"""

from __future__ import annotations

import errno
import functools
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
from ..manifest.addresses import Refused
from ..manifest.models import Models
from ..manifest.records import File, Record, ZooError, check_record
from . import cache
from .asking import Arrived, Silent, ask_all
from .sources import NETWORK_ERRORS, Readable, explain, is_local, is_permanent, local_folder, opened

CHUNK = 1 << 20
PARALLEL = 4  # files at the same time
TRIES = 4  # tries without progress for each file and source on the network
MAX_SOURCES = 16  # sources of one model on the network
MAX_NAMED = 5  # failed sources that an error names
BACKOFF = 0.5  # seconds before the second try; doubles with each try


Progress = Callable[[str, int, int], None]  # file, bytes so far, bytes of the file


def quiet(file: str, done: int, total: int) -> None:
    """Report no progress."""


class Stopped(Exception):
    """Another file of the same pull has failed, so this file is not fetched."""


def packaged(record: Record) -> Path | None:
    """Return the folder of a model inside an installed package; None if there is none."""
    for source in record.sources:
        if source.startswith("package:"):
            try:
                folder = local_folder(source)
            except Refused:  # of a package that is not installed; a pull names it
                continue
            if folder and all((folder / f.path).is_file() for f in record.files):
                return folder
    return None


def present(record: Record) -> Path | None:
    """Return the folder of a model that is complete on this machine; None if there is none."""
    at = cache.model_folder(record.name)
    if at.is_dir() and all((at / f.path).is_file() for f in record.files):
        return at
    return packaged(record)


def present_names(models: Models) -> set[str]:
    """Return the names of the models on this machine. The cache folder is listed once."""
    try:
        cached = set(os.listdir(cache.folder() / "models"))
    except OSError:
        cached = set()
    names = (*(cached & models.keys()), *models.shipped())
    return {name for name in names if (record := models.find(name)) is not None and present(record)}


def pull(record: Record, progress: Progress = quiet) -> Path:
    """Return the folder of a model, after fetching it if necessary.

    Raises ZooError, which names every failed source.
    """
    check_record(record, "the record")
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
    missing = [f for f in record.files if not _whole(partial / f.path, f)]
    left = sum(f.bytes - _size(_part(partial / f.path)) for f in missing)
    if shutil.disk_usage(partial).free < left:
        raise ZooError(f"{record.name} needs {left / 2**20:.0f} MiB more than are free in {cache.folder()}")
    if missing:
        usable = answering(record, min(missing, key=lambda f: f.bytes))
        _fetch_all(record, missing, partial, progress, usable)
    if final.exists():  # an incomplete folder, or a folder of the user: rename it, delete nothing
        final.rename(final.with_name(f".replaced-{record.name}-{time.time_ns()}"))
    partial.rename(final)
    return final


def _whole(path: Path, file: File) -> bool:
    """Return whether a file of a partial folder is complete. Only checked files have their final name."""
    return path.is_file() and not path.is_symlink() and _size(path) == file.bytes


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _fetch_all(
    record: Record,
    files: Sequence[File],
    partial: Path,
    progress: Progress,
    usable: tuple[Sequence[str], Sequence[str]],
) -> None:
    """Fetch several files at the same time, large files first. The first failure stops the others and is raised."""
    stop = threading.Event()

    def one(file: File) -> None:
        try:
            fetch_file(record, file, partial / file.path, progress, stop, usable)
        except BaseException:
            stop.set()
            raise

    in_order = sorted(files, key=lambda f: -f.bytes)
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="pull") as pool:
        try:
            running = [pool.submit(one, file) for file in in_order]
            wait(running)
        except BaseException:  # Ctrl-C: the threads end at their next chunk
            stop.set()
            raise
    problems = [e for e in (f.exception() for f in running) if e is not None]
    for problem in sorted(problems, key=lambda e: isinstance(e, Stopped)):
        raise problem


def sources(record: Record) -> tuple[str, ...]:
    """Return the sources in their order: the user's mirror, then those of the record; offline, only local ones.

    At most MAX_SOURCES are on the network. Raises ZooError for a mirror that is no address.
    """
    mirror = settings.mirror()
    every = (*([f"{mirror}/{record.name}"] if mirror else []), *record.sources)
    remote = () if cache.offline() else tuple(s for s in every if not is_local(s))[:MAX_SOURCES]
    return tuple(s for s in every if is_local(s) or s in remote)


def answering(record: Record, file: File) -> tuple[tuple[str, ...], list[str]]:
    """Return the sources that can be used, in their order, and a line for each other source.

    Several sources on the network get requests for `file` at once, again with growing waits while none answers.
    One source alone is not asked: the download does that.
    """
    every = sources(record)
    remote = [s for s in every if not is_local(s)]
    if len(remote) < 2:
        return every, []
    problems: dict[str, str] = {}
    for attempt in range(TRIES):
        answers = ask_all({s: functools.partial(_opens, s, file.path) for s in remote if s not in problems})
        errors = {s: e for s, e in answers.items() if isinstance(e, Exception)}
        problems |= {s: explain(e, s) for s, e in errors.items() if isinstance(e, Silent) or is_permanent(e)}
        left = [s for s in errors if s not in problems]
        if len(errors) < len(answers) or not left:
            break
        time.sleep(BACKOFF * 2**attempt)
    problems |= {s: explain(e, s) for s, e in errors.items()}
    return tuple(s for s in every if s not in problems), [f"{s}: {problem}" for s, problem in problems.items()]


def _opens(source: str, path: str, arrived: Arrived) -> None:
    """Open a file of a source and close it again. Raises what a network raises."""
    with opened(source, path):
        arrived(1)


def fetch_file(
    record: Record,
    file: File,
    target: Path,
    progress: Progress = quiet,
    stop: threading.Event | None = None,
    usable: tuple[Sequence[str], Sequence[str]] | None = None,
) -> None:
    """Fetch one file to `target`, which gets its name only after its sha256 was checked.

    `usable` is the answer of `answering`. Raises ZooError, which names the failed sources, and Stopped after `stop` was
    set.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    stop = stop or threading.Event()
    from_sources, others = usable or answering(record, file)
    problems = []
    for source in from_sources:
        problem = _from(source, file, target, progress, stop)
        if problem is None:
            return
        problems.append(f"{source}: {problem}")
    nowhere = "no source is on this machine, and REPORTGEN_OFFLINE is set" if cache.offline() else "it names no source"
    problems += others
    more = f"; and {len(problems) - MAX_NAMED} more sources" if len(problems) > MAX_NAMED else ""
    unused = len(record.sources) - len(problems)
    more += f"; {unused} further sources were not asked" if unused > 0 and problems and not cache.offline() else ""
    raise ZooError(f"{record.name}: cannot get {file.path}: {'; '.join(problems[:MAX_NAMED]) or nowhere}{more}")


def _from(source: str, file: File, target: Path, progress: Progress, stop: threading.Event) -> str | None:
    """Fetch a file from one source, with retries while bytes arrive. Return the problem; None if it was fetched."""
    part, failed, problem = _part(target), 0, ""
    while failed < (1 if is_local(source) else TRIES):
        before = _size(part)
        try:
            _stream(source, file, part, progress, stop)
            os.replace(part, target)
            return None
        except Refused as e:
            return str(e)
        except ZooError as e:
            part.unlink(missing_ok=True)  # wrong bytes cannot be continued
            problem = str(e)
        except NETWORK_ERRORS as e:
            if _is_ours(e, part):
                raise
            problem = explain(e, source)
            if getattr(e, "code", 500) == 416:  # the source has no such byte, so the partial file is of another file
                part.unlink(missing_ok=True)
                problem = f"{file.path} is shorter than the {file.bytes} bytes of the record"
            if is_permanent(e):
                return problem
        failed = 1 if _size(part) >= before + CHUNK else failed + 1  # a slow connection with progress is no failure
        if failed < TRIES and not is_local(source) and stop.wait(BACKOFF * 2 ** (failed - 1)):
            raise Stopped
    return problem


def _ahead(stream: Readable, most: int) -> Generator[memoryview, None, None]:
    """Yield the chunks of a stream, at most `most` bytes. A thread reads the next chunk while the caller uses one.

    There are two buffers, used in turns: a chunk is valid until the next one.
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
    """Return whether an error comes from the cache and not from the source, so that another source cannot help."""
    return isinstance(error, OSError) and (error.filename == str(part) or error.errno == errno.ENOSPC)


def _stream(source: str, file: File, part: Path, progress: Progress, stop: threading.Event) -> None:
    """Append the missing bytes to `part`. Raises ZooError if it is then not the file."""
    if part.is_symlink():  # not ours: never write to its target
        part.unlink()
    start = _size(part)
    if start >= file.bytes:  # complete; the earlier pull ended before it checked the hash
        if part.exists() and start == file.bytes and sha256_file(part) == file.sha256:
            return
        part.unlink(missing_ok=True)
        start = 0
    hashed = hashlib.sha256()
    with opened(source, file.path, start) as remote, part.open("r+b" if start else "wb") as out:
        if remote.start:
            while earlier := out.read(CHUNK):
                hashed.update(earlier)
        if remote.start < start:  # it sends the whole file; truncate only now: ext4 writes a truncated file when closed
            out.truncate(remote.start)
        done = remote.start
        with closing(_ahead(remote.stream, file.bytes - done + 1)) as chunks:
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
    if (
        hashed.hexdigest() != file.sha256 and remote.start
    ):  # the two parts are of different files: fetch all of it again
        part.unlink()
        return _stream(source, file, part, progress, stop)
    if hashed.hexdigest() != file.sha256:
        raise ZooError(f"{file.path} has sha256 {hashed.hexdigest()[:16]}..., the record has {file.sha256[:16]}...")
