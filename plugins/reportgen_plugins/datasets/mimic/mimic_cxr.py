"""Read MIMIC-CXR-JPG as PhysioNet distributes it (Johnson et al., 2019), with the reports of MIMIC-CXR.

`root` holds mimic-cxr-2.*-metadata.csv, -split.csv and -chexpert.csv, gzipped or not, and files/p10/p…/s…/….jpg; the
reports may be elsewhere. If there is no metadata, R2Gen's annotation.json is read. No image is opened. A study has the
earlier study of its patient as its prior (`priors.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from reportgen_core import Collection, DataError, Dataset, OptionError, Study, View
from reportgen_core.files.cells import id_value, labels_value, split_name
from reportgen_core.files.tables import CELLS, csv_rows, table_rows
from reportgen_core.types import Projection

from .. import r2gen_json
from ..audit_log import AuditLog, require_files
from ..paths import first
from .priors import Dated, dated, prior_of
from .reports import Reports, open_reports

_REQUIRE: Mapping[str, Callable[[Mapping[str, str]], bool]] = {
    "findings": lambda s: "findings" in s,
    "impression": lambda s: "impression" in s,
    "both": lambda s: {"findings", "impression"} <= s.keys(),
    "any": lambda s: bool({"findings", "impression", "last_paragraph"} & s.keys()),
    "none": lambda s: True,
}
_IDS = re.compile(r"1\d{7}/5\d{7}/[\w-]{1,80}")
_LATERAL = frozenset({"LATERAL", "LL", "XTABLE LATERAL", "lateral", "left lateral"})
_FRONTAL = frozenset({"postero-anterior", "antero-posterior"})


def projection(position: str, code: str = "") -> Projection:
    """Return the projection by ViewPosition, else by ViewCodeSequence_CodeMeaning; "" for an oblique view."""
    for name in (position, code):
        if name in _LATERAL:
            return "lateral"
        if name in _FRONTAL or name.split(" ")[0] in ("PA", "AP"):
            return "frontal"
        if name:
            return ""
    return ""


@dataclass(slots=True)
class _Images:
    """The rows of one study in the metadata."""

    subject: str
    rows: list[tuple[str, str, Projection]] = field(default_factory=list)  # DICOM id, ViewPosition, projection
    date: str = ""  # StudyDate, YYYYMMDD
    time: str = ""  # StudyTime, a number


class MimicCxr(Dataset):
    """Studies of MIMIC-CXR, or with unit="image" one study for each image.

    Args:
        reports: folder, zip file or table of the reports, if it is outside `root`.
        images: folder of the images, if it is outside `root`.
        views: all, frontal, lateral, or names of ViewPosition such as ["PA", "AP"].
        require: sections that a report must have: findings, impression, both, any (of those and last_paragraph) or
            none.
        unit: "study", or "image" for one study of each image.
        labels: file of labels: chexpert, negbio or none.
        require_images: false also takes studies whose image file is not there.
        prior: whether a study has the earlier study of its patient, by date and time, with its images and report.
    """

    def __init__(
        self,
        root: Path,
        *,
        reports: str = "",
        images: str = "",
        views: str | Sequence[str] = "all",
        require: str = "any",
        unit: str = "study",
        labels: str = "chexpert",
        require_images: bool = True,
        prior: bool = True,
    ) -> None:
        super().__init__(root)
        for option, value, known in (
            ("require", require, tuple(_REQUIRE)),
            ("unit", unit, ("study", "image")),
            ("labels", labels, ("chexpert", "negbio", "none")),
        ):
            if value not in known:
                raise OptionError(f"{option} {value!r} is none of {', '.join(known)}")
        self.reports, self.images, self.require, self.unit, self.labels = reports, images, require, unit, labels
        self.views = views if isinstance(views, str) else frozenset(views)
        self.require_images, self.prior = require_images, prior

    def read(self) -> Collection:
        root = Path(self.root).absolute()
        audit = AuditLog(f"mimic-cxr: {root}")
        metadata = first(root, "mimic-cxr-2.*-metadata.csv*")
        if metadata is None:
            listed = first(root, "annotation.json")
            if listed is None:
                raise DataError(
                    f"{root} has neither mimic-cxr-2.*-metadata.csv(.gz) of MIMIC-CXR-JPG nor annotation.json"
                )
            studies = r2gen_json.studies(listed)
        else:
            studies = list(self._studies(root, metadata, audit))
        if self.require_images:
            studies = require_files(studies, audit)
        if self.unit == "image" and metadata is not None:
            studies = [replace(s, id=v.path.stem, views=(v,)) for s in studies for v in s.views]
        return audit.collect(studies)

    def _studies(self, root: Path, metadata: Path, audit: AuditLog) -> Iterator[Study]:
        images = _read_images(metadata, audit)
        splits, labels = _splits(root, audit), self._labels(root, audit)
        reports = None if self.require == "none" and not self.reports else open_reports(root, self.reports)
        folder, suffix = self._folder(root, images)
        without, with_prior = 0, 0
        in_order = sorted(images, key=lambda s: (images[s].subject, s))
        for subject, ids in groupby(in_order, key=lambda s: images[s].subject):
            patient: list[Dated] = []
            wanted: list[Dated] = []
            for study in ids:
                sections, of_study = _sections(reports, subject, study), images[study]
                place = f"{folder}/{_folder_of(subject)}/s{study}"
                rows = [(dicom, side) for dicom, pos, side in of_study.rows if self._is_wanted(pos, side)]
                full = Study(
                    f"s{study}",
                    views=tuple(View(Path(f"{place}/{dicom}{suffix}"), side) for dicom, side in rows),
                    sections=sections or {},
                    labels=labels.get(study, {}),
                    split=splits.get(study, ""),
                    patient=f"p{subject}",
                )
                patient.append(dated(full, of_study.date, of_study.time))
                if self._is_kept(full, sections, audit):
                    wanted.append(patient[-1])
            for one in wanted:
                prior = prior_of(one, patient, audit) if self.prior else None
                without, with_prior = without + (not one.day), with_prior + (prior is not None)
                yield replace(one.study, prior=prior)
        if self.prior:
            audit.notes.append(_prior_note(with_prior, without))

    def _is_kept(self, study: Study, sections: Mapping[str, str] | None, audit: AuditLog) -> bool:
        """Return whether a study is one of the dataset; if it is not, record why. `sections` None: it has no report."""
        reason = (
            "no image of the asked views" if not study.views
            else "no report" if sections is None
            else "" if _REQUIRE[self.require](sections)
            else f"the report lacks what require={self.require} asks for"
        )  # fmt: skip
        if reason:
            audit.drop(study.id, reason)
        return not reason

    def _is_wanted(self, position: str, side: Projection) -> bool:
        if isinstance(self.views, frozenset):
            return position in self.views
        return self.views == "all" or side == self.views or position == self.views

    def _folder(self, root: Path, images: Mapping[str, _Images]) -> tuple[Path, str]:
        """Return the folder that holds p10 … p19 and the suffix of its images, found by the first image."""
        base = Path(self.images).absolute() if self.images else root
        for folder in (base / "files", base / "images" / "files", base / "images", base):
            for study, first_images in list(images.items())[:1]:
                for suffix in (".jpg", ".png", ".dcm"):
                    name = f"{_folder_of(first_images.subject)}/s{study}/{first_images.rows[0][0]}{suffix}"
                    if (folder / name).is_file():
                        return folder, suffix
        return base / "files", ".jpg"

    def _labels(self, root: Path, audit: AuditLog) -> dict[str, dict[str, float]]:
        path = first(root, f"mimic-cxr-2.*-{self.labels}.csv*")
        if path is None:
            audit.notes.append("no labels" if self.labels == "none" else f"no labels: no file …-{self.labels}.csv")
            return {}
        labels = {}
        for place, row in table_rows(path, kinds=CELLS, needs=("study_id",)):
            try:
                study = id_value(row.pop("study_id")) or ""
                labels[study] = labels_value({k: v for k, v in row.items() if k.lower() != "subject_id"})
            except DataError as e:
                raise DataError(f"{path}: {place}: {e}") from e
        return labels


def _prior_note(with_prior: int, without_date: int) -> str:
    """Return a note on the number of studies with a prior, and of those that can have none for want of a date."""
    lacking = f"; {without_date} studies have no date" if without_date else ""
    return f"prior: {with_prior} studies have an earlier study of their patient{lacking}"


def _folder_of(subject: str) -> str:
    return f"p{subject[:2]}/p{subject}"


def _sections(reports: Reports | None, subject: str, study: str) -> Mapping[str, str] | None:
    return {} if reports is None else reports.find(subject, study)


def _read_images(path: Path, audit: AuditLog) -> dict[str, _Images]:
    images: dict[str, _Images] = {}
    for row in csv_rows(path, ("dicom_id", "subject_id", "study_id", "ViewPosition")):
        dicom = row["dicom_id"]
        subject, study = id_value(row["subject_id"]) or "", id_value(row["study_id"]) or ""
        if not _IDS.fullmatch(f"{subject}/{study}/{dicom}"):
            audit.drop(dicom, "its ids are not formed as MIMIC's are")
            continue
        position = row["ViewPosition"].strip()
        side = projection(position, row.get("ViewCodeSequence_CodeMeaning", "").strip())
        times = row.get("StudyDate", "").strip().removesuffix(".0"), row.get("StudyTime", "").strip()
        images.setdefault(study, _Images(subject, [], *times)).rows.append((dicom, position, side))
    return images


def _splits(root: Path, audit: AuditLog) -> dict[str, str]:
    path = first(root, "mimic-cxr-2.*-split.csv*")
    if path is None:
        audit.notes.append("no split: no file mimic-cxr-2.*-split.csv")
        return {}
    return {id_value(row["study_id"]) or "": split_name(row["split"]) for row in csv_rows(path, ("study_id", "split"))}
