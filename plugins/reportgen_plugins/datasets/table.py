"""Read any table of image paths and texts: CSV, TSV, Excel or JSON lines, one image or one study a row.

A column is found by its usual names (`COLUMNS` of reportgen_core/files/tables.py) or named by an option. The lines
that `rg data build` writes are read too. A row that cannot be read ends the reading with an error that names its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from reportgen_core import Box, Collection, DataError, Dataset, OptionError, Study, View
from reportgen_core.files.cells import id_value, is_nothing, labels_value, names_value, text_value
from reportgen_core.files.study_json import study_from_json
from reportgen_core.files.tables import check_columns, column_named, columns_of, fold, kind_of, row_split, table_rows
from reportgen_core.types import Projection

from .audit_log import AuditLog, require_files
from .paths import inside
from .splits import by_patient
from .table_context import CONTEXT, checked_priors, facts_of, merged_prior, prior_of

LISTED = ""  # marks a study whose list of labels is complete, until the names of all studies are known
SECTIONS = ("findings", "impression", "indication", "comparison", "history", "technique")
ABNORMAL, FLAGS = "abnormal", "sentence_abnormal"  # the columns that `rg data abnormal` adds
ONCE = {"sections": "text", "split": "split", "patient": "patient", "labels": "labels", "tags": "tags"}  # of a study


def view_of(name: str) -> Projection:
    """Return the projection of a view by its name (PA, AP supine, frontal, L, LL, left lateral …); "" if unknown."""
    words = re.findall(r"[a-z]+", name.lower())
    if {"l", "ll", "rl", "lat", "lateral"} & set(words):
        return "lateral"
    return "frontal" if {"pa", "ap", "frontal"} & set(words) else ""


class Table(Dataset):
    """Studies of one table. An option that names a column may be left out if the column has a usual name.

    Args:
        file: Name of the table in the folder, if the folder has several tables.
        image: Column of the image files.
        id: Column of the study's id. Rows with the same id are one study with several views.
        patient: Column of the patient's id, by which splits are drawn.
        text: Column of the report, or a mapping from sections to columns: {"findings": "report text"}.
        tags: Column of the tags, a list in each cell.
        labels: Column with a list of findings, or a list of columns with numbers: 1 present, 0 absent, -1 uncertain.
        view: Column of the projection: PA, AP, lateral and more.
        split: Column of the split: train, val, test.
        images: Folder that the names of images begin in. By default it is the table's folder.
        suffix: Ending that is put after the names of images, such as ".png".
        separator: Sign between the entries of a list in a cell.
        val: Share of the validation studies (0..1), drawn by patient if the table has no split.
        test: Share of the test studies (0..1), drawn in the same way.
        seed: Seed of that draw.
        require_images: False also takes rows without an image, and tables without a column of images.
        complete: A list of labels names all findings of its study, so that every other name of the table is 0. Then an
            empty list is a study without findings, and a JSON null a study without labels.
        columns: Further columns, whose values each study has in `extra`.
        prior_images: Column of the images of the patient's earlier study, a list in each cell.
        prior_report: Column of the report of that study.
        age: Column of the patient's age.
        sex: Column of the patient's sex.
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
        columns: Sequence[str] = (),
        prior_images: str = "",
        prior_report: str = "",
        age: str = "",
        sex: str = "",
    ) -> None:
        super().__init__(root)
        if not (val >= 0 and test >= 0 and val + test < 1):
            raise OptionError(f"val={val} and test={test} are shares: each at least 0, together below 1")
        self.suffix = suffix
        self.file, self.images, self.separator, self.require_images = file, images, separator, require_images
        self.text, self.labels, self.val, self.test, self.seed = text, labels, val, test, seed
        self.complete, self.columns = complete, tuple(columns)
        self.named = {
            "image": image, "id": id, "patient": patient, "tags": tags, "view": view, "split": split, "age": age,
            "sex": sex, "prior_images": prior_images, "prior_report": prior_report,
        }  # fmt: skip

    def read(self) -> Collection:
        path = self._path()
        audit = AuditLog(f"table: {path}")
        folder = Path(self.images).absolute() if self.images else path.parent
        rows = table_rows(path, on_note=audit.notes.append)
        studies = _merge(self._studies(path, folder, rows, audit), audit)
        if self.require_images:
            studies = require_files(studies, audit)
        if self.complete:
            studies = _completed(studies)
        without = sum(not s.sections for s in studies)
        if without:
            audit.notes.append(f"{without} studies have no text")
        if (self.val or self.test) and not any(s.split for s in studies):
            sizes = {"val": round(len(studies) * self.val), "test": round(len(studies) * self.test)}
            studies = by_patient(studies, **sizes, seed=self.seed)
            audit.notes.append(f"split drawn by patient with seed {self.seed}")
        return audit.collect(checked_priors(studies, audit))

    def _path(self) -> Path:
        root = Path(self.root).absolute()
        if root.is_file():
            return root
        if self.file:
            path = inside(root, self.file)
            if not path.is_file():
                raise DataError(f"{root} has no file {self.file}")
            return path
        tables = sorted(p for p in root.iterdir() if p.is_file() and _is_table(p)) if root.is_dir() else []
        if len(tables) != 1:
            names = ", ".join(p.name for p in tables) or "none"
            raise DataError(
                f"{root} must hold one table (.csv, .tsv, .xlsx, .jsonl); there: {names}; name one with file="
            )
        return tables[0]

    def _studies(
        self, path: Path, folder: Path, rows: Iterable[tuple[str, Mapping[str, Any]]], audit: AuditLog
    ) -> Iterator[Study]:
        checked = False
        for number, (place, row) in enumerate(rows, 1):
            built = isinstance(row.get("views"), list) and "id" in row
            if not built and not checked:
                self._check(path, list(row))
                if unused := self._unused(list(row)):
                    audit.notes.append(f"columns that are not used: {', '.join(unused)}; text=, labels= … name columns")
                checked = True
            try:
                if built:
                    yield study_from_json(row, lambda n: inside(folder if Path(n).is_absolute() else path.parent, n))
                    continue
                study = self._study(row, folder)
            except DataError as e:
                raise DataError(f"{path}: {place}: {e}") from e
            if study.views:
                yield study
            elif self.require_images:
                audit.drop(study.id or f"row {number}", "it names no image")
            else:
                yield study if study.id else replace(study, id=f"row {number}")

    def _check(self, path: Path, columns: Sequence[str]) -> None:
        """Raise DataError for a column that an option names and that the first row lacks."""
        texts = [self.text] if isinstance(self.text, str) else list(self.text.values())
        labels = [self.labels] if isinstance(self.labels, str) else self.labels
        check_columns(path, columns, [name for name in (*self.named.values(), *texts, *labels) if name])
        if self.require_images and not self.named["image"] and not columns_of("image", columns):
            one = "; perhaps another sign separates its cells" if len(columns) == 1 else ""
            names = ", ".join(columns)
            raise DataError(f"{path} has no column of images; name it with image=, there are: {names}{one}")

    def _unused(self, columns: Sequence[str]) -> list[str]:
        """Return the columns that no study takes anything from."""
        texts = [self.text] if isinstance(self.text, str) else list(self.text.values())
        labels = [self.labels] if isinstance(self.labels, str) else list(self.labels)
        named = {name.strip().lower() for name in (*self.named.values(), *texts, *labels, *self.columns) if name}
        usual = [name for part, column in self.named.items() if not column for name in columns_of(part, columns)]
        usual += [name for part in ("boxes", "size") for name in columns_of(part, columns)]
        if not self.labels:
            usual += columns_of("labels", columns)
        sections = CONTEXT if self.text else SECTIONS
        if not self.text and not {"findings", "impression"} & {fold(name) for name in columns}:
            usual += columns_of("text", columns)
        return [
            name
            for name in columns
            if name
            and name.lower() not in named
            and name not in usual
            and fold(name) not in sections
            and name not in (FLAGS, ABNORMAL)
        ]

    def _cell(self, row: Mapping[str, Any], part: str) -> Any:
        """Return the value of a part (image, id …): of the column of its option, else of the first that has one."""
        if given := self.named.get(part, ""):
            return row.get(column_named(given, row) or "")
        return next((row[name] for name in columns_of(part, row) if not is_nothing(row[name])), None)

    def _study(self, row: Mapping[str, Any], folder: Path) -> Study:
        names = [name + self.suffix for name in self._images(row)]
        id = self._id(row, names) or (Path(names[0]).with_suffix("").as_posix() if names else "")
        projection = view_of(text_value(self._cell(row, "view")) or "")
        patient = id_value(self._cell(row, "patient")) or ""

        def cell(part: str) -> Any:
            return self._cell(row, part)

        return Study(
            id,
            views=tuple(View(inside(folder, name), projection) for name in names),
            sections=self._sections(row),
            tags=tuple(dict.fromkeys(t.lower() for t in names_value(self._cell(row, "tags"), self.separator))),
            labels=self._labels(row),
            split=row_split({"split": self._cell(row, "split")}),
            patient=patient,
            boxes=_boxes(self._cell(row, "boxes"), self._cell(row, "size")),
            extra=_sentence_labels(row.get(FLAGS)) | facts_of(cell) | self._columns(row),
            prior=prior_of(id, patient, cell, self.separator, lambda name: inside(folder, name + self.suffix)),
        )

    def _columns(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the further columns; an empty cell is left out."""
        cells = {fold(str(name)): value for name, value in row.items() if not is_nothing(value)} if self.columns else {}
        return {name: cells[fold(name)] for name in self.columns if fold(name) in cells}

    def _images(self, row: Mapping[str, Any]) -> list[str]:
        """Return the names of the images of a row. COCO's image_id is a number, PadChest's ImageID a file."""
        names = names_value(self._cell(row, "image"), self.separator)
        usual = [] if self.named["image"] else [n for n in columns_of("image", row) if not is_nothing(row[n])]
        if usual and fold(usual[0]) == "imageid":
            return [name for name in names if self.suffix or PurePath(name).suffix]
        return names

    def _id(self, row: Mapping[str, Any], names: Sequence[str]) -> str | None:
        """Return the id of a row; None if it has none. The column that names its images is no id."""
        if self.named["id"]:
            return id_value(self._cell(row, "id"))
        images = () if self.named["image"] or not names else columns_of("image", row)[:1]
        ids = (id_value(row[name]) for name in columns_of("id", row) if name not in images)
        return next((id for id in ids if id is not None), None)

    def _sections(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Return the sections of a row: of the option's columns, else of columns named as sections, else one text."""
        cells = {fold(name): row[name] for name in row}
        if self.text:
            columns = {"findings": self.text} if isinstance(self.text, str) else dict(self.text)
            texts = {name: row.get(column_named(column, row) or "") for name, column in columns.items()}
            texts = {name: cells[name] for name in CONTEXT if name in cells} | texts
        else:
            texts = {name: cells[name] for name in SECTIONS if name in cells}
            if not texts.keys() & {"findings", "impression"}:
                texts["findings"] = self._cell(row, "text")
        if FLAGS in row and ABNORMAL in row:  # both: another table may have one column of such a name
            texts.setdefault(ABNORMAL, row[ABNORMAL])
        return {name: text for name, value in texts.items() if (text := (text_value(value) or "").strip())}

    def _labels(self, row: Mapping[str, Any]) -> dict[str, float]:
        if not isinstance(self.labels, str):
            return labels_value({name: row.get(column_named(name, row) or "") for name in self.labels})
        names = [column_named(self.labels, row)] if self.labels else columns_of("labels", row)
        cell = next((row[name] for name in names if name), None)
        if isinstance(cell, Mapping):
            return labels_value(cell)
        listed = {name: 1.0 for name in names_value(cell, self.separator)}
        complete = self.complete and (cell == "" or not is_nothing(cell))
        return {**listed, LISTED: 1.0} if complete else listed


def _is_table(path: Path) -> bool:
    try:
        kind_of(path)
    except DataError:
        return False
    return True


def _boxes(boxes: Any, size: Any) -> tuple[Box, ...]:
    """Return boxes of [[label, left, top, width, height], …], divided by `size`, [width, height], if it is given."""
    if not isinstance(boxes, list):
        return ()
    width, height = size if isinstance(size, list) and len(size) == 2 else (1, 1)
    try:
        return tuple(Box(str(n), x / width, y / height, w / width, h / height) for n, x, y, w, h in boxes)
    except (TypeError, ValueError, ZeroDivisionError) as e:
        raise DataError(f"boxes {boxes!r} are not [[label, left, top, width, height], …]: {e}") from e


def _sentence_labels(value: Any) -> dict[str, Any]:
    """Return {FLAGS: whether each sentence is abnormal} of a list or a cell as 0|1|1; {} if there is neither."""
    if isinstance(value, str):
        flags = {"0": False, "1": True}
        value = [flags.get(v) for v in value.split("|")] if value else []
    return {FLAGS: value} if isinstance(value, list) else {}


def _completed(studies: Sequence[Study]) -> list[Study]:
    """Return the studies; those with a list of labels get every name of the table: 1 if it is listed, else 0."""
    names = sorted({name for s in studies for name in s.labels} - {LISTED})
    return [
        replace(s, labels={name: s.labels.get(name, 0.0) for name in names}) if LISTED in s.labels else s
        for s in studies
    ]


def _merge(studies: Iterable[Study], audit: AuditLog) -> list[Study]:
    """Merge the rows of one id into one study: with the views of all, and else the first value that a row has."""
    merged: dict[str, Study] = {}
    for s in studies:
        first = merged.setdefault(s.id, s)
        if first is s:
            continue
        new = tuple(v for v in s.views if v not in first.views)
        values = {name: getattr(s, name) for name in ONCE if getattr(s, name)}
        other = [ONCE[name] for name, value in values.items() if getattr(first, name) not in (value, type(value)())]
        for field in other:
            audit.drop(s.id, f"another row of this id has another {field}; the first is kept")
        if not new and not other:
            audit.drop(s.id, "another row has this image" if s.views else "another row has this id")
        missing: dict[str, Any] = {name: value for name, value in values.items() if not getattr(first, name)}
        missing["prior"] = merged_prior(first.prior, s.prior)
        merged[s.id] = replace(first, views=(*first.views, *new), **missing)
    return list(merged.values())
