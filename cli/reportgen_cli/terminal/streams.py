"""The streams and signals of `rg`.

Lines that libraries write to stderr are named and printed once. Signs that a stream cannot take are replaced. SIGTERM
ends the command as Ctrl-C does.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from reportgen_core.text.printable import printable

from .echo import erase_status

MAX_LINE = 500  # characters of a line of a library
OURS = ("reportgen_core", "reportgen_zoo", "reportgen_cli")  # their warnings need no name
MARK = "\x1e"  # before a note that a worker process sends: MARK name MARK text


class Notes:
    """Prints each warning and each line of a library once, as one line that begins with "note:"."""

    def __init__(self) -> None:
        self.process, self.seen, self.ended = os.getpid(), set[tuple[str, str]](), False
        self._lock = threading.Lock()

    def __call__(self, name: str, text: str) -> None:
        """Print a note of the library `name` ("" for this package) unless it was printed before."""
        line = printable(" ".join(text.split()), MAX_LINE)
        if os.getpid() != self.process:  # a worker: the main process reads this and prints it once
            with suppress(OSError):
                os.write(2, f"{MARK}{name}{MARK}{line}\n".encode("utf-8", "replace"))
            return
        with self._lock:
            if not line or self.ended or (name, line) in self.seen:
                return
            self.seen.add((name, line))
        with suppress(OSError, ValueError):  # a stderr that is closed takes no note
            erase_status()
            print(f"note: {name}: {line}" if name else f"note: {line}", file=sys.stderr, flush=True)

    def native(self, line: str) -> None:
        """Print a line that a library wrote past Python, or that a worker process sent."""
        if line.startswith(MARK):
            _, name, text = line.split(MARK, 2)
            self(name, text)
        else:
            self("a library", line)


def library_of(path: str) -> str:
    """Return the name of the package that a file belongs to; "" for this package."""
    parts = Path(path).with_suffix("").parts
    after = [i + 1 for i, part in enumerate(parts) if part in ("site-packages", "dist-packages")]
    if any(part in OURS for part in parts):
        return ""
    if after and after[-1] < len(parts):
        return parts[after[-1]]
    return parts[-1] if parts else "a library"


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Guard stdout and stderr during a command, and end it at SIGTERM; `interrupted` has the exit code then."""
    _open_closed_streams()
    notes = Notes()
    os.environ.setdefault("TQDM_DISABLE", "1")  # bars of libraries are no lines
    for stream, errors in ((sys.stdout, "replace"), (sys.stderr, "backslashreplace")):
        if hasattr(stream, "reconfigure"):
            with suppress(ValueError):  # a stream that is closed
                stream.reconfigure(errors=errors)
    with _terminating(notes), _native_lines(notes), _warnings(notes), _logged(notes):
        yield


def _open_closed_streams() -> None:
    """Open the standard streams that the caller closed on the null device.

    Otherwise the next file would take the number of the stream, and everything written to the stream would go into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", errors="replace", closefd=False))


@contextmanager
def _warnings(notes: Notes) -> Iterator[None]:
    """Print warnings as notes."""

    def show(message: Warning | str, category: type[Warning], filename: str, *more: object, **named: object) -> None:
        notes(library_of(filename), str(message))

    usual = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = usual


@contextmanager
def _logged(notes: Notes) -> Iterator[None]:
    """Print what libraries log to stderr as notes; handlers of files stay."""
    usual: Callable[..., None] = logging.StreamHandler.emit
    streams = {id(stream) for stream in (sys.stderr, sys.__stderr__) if stream is not None}

    def emit(handler: logging.StreamHandler[Any], record: logging.LogRecord) -> None:
        if id(handler.stream) in streams or handler.stream is sys.stderr:
            try:
                message = record.getMessage()
            except (TypeError, ValueError):  # its arguments do not fit its text
                message = f"{record.msg} {record.args}"
            notes(record.name.partition(".")[0], message)
        else:
            usual(handler, record)

    logging.StreamHandler.emit = emit  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        logging.StreamHandler.emit = usual  # type: ignore[method-assign]


@contextmanager
def _native_lines(notes: Notes) -> Iterator[None]:
    """Send what is written to the file descriptor 2 through `notes`; `sys.stderr` writes where it wrote before."""
    try:
        direct = sys.stderr.fileno() == 2
    except (AttributeError, OSError, ValueError):
        direct = False
    if not direct:  # a program that replaced stderr takes care of it
        yield
        return
    python: TextIO = sys.stderr
    python.flush()
    original, (reading, writing) = os.dup(2), os.pipe()
    sys.stderr = os.fdopen(  # not closed: others may hold it
        original, "w", encoding=python.encoding, errors="backslashreplace", buffering=1, closefd=False
    )
    os.dup2(writing, 2)
    os.close(writing)
    _workers_write_to(python)
    reader = threading.Thread(target=_read_lines, args=(reading, notes), name="stderr", daemon=True)
    reader.start()
    try:
        yield
    finally:
        os.dup2(original, 2)  # closes the pipe of this process; children may hold it open
        reader.join(timeout=0.5)
        sys.stderr.flush()
        sys.stderr = python


def _workers_write_to(stream: TextIO) -> None:
    """Let processes that are forked from now on write their stderr to `stream`, which the main process reads."""

    def after_fork() -> None:
        sys.stderr = stream

    os.register_at_fork(after_in_child=after_fork)


def _read_lines(reading: int, notes: Notes) -> None:
    with open(reading, encoding="utf-8", errors="replace") as file:
        for line in file:
            notes.native(line)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which ends a command in the same way as Ctrl-C, with another exit code."""


_signals: list[int] = []  # that ended the command of this process


def interrupted() -> int:
    """Return the exit code of a command that a signal ended: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + (_signals[-1] if _signals else signal.SIGINT)


def end_children() -> None:
    """Ask every process that this one started, and every one that they started, to end."""
    for pid in _children(os.getpid()):
        with suppress(OSError):  # it has ended already
            os.kill(pid, signal.SIGTERM)


def _children(pid: int) -> Iterator[int]:
    """Yield the process ids of the children of a process and of their children. Only Linux lists them."""
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                yield from _children(child)
                yield child


@contextmanager
def _terminating(notes: Notes) -> Iterator[None]:
    """Raise Terminated at SIGTERM, so that files are closed and children end; a second SIGTERM ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    process = os.getpid()

    def end(number: int, frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != process:  # a forked worker
            os.kill(os.getpid(), number)
        _signals.append(number)
        notes.ended = True  # what its children write while they end is no news
        raise Terminated

    _signals.clear()
    usual = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)
