"""Read of the DICOM files of a study what an output needs to belong to that study, and make UIDs for outputs."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from reportgen_core import DataError, Report, Study
from reportgen_core.data.dicom.header import is_dicom, raw_text, read_elements

UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")  # PS3.3 C.7.1.1, what every file must have
STUDY = ("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName")  # C.7.2.1
SIZE = ("Rows", "Columns")
_KEY = os.urandom(16)  # of the UIDs that replace others; it is lost with the process


@dataclass(frozen=True, slots=True)
class Instance:
    """A DICOM file of a study by its UIDs and its size. Replaced UIDs lead to no file."""

    path: Path
    sop_class: str
    uid: str
    series: str
    rows: int
    columns: int


@dataclass(frozen=True)
class Examination:
    """The DICOM files of one study, and the elements of patient and study; "" for an element that is left out."""

    uid: str
    instances: tuple[Instance, ...]
    elements: Mapping[str, Any] = field(repr=False)

    def used(self, report: Report) -> list[Instance | None]:
        """Return for each view of a report the file that it was read from; None if it is none of these."""
        return [self._by_path.get(view) or self._by_path.get(Path(view).name) for view in report.views]

    @cached_property
    def _by_path(self) -> dict[str, Instance]:
        names = {instance.path.name: instance for instance in self.instances}
        return {**names, **{str(instance.path): instance for instance in self.instances}}


def read_examination(study: Study, format: str, deidentify: bool) -> Examination:
    """Return the DICOM files of a study. `format` is named in errors; `deidentify` replaces UIDs and empties the rest.

    Raises DataError if a file is not DICOM, lacks a UID, or belongs to another examination than the first file.
    """
    datasets = [_read(view.path, format) for view in study.views]
    if not datasets:
        raise DataError(f"format {format}: study {study.id} has no image; it wants DICOM files")
    uids = {raw_text(dataset, "StudyInstanceUID") for dataset in datasets}
    if len(uids) > 1:
        raise DataError(f"format {format}: the images of {study.id} are of {len(uids)} examinations; it wants one")
    made = replaced_uid if deidentify else str
    instances = tuple(
        Instance(
            view.path,
            raw_text(dataset, "SOPClassUID"),
            made(raw_text(dataset, "SOPInstanceUID")),
            made(raw_text(dataset, "SeriesInstanceUID")),
            int(dataset.get("Rows") or 0),
            int(dataset.get("Columns") or 0),
        )
        for view, dataset in zip(study.views, datasets, strict=True)
    )
    elements = {name: "" if deidentify else _value(datasets[0], name) for name in (*PATIENT, *STUDY)}
    return Examination(made(uids.pop()), instances, elements)


def all_dicom(study: Study) -> bool:
    """Return whether every image of a study is a DICOM file with a study's UID."""
    return bool(study.views) and all(
        view.path.is_file() and is_dicom(view.path) and raw_text(_elements(view.path), "StudyInstanceUID")
        for view in study.views
    )


def derived_uid(*parts: str) -> str:
    """Return a UID that follows from these texts: the same texts give the same UID everywhere."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, chr(0).join(('reportgen', *parts))).int}"


def report_uid(study: str, pin: str) -> str:
    """Return the SOP Instance UID of the one report that a model has in an archive for a study. `pin` is its hash."""
    return derived_uid("report", study, pin)


def replaced_uid(uid: str) -> str:
    """Return a UID in place of another: the same one as long as this process runs, and without a way back."""
    return derived_uid("replaced", _KEY.hex(), uid)


def _read(path: Path, format: str) -> Any:
    if not path.is_file() or not is_dicom(path):
        raise DataError(f"format {format} wants DICOM files, and {path.name} is none; text, json and fhir take it")
    dataset = _elements(path)
    if missing := [name for name in UIDS if not raw_text(dataset, name)]:
        raise DataError(f"format {format}: {path.name} has no {missing[0]}, without which nothing can refer to it")
    return dataset


def _elements(path: Path, names: Sequence[str] = (*UIDS, *PATIENT, *STUDY, *SIZE)) -> Any:
    with path.open("rb") as file:
        return read_elements(file, path, names)


def _value(dataset: Any, name: str) -> str:
    """Return the text of an element in the character set of its file; "" if it has none."""
    value = dataset.get(name)
    return "" if value is None else str(value)
