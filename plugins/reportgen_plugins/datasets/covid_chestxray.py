"""covid-chestxray-dataset: radiographs from publications, with free clinical notes (Cohen et al., arXiv:2006.11988).

`root` is the repository (with metadata.csv and images/) or a copy with metadata.jsonl. The notes mix history, course
and image findings; `sentences="describing"` selects the sentences about the image, by the rule of image_sentences.py.
One radiograph is one study; CT slices are left out. The whole note is in the section `notes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reportgen_core import Collection, DataError, Dataset, OptionError, Study, View
from reportgen_core.files.cells import id_value, text_value
from reportgen_core.files.tables import table_rows

from .audit_log import AuditLog, require_files
from .image_sentences import describing
from .paths import first, inside
from .splits import by_patient
from .table import view_of

_SKIP = ("", "todo", "unknown")
_MORE = ("doi", "url", "age", "sex", "offset")
_READ = (
    "image", "folder", "filename", "clinical_notes", "finding", "license", "view", "patientid", "modality", *_MORE,
)  # fmt: skip


def licence_family(name: str) -> str:
    """Return the name of a licence in capitals without its version: "CC BY-NC-SA" for "cc by-nc-sa 4.0"."""
    return re.sub(r"\s*\d+(\.\d+)?$", "", name.strip().upper())


class CovidChestXray(Dataset):
    """Radiographs with notes. The split is drawn by patient.

    Args:
        sentences: "describing" takes the sentences about the image as findings, "all" the whole note.
        licences: licences whose rows are taken, of any version, as ["CC BY", "CC BY-NC-SA"]; none: all.
        require_text: false also takes radiographs without such a sentence.
        require_images: false also takes studies whose image file is not there.
        val: share of the images (0..1) in validation, drawn by patient.
        test: share of the images (0..1) in the test, drawn by patient.
        seed: seed of the draw of splits.
    """

    def __init__(
        self,
        root: Path,
        *,
        sentences: str = "describing",
        licences: Sequence[str] = (),
        require_text: bool = True,
        require_images: bool = True,
        val: float = 0.1,
        test: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(root)
        if sentences not in ("all", "describing"):
            raise OptionError(f"sentences {sentences!r} is none of all, describing")
        if not (val >= 0 and test >= 0 and val + test < 1):
            raise OptionError(f"val={val} and test={test} are shares: each at least 0, together below 1")
        chosen = [licences] if isinstance(licences, str) else licences
        self.licences = frozenset(map(licence_family, chosen))
        self.sentences, self.require_text, self.require_images = sentences, require_text, require_images
        self.val, self.test, self.seed = val, test, seed

    def read(self) -> Collection:
        root = Path(self.root).absolute()
        path = first(root, "metadata.jsonl", "metadata.csv")
        if path is None:
            raise DataError(f"{root} has neither metadata.csv of covid-chestxray-dataset nor metadata.jsonl")
        rows = table_rows(path, needs=("filename", "clinical_notes"))
        audit = AuditLog(f"covid-chestxray: {path}, {self.sentences} sentences")
        studies = self._studies(path, rows, audit)
        if self.require_images:
            studies = require_files(studies, audit)
        sizes = {"val": round(len(studies) * self.val), "test": round(len(studies) * self.test)}
        audit.notes.append(f"split drawn by patient with seed {self.seed}")
        return audit.collect(by_patient(studies, **sizes, seed=self.seed))

    def _studies(self, path: Path, rows: Iterable[tuple[str, Mapping[str, Any]]], audit: AuditLog) -> list[Study]:
        studies: dict[str, Study] = {}
        for place, cells in rows:
            try:
                low = {name.lower(): value for name, value in cells.items()}
                row = {name: text for name in _READ if (text := text_value(low.get(name))) is not None}
                study = _study(path.parent, row, self.sentences == "describing")
            except DataError as e:
                raise DataError(f"{path}: {place}: {e}") from e
            if reason := self._unwanted(row, study):
                audit.drop(study.id, reason)
            elif study.id in studies:
                audit.drop(study.id, "another row has this image")
            else:
                studies[study.id] = study
        return list(studies.values())

    def _unwanted(self, row: Mapping[str, str], study: Study) -> str:
        """Return why a row is left out; "" if it is used."""
        if row.get("modality", "X-ray") != "X-ray" or not study.views:
            return "it is no radiograph"
        if self.licences and licence_family(str(study.extra["licence"])) not in self.licences:
            return f"its licence is {study.extra['licence'] or 'not stated'}"
        if self.require_text and not study.sections.get("findings"):
            return "no sentence describes the image" if study.sections else "no notes"
        return ""


def _study(folder: Path, row: Mapping[str, str], only_describing: bool) -> Study:
    """Return the study of one row without its empty cells. It has no view if its file is a CT volume."""
    file = row.get("image") or f"{row.get('folder', 'images')}/{row.get('filename', '')}"
    notes = row.get("clinical_notes", "").strip()
    findings = describing(notes) if only_describing else notes
    names = [f.strip() for f in re.split("[/,]", row.get("finding", "")) if f.strip().lower() not in _SKIP]
    sections = {"notes": notes, "findings": findings}
    volume = file.endswith((".nii", ".nii.gz", "/"))
    extra = {"licence": row.get("license", "").strip()}
    extra |= {k: row[k] for k in _MORE if k in row}
    return Study(
        Path(file).stem,
        views=() if volume else (View(inside(folder, file), view_of(row.get("view", ""))),),
        sections={k: v for k, v in sections.items() if v},
        tags=tuple(dict.fromkeys(f.lower() for f in names)),
        labels=dict.fromkeys(names, 1.0),
        patient=id_value(row.get("patientid")) or "",
        extra=extra,
    )
