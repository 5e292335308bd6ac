"""Report the studies of an archive, some at a time, and store each report in its study."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reportgen_core import Report, ReportgenError, Study

from ..terminal.echo import say
from .archive import Address, Archive, NoAnswer
from .stored import StoredReports, fetch_files, fetch_study

Generate = Callable[[Sequence[Study]], Iterator[Report]]


@contextmanager
def fetched(places: Sequence[Address]) -> Iterator[list[Path]]:
    """Yield a folder of files for each address of a study, named after the study; the folders go at the end.

    Raises DataError if a study has no radiograph, or the archive does not give it.
    """
    with tempfile.TemporaryDirectory(prefix="reportgen-dicomweb-") as top:
        yield [fetch_files(Archive(place.url), place.study, Path(top)) for place in places]


def say_stored(report: Report, uid: str) -> None:
    """Print that a report is stored, and its note."""
    say(f"{report.study}: report stored as {uid}")
    for text in (report.note, report.problem):
        if text:
            say(f"note: {report.study}: {text}", err=True)


def say_failed(study: str, why: str) -> None:
    """Print why a study has no report."""
    say(f"rg: {study}: {why}", err=True)


@dataclass
class Worker:
    """Reports studies of one archive with one model. Counts under "stored", "there" (before) and "failed"."""

    reports: StoredReports
    generate: Generate
    on_stored: Callable[[Report, str], None] = say_stored
    on_failed: Callable[[str, str], None] = say_failed
    counts: Counter[str] = field(default_factory=Counter)

    def run(self, studies: Sequence[str]) -> None:
        """Report some studies by their UIDs, and store the reports. Those that have one are passed over.

        A study that cannot be fetched, read or stored fails, and the others go on. Raises NoAnswer if the archive
        cannot be reached; what it holds stays, and the next run goes on there.
        """
        with tempfile.TemporaryDirectory(prefix="reportgen-dicomweb-") as top:
            by_id = {study.id: study for study in self._fetched(studies, Path(top))}
            for report in self.generate(list(by_id.values())) if by_id else ():
                with self._failures(report.study, top):
                    if self.reports.store(report, by_id[report.study]):
                        self.counts["stored"] += 1
                        self.on_stored(report, self.reports.uid(report.study))
                    else:
                        self.counts["there"] += 1

    def _fetched(self, uids: Sequence[str], top: Path) -> Iterator[Study]:
        """Yield the studies that have no report yet, with their files."""
        for uid in uids:
            with self._failures(uid, str(top)):
                if self.reports.has(uid):
                    self.counts["there"] += 1
                    continue
                yield fetch_study(self.reports.archive, uid, top)

    @contextmanager
    def _failures(self, uid: str, top: str) -> Iterator[None]:
        """Count and tell the fault of a study, without the folder that its files are in for a moment."""
        try:
            yield
        except NoAnswer:
            raise
        except ReportgenError as e:
            self.counts["failed"] += 1
            self.on_failed(uid, str(e).replace(f"{top}{os.sep}", ""))

    def summary(self, number: int) -> str:
        """Return a line on what became of so many studies."""
        counts = self.counts
        failed = f", {counts['failed']} without a report" if counts["failed"] else ""
        noun = "study" if number == 1 else "studies"
        return f"{number} {noun}: {counts['stored']} stored, {counts['there']} there before{failed}"


def run_worker(places: Sequence[Address], batch: int, make: Callable[[Archive], Worker]) -> bool:
    """Report the studies of these addresses, archive by archive. Return False if a study has no report then."""
    good = True
    for url in dict.fromkeys(place.url for place in places):
        archive = Archive(url)
        named = [place.study for place in places if place.url == url]
        studies = list(dict.fromkeys(named))
        if "" in named:
            studies = _from_elsewhere([study.uid for study in archive.studies()])
        worker = make(archive)
        for start in range(0, len(studies), batch):
            worker.run(studies[start : start + batch])
        say(worker.summary(len(studies)), err=True)
        good &= not worker.counts["failed"]
    return good


def _from_elsewhere(studies: list[str]) -> list[str]:
    """Return studies from a place in the list that differs between processes, so that two workers share the work."""
    start = os.getpid() * 7919 % max(1, len(studies))  # processes of one moment have ids near each other
    return studies[start:] + studies[:start]
