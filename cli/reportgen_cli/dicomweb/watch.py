"""Look at an archive again and again, and store the reports of the studies that arrive."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from reportgen_core import DataError

from .archive import ArchivedStudy, ArchiveError, NoAnswer
from .stored import StoredReports
from .worker import Generate, Worker

BATCH = 8  # studies that are fetched together
FIRST_REST, LONGEST_REST = 60.0, 3600.0  # seconds until a study that failed is tried again; the time doubles


@dataclass(slots=True)
class Failure:
    """Why a study has no report, and when it is tried again."""

    why: str
    rest: float
    due: float


class Watch:
    """A thread that reports the studies of an archive until it is closed.

    A study is reported once the archive lists it twice with the same number of files: one that is still being sent
    would be reported without its last images. `on_round` gets the numbers of studies by what became of them;
    `on_trouble` gets a line when the archive begins to fail, and "" when it answers again.
    """

    def __init__(
        self, reports: StoredReports, generate: Generate, every: float,
        on_round: Callable[[Counter[str]], None], on_trouble: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.reports, self.every = reports, every
        self.on_round, self.on_trouble = on_round, on_trouble
        self.failures: dict[str, Failure] = {}
        self.closing = threading.Event()
        self._worker = Worker(reports, generate, lambda report, uid: None, self._failed)
        self._listed: dict[str, ArchivedStudy] = {}
        self._done: set[str] = set()
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="reportgen-archive", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """End the thread once the studies in hand have their reports."""
        self.closing.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def problems(self) -> dict[str, str]:
        """Return why studies have no report, by their UIDs."""
        return {uid: failure.why for uid, failure in self.failures.copy().items()}

    def _run(self) -> None:
        while not self.closing.is_set():
            self.look()
            self.closing.wait(self.every)

    def look(self) -> None:
        """Report the studies that are there now and have no report.

        A failure of the archive is reported, and the archive is tried again.
        """
        try:
            listed = {study.uid: study for study in self.reports.archive.studies()}
        except ArchiveError as e:
            self._tell(str(e))
            return
        whole = [uid for uid, study in listed.items() if self._listed.get(uid) == study and uid not in self._done]
        self._listed, self._done = listed, self._done & listed.keys()
        self.failures = {uid: failure for uid, failure in self.failures.items() if uid in listed}
        now = time.monotonic()
        due = [uid for uid in whole if uid not in self.failures or self.failures[uid].due <= now]
        try:
            for start in range(0, len(due), BATCH):
                if self.closing.is_set():
                    return
                self._report(due[start : start + BATCH])
        except NoAnswer:  # its line names a study
            self._tell(f"{self.reports.archive.name} does not answer")
        except (OSError, DataError) as e:  # no room for the files of a study, for example
            self._tell(f"{type(e).__name__} while studies of {self.reports.archive.name} were reported")
        else:
            self._tell("")

    def _report(self, uids: list[str]) -> None:
        before = {uid: self.failures.get(uid) for uid in uids}
        self._worker.counts.clear()
        try:
            self._worker.run(uids)
        finally:
            if self._worker.counts:
                self.on_round(self._worker.counts.copy())
        if not self.closing.is_set():
            self._done |= {uid for uid in uids if self.failures.get(uid) is before[uid]}
            for uid in self._done & self.failures.keys():
                del self.failures[uid]

    def _failed(self, uid: str, why: str) -> None:
        last = self.failures.get(uid)
        rest = min(LONGEST_REST, 2 * last.rest) if last else FIRST_REST
        self.failures[uid] = Failure(why, rest, time.monotonic() + rest)

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self.on_trouble(trouble)
