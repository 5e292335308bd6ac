"""Write the reports of all requests in threads of their own, several studies at a time.

Two threads take studies from one queue. While one runs the model, the other reads the images of the next batch: a lock
of each model lets one batch at a time through the network. One thread at a time calls a reporter of another kind. A
request that is gone is skipped.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from reportgen_core import GenerationSettings, Model, Report, Study
from reportgen_core.types import Batch, Features

from .settings import ServedModel

THREADS = 2
GATHER = 0.004  # seconds to wait for further studies before a batch that is not full


@dataclass(frozen=True, slots=True)
class How:
    """How reports are to be written. Studies with equal values may be in one batch."""

    settings: GenerationSettings = field(default_factory=GenerationSettings)
    picture_side: int = 0  # pixels of the longer side of the pictures that reports keep; 0: none
    strict: bool = False


@dataclass(slots=True, eq=False)
class Piece:
    """One study, or a call, that waits for its model."""

    model: ServedModel
    study: Study | None = None
    how: How = field(default_factory=How)
    call: Callable[[], Any] | None = None
    future: Future[Any] = field(default_factory=Future)


class Worker:
    """The threads that run the models. `on_batch` is called with the model and the number of studies of each batch."""

    def __init__(self, batch: int = 16, on_batch: Callable[[str, int], None] | None = None) -> None:
        self.batch, self.on_batch = batch, on_batch or (lambda name, count: None)
        self._waiting: deque[Piece] = deque()
        self._changed, self._closing = threading.Condition(), False
        self._locks: dict[str, threading.Lock] = {}
        self._threads = [threading.Thread(target=self._run, name=f"reportgen-{n}", daemon=True) for n in range(THREADS)]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Return the number of studies and calls that no thread has taken yet."""
        return len(self._waiting)

    def report(self, model: ServedModel, study: Study, how: How) -> Future[Report]:
        """Return the report of a study, which a thread will write."""
        return self._add(Piece(model, study, how))

    def call(self, model: ServedModel, call: Callable[[], Any]) -> Future[Any]:
        """Return the result of a call that uses the model, which a thread will make."""
        return self._add(Piece(model, call=call))

    def close(self) -> None:
        """Finish what waits, and end the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _add(self, piece: Piece) -> Future[Any]:
        with self._changed:
            self._locks.setdefault(piece.model.name, threading.Lock())
            self._waiting.append(piece)
            self._changed.notify()
        return piece.future

    def _run(self) -> None:
        while pieces := self._take():
            live = [piece for piece in pieces if piece.future.set_running_or_notify_cancel()]
            if live:
                self._answer(live)

    def _take(self) -> list[Piece]:
        """Return the next studies that can be one batch, or one call; [] if the worker is closing."""
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return []
                self._changed.wait()
                if 0 < len(self._waiting) < self.batch:
                    self._changed.wait(GATHER)  # others may take the studies meanwhile
            first = self._waiting.popleft()
            pieces, left = [first], deque[Piece]()
            while self._waiting:
                piece = self._waiting.popleft()
                (pieces if self._fits(piece, pieces) else left).append(piece)
            self._waiting = left
            if left:
                self._changed.notify()
            return pieces

    def _fits(self, piece: Piece, pieces: list[Piece]) -> bool:
        first = pieces[0]
        if piece.study is None or first.study is None or len(pieces) >= self.batch:
            return False
        alike = piece.model is first.model and piece.how == first.how
        twice = not isinstance(piece.model.reporter, Model) and piece.study.id in {
            p.study.id for p in pieces if p.study
        }
        return alike and not twice  # a reporter of another kind may tell studies apart by their ids

    def _answer(self, pieces: list[Piece]) -> None:
        """Give each piece its result. If a batch fails, each of its studies is tried alone."""
        first = pieces[0]
        try:
            if first.call is not None:
                with self._locks[first.model.name]:
                    first.future.set_result(first.call())
                return
            self.on_batch(first.model.name, len(pieces))
            for piece, report in zip(pieces, self._write(pieces), strict=True):
                piece.future.set_result(report)
        except Exception as e:
            if len(pieces) > 1:
                for piece in pieces:
                    if not piece.future.done():
                        self._answer([piece])
            elif not first.future.done():
                first.future.set_exception(e)

    def _write(self, pieces: list[Piece]) -> list[Report]:
        model, how = pieces[0].model, pieces[0].how
        reporter, lock = model.reporter, self._locks[model.name]
        studies = [piece.study for piece in pieces if piece.study is not None]
        more: dict[str, Any] = {"batch_size": len(studies), "picture_side": how.picture_side, "strict": how.strict}
        if not isinstance(reporter, Model):
            with lock:
                return list(reporter.stream_reports(studies, how.settings, **more))
        held: list[threading.Lock] = []

        def encode(batch: Batch) -> Features:
            """Return the features of the batch; from here on this thread alone uses the model."""
            lock.acquire()
            held.append(lock)
            return reporter.encode(batch)

        try:
            return list(reporter.iter_reports(studies, how.settings, encode=encode, **more))
        finally:
            for one in held:
                one.release()
