"""List the studies of an archive for people: the newest first, and which of them have a report."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from .archive import Archive, ArchivedStudy
from .stored import StoredReports

FRESH = 3.0  # seconds for which a list of the archive is shown again


class Listing:
    """The studies of one archive. It remembers for a moment what the archive listed, and which reports it holds."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._lock = threading.Lock()
        self._studies: list[ArchivedStudy] = []
        self._with_sr: frozenset[str] = frozenset()
        self._until = 0.0
        self._stored: dict[str, set[str]] = {}  # studies by the hash of the model whose report they have

    def rows(
        self, reports: StoredReports, limit: int, waiting: bool, problems: Mapping[str, str]
    ) -> tuple[list[dict[str, Any]], int]:
        """Return at most `limit` studies as JSON values, and the number of studies of the archive.

        `waiting`: only those without a report. `problems` are what kept a study from its report. Raises ArchiveError.
        """
        with self._lock:
            self._look()
            rows: list[dict[str, Any]] = []
            for row in self._each(reports, problems):
                if len(rows) == limit:
                    break
                if not waiting or row["state"] != "stored":
                    rows.append(row)
            return rows, len(self._studies)

    def forget(self) -> None:
        """Ask the archive anew with the next list: a report was stored."""
        with self._lock:
            self._until = 0.0

    def _look(self) -> None:
        if time.monotonic() < self._until:
            return
        studies = self.archive.studies()
        self._with_sr = frozenset(self.archive.studies_with("SR"))
        self._studies = sorted(studies, key=lambda study: (study.date, study.time, study.uid), reverse=True)
        self._until = time.monotonic() + FRESH

    def _each(self, reports: StoredReports, problems: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        """Yield a row for each study. The archive is asked once for a report that it holds."""
        stored = self._stored.setdefault(reports.origin.digest, set())
        stored &= self._with_sr  # reports may have been deleted
        for study in self._studies:
            if study.uid in self._with_sr and study.uid not in stored and reports.has(study.uid):
                stored.add(study.uid)
            problem = problems.get(study.uid, "")
            state = "stored" if study.uid in stored else "failed" if problem else "waiting"
            yield {
                "study": study.uid, "date": study.date, "time": study.time, "accession": study.accession,
                "description": study.description, "files": study.images, "state": state,
                "problem": problem if state == "failed" else "",
            }  # fmt: skip
