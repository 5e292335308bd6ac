"""Turn studies into the values that the page of an evaluation shows: texts of all systems, their findings, an image."""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reportgen_core import DataError, ReportgenError
from reportgen_core.scoring.evaluation import StudyRow

SIDE, SMALL_SIDE = 512, 128  # pixels of an image's longer side
MANY = 400  # studies; a page of more has small images

Labels = Mapping[str, Sequence[float | None]]  # finding: the report's value and the reference's


@dataclass(frozen=True, slots=True)
class Written:
    """What one system wrote about a study."""

    text: str
    scores: Mapping[str, float | None]
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShownStudy:
    """One study with the reports of all systems, in the order of the systems."""

    id: str
    references: tuple[str, ...]
    written: tuple[Written, ...]
    subsets: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


def evaluated_studies(studies: Sequence[StudyRow]) -> list[ShownStudy]:
    """Return the studies of one evaluation."""
    return [
        ShownStudy(s.id, s.references, (Written(s.prediction, s.scores, s.labels),), s.subsets, s.images)
        for s in studies
    ]


def saved_studies(folders: Sequence[Path]) -> list[ShownStudy]:
    """Return the studies that all evaluations have, from their studies.jsonl; [] if one has no such file."""
    files = [folder / "studies.jsonl" for folder in folders]
    if not all(file.is_file() for file in files):
        return []
    runs = [_saved(file) for file in files]
    common = [id for id in runs[0] if all(id in run for run in runs)]
    shown = []
    for id in common:
        rows = [run[id] for run in runs]
        written = tuple(Written(r["prediction"], r["scores"], r.get("labels", {})) for r in rows)
        first = rows[0]
        subsets, images = tuple(first.get("subsets", ())), tuple(first.get("images", ()))
        shown.append(ShownStudy(id, tuple(first["references"]), written, subsets, images))
    return shown


def _saved(file: Path) -> dict[str, dict[str, Any]]:
    rows = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            rows[str(row["id"])] = {**row, "references": row["references"], "prediction": str(row["prediction"])}
        except (ValueError, KeyError, TypeError) as e:
            raise DataError(f"{file}, line {number}: no study that rg eval --out wrote: {type(e).__name__}: {e}") from e
    return rows


def study_values(
    studies: Sequence[ShownStudy], columns: Sequence[str], images: ImageFolder | None
) -> list[dict[str, Any]]:
    """Return the studies as JSON values. Show only images that can be read and lie in the folder, if it is given."""
    side = SIDE if len(studies) <= MANY else SMALL_SIDE
    return [
        {
            "id": s.id,
            "references": list(s.references),
            "subsets": list(s.subsets),
            "image": picture(s.images, images, side),
            "written": [
                {
                    "text": w.text,
                    "scores": {c: _rounded(w.scores.get(c)) for c in columns},
                    "findings": findings(w.labels),
                }
                for w in s.written
            ],
        }
        for s in studies
    ]


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if value is not None and math.isfinite(value) else None


def findings(labels: Labels) -> list[list[str]]:
    """Return (word, finding, both sides in words) for each finding that a side states or doubts, the first agreed ones.

    The word is agreed, missed, invented, or unsure if a side doubts it and the sides differ. If one side denies a
    finding that the other does not mention, they do not differ.
    """
    words: dict[float | None, str] = {1: "present", 0: "absent", -1: "uncertain", None: "not mentioned"}
    found = []
    for name, (ours, gold) in labels.items():
        a, b = ours or 0, gold or 0
        if a == b != 0:
            word = "agreed"
        elif a == b:
            continue
        else:
            word = "unsure" if -1 in (a, b) else "missed" if b == 1 else "invented"
        sides = f"{words.get(ours, str(ours))}, reference {words.get(gold, str(gold))}"
        found.append([word, name, sides])
    order = ("agreed", "missed", "invented", "unsure")
    return sorted(found, key=lambda row: order.index(row[0]))


class ImageFolder:
    """A folder of images, in which they are found by their paths, or by their file names alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_name: dict[str, list[Path]] | None = None  # read when the first name is looked up

    def find(self, named: str) -> Path | None:
        """Return the file inside the folder that has this path, or else this name; None if none or several have it."""
        path = self.folder / named
        if path.is_file():
            return path if path.resolve().is_relative_to(self.folder.resolve()) else None
        if Path(named).name != named:
            return None
        if self._by_name is None:
            self._by_name = {}
            for file in self.folder.rglob("*"):
                self._by_name.setdefault(file.name, []).append(file)
        same = self._by_name.get(named, [])
        return same[0] if len(same) == 1 and same[0].is_file() and not same[0].is_symlink() else None


def picture(paths: Sequence[str], folder: ImageFolder | None, side: int = SIDE) -> str:
    """Return the first image that can be read, as a JPEG in a data address; "" if there is none."""
    for named in paths:
        path = Path(named) if folder is None else folder.find(named)
        if path is None or not path.is_file():
            continue
        try:
            return _reduced(path, side)
        except ReportgenError:
            continue  # the page is about scores: a row without its picture is still a row
    return ""


def _reduced(path: Path, side: int) -> str:
    from PIL import Image

    from reportgen_core.data.images import read_image

    image = Image.fromarray((read_image(path) * 255).astype("uint8"))
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
