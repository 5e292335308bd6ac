"""Any table of image paths and texts: CSV, TSV or JSON lines, one image or one study a row.

A column is found by its name (`NAMES`) or named by an option. What `rg data build` writes is read as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reportgen_core import Box, Collection, DataError, Dataset, OptionError, Study, View
from reportgen_core.files.study_json import study_from_json
from reportgen_core.types import Projection

from .audit_log import Ledger, require_files
from .paths import check_columns, csv_rows, inside, json_rows
from .splits import by_patient

NAMES: Mapping[str, tuple[str, ...]] = {
    "image": ("image", "images", "image_path", "path", "filename", "file", "img"),
    "id": ("id", "study_id", "study", "uid"),
    "patient": ("patient", "patient_id", "patientid", "subject_id", "subject"),
    "text": ("report", "text", "caption", "clinical_notes", "notes"),
    "tags": ("tags", "keywords"),
    "labels": ("labels", "finding", "finding_labels", "label"),
    "view": ("view", "projection", "view_position", "viewposition"),
    "split": ("split", "set", "subset"),
    "boxes": ("boxes", "bbox"),
    "size": ("orig_size", "size"),
}
LISTED = ""  # the mark, until all names are known, of a study whose list of labels is complete
SECTIONS = ("findings", "impression", "indication", "comparison", "history", "technique")
ABNORMAL, FLAGS = "abnormal", "sentence_abnormal"  # the columns that `rg data abnormal` adds
_SPLITS = {"training": "train", "validate": "val", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}


def view_of(name: str) -> Projection:
    """The projection that a view's name says: PA, AP supine, frontal, L, LL, left lateral …"""
    words = re.findall(r"[a-z]+", name.lower())
    if {"l", "ll", "rl", "lat", "lateral"} & set(words):
        return "lateral"
    return "frontal" if {"pa", "ap", "frontal"} & set(words) else ""


