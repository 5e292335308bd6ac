"""covid-chestxray-dataset: radiographs from publications, with free clinical notes (Cohen et al., arXiv:2006.11988).

Root is the repository (metadata.csv beside images/) or a copy with metadata.jsonl. The notes mix history, course and
what the image shows; `sentences="describing"` keeps what speaks of the image, by the rule of describing.py. One
radiograph is one study; CT slices are left out. The whole note is in the section `notes`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reportgen_core import Collection, DataError, Dataset, OptionError, Study, View
from reportgen_core.files.cells import id_value, text_value
from reportgen_core.files.tables import table_rows

from .audit_log import Ledger, require_files
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
    """ "CC BY-NC-SA 4.0" and "cc by-nc-sa" are one."""
    return re.sub(r"\s*\d+(\.\d+)?$", "", name.strip().upper())


class CovidChestXray(Dataset):
    """Radiographs with notes. `licences` keeps those rows, as ["CC BY", "CC BY-NC-SA"], whatever their version.

    The split is drawn by patient: shares `val` and `test` of the images.
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
        ledger = Ledger(f"covid-chestxray: {path}, {self.sentences} sentences")
        studies = self._studies(path, rows, ledger)
        if self.require_images:
            studies = require_files(studies, ledger)
        sizes = {"val": round(len(studies) * self.val), "test": round(len(studies) * self.test)}
        ledger.notes.append(f"split drawn by patient with seed {self.seed}")
        return ledger.collect(by_patient(studies, **sizes, seed=self.seed))

    def _studies(self, path: Path, rows: Iterable[tuple[str, Mapping[str, Any]]], ledger: Ledger) -> list[Study]:
        kept: dict[str, Study] = {}
        for place, cells in rows:
            try:
                low = {name.lower(): value for name, value in cells.items()}
                row = {name: text for name in _READ if (text := text_value(low.get(name))) is not None}
                study = _study(path.parent, row, self.sentences == "describing")
            except DataError as e:
                raise DataError(f"{path}: {place}: {e}") from e
            if reason := self._unwanted(row, study):
                ledger.drop(study.id, reason)
            elif study.id in kept:
                ledger.drop(study.id, "another row has this image")
            else:
                kept[study.id] = study
        return list(kept.values())

    def _unwanted(self, row: Mapping[str, str], study: Study) -> str:
        """Why a row is left out; empty where it stays."""
        if row.get("modality", "X-ray") != "X-ray" or not study.views:
            return "it is no radiograph"
        if self.licences and licence_family(str(study.extra["licence"])) not in self.licences:
            return f"its licence is {study.extra['licence'] or 'not stated'}"
        if self.require_text and not study.sections.get("findings"):
            return "no sentence describes the image" if study.sections else "no notes"
        return ""


def _study(folder: Path, row: Mapping[str, str], only_describing: bool) -> Study:
    """One row without its empty cells; it has no view where its file is a CT volume."""
    name = row.get("image") or f"{row.get('folder', 'images')}/{row.get('filename', '')}"
    notes = row.get("clinical_notes", "").strip()
    findings = describing(notes) if only_describing else notes
    found = [f.strip() for f in re.split("[/,]", row.get("finding", "")) if f.strip().lower() not in _SKIP]
    known = {"notes": notes, "findings": findings}
    volume = name.endswith((".nii", ".nii.gz", "/"))
    extra = {"licence": row.get("license", "").strip()}
    extra |= {k: row[k] for k in _MORE if k in row}
    return Study(
        Path(name).stem,
        views=() if volume else (View(inside(folder, name), view_of(row.get("view", ""))),),
        sections={k: v for k, v in known.items() if v},
        tags=tuple(dict.fromkeys(f.lower() for f in found)),
        labels=dict.fromkeys(found, 1.0),
        patient=id_value(row.get("patientid")) or "",
        extra=extra,
    )
