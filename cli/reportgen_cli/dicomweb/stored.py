"""Store the reports of a model in the studies of an archive, each once.

A report's SOP Instance UID follows from the study and from the hash of the model. So the archive itself says what is
done: a study whose report it holds is passed over, who was killed goes on with the first study that lacks its report,
and two processes on one archive store nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reportgen_core import DataError, Report, Study
from reportgen_core.data.study_files import group_files

from ..formats.instances import report_uid
from ..formats.report import report_bytes
from ..formats.wanted import Wanted
from ..pages.shared.origin import Origin
from .archive import Archive


@dataclass(frozen=True)
class StoredReports:
    """The reports of one model in one archive. `thresholds` are those from which a finding is present."""

    archive: Archive
    origin: Origin
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def uid(self, study: str) -> str:
        """Return the SOP Instance UID of the report of a study, whether it is stored or not."""
        return report_uid(study, self.origin.digest)

    def has(self, study: str) -> bool:
        """Return whether the archive holds the report of a study. Raises ArchiveError."""
        return self.archive.holds(study, self.uid(study))

    def store(self, report: Report, study: Study) -> bool:
        """Store a report in its study, and return True; False if the archive holds one.

        The files of the study are read. Raises DataError for a report without a text, and ArchiveError.
        """
        if not report.text:
            raise DataError(report.problem or "the model wrote nothing")
        wanted = Wanted(thresholds=self.thresholds, instance=self.uid(study.id))
        content = report_bytes(report, "sr", study, self.origin, wanted)
        if self.has(study.id):
            return False
        self.archive.store(study.id, wanted.instance, content)
        return True


def fetch_study(archive: Archive, uid: str, top: Path) -> Study:
    """Return a study with its radiographs in a folder of its UID below `top`. Raises DataError."""
    folder = fetch_files(archive, uid, top)
    return Study(uid, tuple(view for study in group_files([folder]) for view in study.views))


def fetch_files(archive: Archive, uid: str, top: Path) -> Path:
    """Write the radiographs of a study into a folder of its UID below `top`, and return the folder."""
    folder = top / uid
    folder.mkdir()
    archive.fetch(uid, folder)
    return folder