class Table(Dataset):
    """Studies of one table. Options name columns; `text` may be {"findings": column, …}; `labels` may be a list of
    columns with numbers. Lists in a CSV cell are separated by `separator`. Images are relative to `images`, by default
    the table's folder; `suffix` is put after their names. `val` and `test` are shares to draw by patient where there
    is no split column. `require_images=False` keeps rows without an image, and a table without a column of them.
    `complete` says that a list of labels names all that is there: every other name of the table is absent, and an
    empty list is a study without any (a JSON null is a study that nobody labelled).
    """

    def __init__(
        self,
        root: Path,
        *,
        file: str = "",
        image: str = "",
        id: str = "",
        patient: str = "",
        text: str | Mapping[str, str] = "",
        tags: str = "",
        labels: str | Sequence[str] = "",
        view: str = "",
        split: str = "",
        images: str = "",
        suffix: str = "",
        separator: str = "|",
        val: float = 0.0,
        test: float = 0.0,
        seed: int = 0,
        require_images: bool = True,
        complete: bool = False,
    ) -> None:
        super().__init__(root)
        if not (val >= 0 and test >= 0 and val + test < 1):
            raise OptionError(f"val={val} and test={test} are shares: each at least 0, together below 1")
        self.suffix = suffix
        self.file, self.images, self.separator, self.require_images = file, images, separator, require_images
        self.text, self.labels, self.val, self.test, self.seed = text, labels, val, test, seed
        self.complete = complete
        self.named = {"image": image, "id": id, "patient": patient, "tags": tags, "view": view, "split": split}

    def read(self) -> Collection:
        path = self._path()
        ledger = Ledger(f"table: {path}")
        folder = Path(self.images).absolute() if self.images else path.parent
        rows = json_rows(path) if ".json" in path.name.lower() else csv_rows(path)
        studies = _merge(self._studies(path, folder, rows, ledger), ledger)
        if self.require_images:
            studies = require_files(studies, ledger)
        if self.complete:
            studies = _completed(studies)
        without = sum(not s.sections for s in studies)
        if without:
            ledger.notes.append(f"{without} studies have no text")
        if (self.val or self.test) and not any(s.split for s in studies):
            sizes = {"val": round(len(studies) * self.val), "test": round(len(studies) * self.test)}
            studies = by_patient(studies, **sizes, seed=self.seed)
            ledger.notes.append(f"split drawn by patient with seed {self.seed}")
        return ledger.collect(studies)

    def _path(self) -> Path:
        root = Path(self.root).absolute()
        if root.is_file():
            return root
        if self.file:
            path = inside(root, self.file)
            if not path.is_file():
                raise DataError(f"{root} has no file {self.file}")
            return path
        found = sorted(p for ending in ("jsonl", "csv", "tsv") for p in root.glob(f"*.{ending}*"))
        if len(found) != 1:
            names = ", ".join(p.name for p in found) or "none"
            raise DataError(f"{root} must hold one table, .csv, .tsv or .jsonl; there: {names}; name one with file=")
        return found[0]

    def _studies(self, path: Path, folder: Path, rows: Iterable[Mapping[str, Any]], ledger: Ledger) -> Iterator[Study]:
        columns: dict[str, str] | None = None
        for number, row in enumerate(rows, 1):
            if isinstance(row.get("views"), list) and "id" in row:
                yield study_from_json(row, lambda n: inside(folder if Path(n).is_absolute() else path.parent, n))
                continue
            if columns is None or path.suffix == ".jsonl":  # JSON lines may leave fields out
                columns = self._columns(path, list(row), columns or {})
            study = self._study(row, columns, folder)
            if study.views:
                yield study
            elif self.require_images:
                ledger.drop(study.id or f"row {number}", "it names no image")
            else:
                yield study if study.id else replace(study, id=f"row {number}")

    def _columns(self, path: Path, there: Sequence[str], known: Mapping[str, str]) -> dict[str, str]:
        """Which column plays which part."""
        low = {name.lower().replace(" ", "_"): name for name in reversed(there)}
        found = dict(known)
        for part, names in NAMES.items():
            if given := self.named.get(part, ""):
                if not known:
                    check_columns(path, there, [given])
                found[part] = given
            elif part not in found and (match := next((low[n] for n in names if n in low), "")):
                found[part] = match
        if not known:
            texts = [self.text] if isinstance(self.text, str) else list(self.text.values())
            labels = [self.labels] if isinstance(self.labels, str) else self.labels
            check_columns(path, there, [c for c in (*texts, *labels) if c])
            if "image" not in found and self.require_images:
                raise DataError(f"{path} has no column of images; name it with image=, there are: {', '.join(there)}")
        return found

    def _study(self, row: Mapping[str, Any], columns: Mapping[str, str], folder: Path) -> Study:
        def cell(part: str) -> Any:
            return row.get(columns.get(part, ""), "")

        names = [name + self.suffix for name in self._list(cell("image"))]
        id = str(cell("id") or (Path(names[0]).with_suffix("").as_posix() if names else ""))
        side = str(cell("split") or "").strip().lower()
        projection = view_of(str(cell("view") or ""))
        return Study(
            id,
            views=tuple(View(inside(folder, name), projection) for name in names),
            sections=self._sections(row, columns),
            tags=tuple(dict.fromkeys(t.lower() for t in self._list(cell("tags")))),
            labels=self._labels(row, columns),
            split=_SPLITS.get(side, side),
            patient=str(cell("patient")),
            boxes=_boxes(cell("boxes"), cell("size")),
            extra=_sentence_labels(row.get(FLAGS)),
        )

    def _list(self, value: Any) -> list[str]:
        parts = value if isinstance(value, list) else str(value or "").split(self.separator)
        return [p for part in parts if (p := str(part).strip())]

    def _sections(self, row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, str]:
        """Named by the option; else columns that are named as sections; else one text as findings."""
        if self.text:
            chosen = {"findings": self.text} if isinstance(self.text, str) else dict(self.text)
        else:
            low = {name.lower(): name for name in row}
            chosen = {name: low[name] for name in SECTIONS if name in low}
            if not chosen.keys() & {"findings", "impression"} and "text" in columns:
                chosen["findings"] = columns["text"]
        if FLAGS in row and ABNORMAL in row:  # not just any column of that name
            chosen.setdefault(ABNORMAL, ABNORMAL)
        return {name: text for name, c in chosen.items() if (text := str(row.get(c) or "").strip())}

    def _labels(self, row: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, float]:
        if isinstance(self.labels, str):
            cell = row.get(self.labels or columns.get("labels", ""))
            if isinstance(cell, dict):
                return {str(k): float(v) for k, v in cell.items() if v is not None}
            listed = {name: 1.0 for name in self._list(cell)}
            return {**listed, LISTED: 1.0} if self.complete and cell is not None else listed
        try:
            return {name: float(row[name]) for name in self.labels if row.get(name) not in ("", None)}
        except (TypeError, ValueError) as e:
            raise DataError(f"labels={list(self.labels)} must be columns with numbers: {e}") from e


def _boxes(boxes: Any, size: Any) -> tuple[Box, ...]:
    """[[label, left, top, width, height], …] as shares of `size`, [width, height], where that is there."""
    if not isinstance(boxes, list):
        return ()
    width, height = size if isinstance(size, list) and len(size) == 2 else (1, 1)
    try:
        return tuple(Box(str(n), x / width, y / height, w / width, h / height) for n, x, y, w, h in boxes)
    except (TypeError, ValueError, ZeroDivisionError) as e:
        raise DataError(f"boxes {boxes!r} are not [[label, left, top, width, height], …]: {e}") from e


def _sentence_labels(value: Any) -> dict[str, Any]:
    """Whether each sentence is abnormal: a list, or 0 and 1 with | between in a cell."""
    if isinstance(value, str):
        known = {"0": False, "1": True}
        value = [known.get(v) for v in value.split("|")] if value else []
    return {FLAGS: value} if isinstance(value, list) else {}


def _completed(studies: Sequence[Study]) -> list[Study]:
    """Every name of the table for each study with a list of labels: 1 where its list has it, else 0."""
    names = sorted({name for s in studies for name in s.labels} - {LISTED})
    return [
        replace(s, labels={name: s.labels.get(name, 0.0) for name in names}) if LISTED in s.labels else s
        for s in studies
    ]


def _merge(studies: Iterable[Study], ledger: Ledger) -> list[Study]:
    """Rows of one id are one study: its views together, all else as in its first row."""
    found: dict[str, Study] = {}
    for s in studies:
        first = found.setdefault(s.id, s)
        new = tuple(v for v in s.views if v not in first.views)
        if new:
            found[s.id] = replace(first, views=(*first.views, *new))
        elif first is not s:
            ledger.drop(s.id, "another row has this image")
    return list(found.values())
