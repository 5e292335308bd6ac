"""Read the report texts of MIMIC-CXR from the folder, the zip, or MIT-LCP's mimic_cxr_sectioned.csv."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from reportgen_core import DataError
from reportgen_core.files.cells import id_value, text_value
from reportgen_core.files.tables import csv_rows

from ..paths import first
from .sections import sections

MAX_REPORT = 2**20  # bytes; reports have a few thousand


class Reports(ABC):
    """The sections of all reports, by subject and study."""

    @abstractmethod
    def find(self, subject: str, study: str) -> Mapping[str, str] | None:
        """Return the sections of a study by name; None if it has no report."""


def open_reports(root: Path, given: str) -> Reports:
    """Return the reports that `given` names, else those in `root`. Raises DataError if there are none."""
    path = (
        Path(given) if given else first(root, "mimic_cxr_sectioned.csv*", "mimic-cxr-reports.zip", "mimic-cxr-reports")
    )
    path = path or root
    if not path.exists():
        raise DataError(f"reports={given} is neither a folder, a zip nor a table; it does not exist")
    if path.suffix == ".zip":
        return _Zip(path)
    if path.is_file():
        return _Sectioned(path)
    for folder in (path / "files", path):
        if any(folder.glob("p1[0-9]/p1*/s*.txt")):
            return _Folder(folder)
    raise DataError(
        f"{path} has no reports: looked for mimic_cxr_sectioned.csv, mimic-cxr-reports.zip and files/p10/p…/s….txt; "
        "say where they are with reports=PATH"
    )


def _name(subject: str, study: str) -> str:
    return f"p{subject[:2]}/p{subject}/s{study}.txt"


class _Folder(Reports):
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, subject: str, study: str) -> Mapping[str, str] | None:
        path = self.folder / _name(subject, study)
        try:
            with path.open("rb") as file:
                return sections(file.read(MAX_REPORT).decode("utf-8", "replace"))
        except FileNotFoundError:
            return None


class _Zip(Reports):
    def __init__(self, path: Path) -> None:
        try:
            self.file = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as e:
            raise DataError(f"{path} cannot be read as a zip file: {e}") from e
        self.path = path
        self.names = {name[at:]: name for name in self.file.namelist() if (at := name.find("p1")) >= 0}

    def find(self, subject: str, study: str) -> Mapping[str, str] | None:
        name = self.names.get(_name(subject, study))
        if name is None:
            return None
        try:
            with self.file.open(name) as file:
                return sections(file.read(MAX_REPORT).decode("utf-8", "replace"))
        except (OSError, EOFError, zipfile.BadZipFile) as e:
            raise DataError(f"{self.path}: {name} cannot be read: {e}") from e


class _Sectioned(Reports):
    def __init__(self, path: Path) -> None:
        names = ("impression", "findings", "last_paragraph", "comparison")
        self.rows = {
            (id_value(row["study"]) or "").removeprefix("s"): {
                name: text for name in names if (text := (text_value(row[name]) or "").strip())
            }
            for row in csv_rows(path, ("study", *names))
        }

    def find(self, subject: str, study: str) -> Mapping[str, str] | None:
        return self.rows.get(study)
