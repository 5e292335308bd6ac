"""Report the studies of an archive, and store each report in its study as DICOM SR.

A report's SOP Instance UID follows from the study and from the hash of the model. So the archive itself says what is
done: a study whose report it holds is passed over, a worker that was killed goes on with the first study that lacks its
report, and two workers on one archive store nothing twice.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reportgen_core import DataError, Report, Reporter, ReportgenError, Study
from reportgen_core.data.study_files import group_files

from ..formats.instances import report_uid
from ..formats.report import report_bytes
from ..formats.wanted import Wanted
from ..pages.shared.origin import Origin
from ..terminal.echo import say
from .archive import Address, Archive, NoAnswer

Generate = Callable[[Sequence[Study]], Iterator[Report]]


@contextmanager
def fetched(places: Sequence[Address]) -> Iterator[list[Path]]:
    """Yield a folder of files for each address of a study, named after the study; the folders go at the end.

    Raises DataError if a study has no radiograph, or the archive does not give it.
    """
    with tempfile.TemporaryDirectory(prefix="reportgen-dicomweb-") as top:
        yield [_fetched(Archive(place.url), place.study, Path(top)) for place in places]


@dataclass
class Worker:
    """Reports the studies of one archive with one model."""

    archive: Archive
    model: Reporter
    origin: Origin
    wanted: Wanted
    generate: Generate
    counts: Counter[str] = field(default_factory=Counter)

    def run(self, studies: Sequence[str], batch: int) -> bool:
        """Report studies by their UIDs, `batch` at a time, and store the reports. Return False if one has none then.

        A study that cannot be fetched, read or stored is named on stderr, and the others go on. Raises NoAnswer
        if the archive cannot be reached; what it holds stays, and the next run goes on there.
        """
        for start in range(0, len(studies), batch):
            uids = [uid for uid in studies[start : start + batch] if not self._done(uid)]
            with tempfile.TemporaryDirectory(prefix="reportgen-dicomweb-") as top:
                self._batch(uids, Path(top))
        say(self._summary(len(studies)), err=True)
        return not self.counts["failed"]

    def _done(self, study: str) -> bool:
        done = self.archive.holds(study, report_uid(study, self.origin.digest))
        self.counts["there"] += done
        return done

    def _batch(self, uids: Sequence[str], top: Path) -> None:
        """Fetch, report and store some studies."""
        studies = []
        for uid in uids:
            try:
                folder = _fetched(self.archive, uid, top)
                studies.append(Study(uid, tuple(v for s in group_files([folder]) for v in s.views)))
            except NoAnswer:
                raise
            except ReportgenError as e:
                self._failed(uid, str(e))
        by_id = {study.id: study for study in studies}
        for report in self.generate(studies) if studies else ():
            try:
                self._store(report, by_id[report.study])
            except NoAnswer:
                raise
            except ReportgenError as e:
                self._failed(report.study, str(e))

    def _store(self, report: Report, study: Study) -> None:
        """Store a report in its study, unless it is there now. Raises DataError for a study without a text."""
        if not report.text:
            raise DataError(report.problem or "the model wrote nothing")
        uid = report_uid(study.id, self.origin.digest)
        content = report_bytes(
            report, "sr", study, self.origin, Wanted(thresholds=self.wanted.thresholds, instance=uid)
        )
        if self._done(study.id):
            return
        self.archive.store(study.id, uid, content)
        self.counts["stored"] += 1
        say(f"{study.id}: report stored as {uid}")
        for text in (report.note, report.problem):
            if text:
                say(f"note: {study.id}: {text}", err=True)

    def _failed(self, uid: str, why: str) -> None:
        self.counts["failed"] += 1
        say(f"rg: {uid}: {why}", err=True)

    def _summary(self, number: int) -> str:
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
        studies = _from_elsewhere(archive.studies()) if "" in named else list(dict.fromkeys(named))
        good &= make(archive).run(studies, batch)
    return good


def _from_elsewhere(studies: list[str]) -> list[str]:
    """Return studies from a place in the list that differs between processes, so that two workers share the work."""
    start = os.getpid() * 7919 % max(1, len(studies))  # processes of one moment have ids near each other
    return studies[start:] + studies[:start]


def _fetched(archive: Archive, study: str, top: Path) -> Path:
    """Write the radiographs of a study into a folder of its name below `top`, and return the folder."""
    folder = top / study
    folder.mkdir()
    files: list[Any] = archive.fetch(study, folder)
    if not files:
        raise DataError(f"study {study} of {archive.url} has no radiograph (modality CR, DX, DR or RG)")
    return folder
