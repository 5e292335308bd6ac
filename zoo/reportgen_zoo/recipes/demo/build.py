"""Build the data of the demonstration model: a folder that the dataset `table` reads, with studies.jsonl and images.

Every source is a folder with images and a metadata.jsonl (image, labels, view, age, sex, patient, and boxes, if there
are any). The images that teach have one size and one compression, those of `main`; images of 64 pixels (`small`) teach
too, with weights by which every label is as frequent among them as among the others, so that neither sharpness nor
source tells a label. Images of other sizes and hospitals are for testing alone.

A hash of the patient's number chooses the split, over all ChestX-ray14 folders together, so that a patient is in one
split only, in every folder and every run. Patients of the training split with a box are kept back in the split `boxes`,
since few images have one.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from reportgen_core import Box, Study, View
from reportgen_core.files.atomic import atomic_write
from reportgen_core.files.study_json import study_to_json

from .language import FINDINGS, describe

Row = dict[str, Any]
MAIN, SMALL, LARGE = "nih_128px", "nih_64px", "nih1000_320px"  # folders of ChestX-ray14, by the size of the images
SHARES = {"test": 0.20, "val": 0.12}  # of the patients; the others are for training


def split_of(patient: int | str) -> str:
    """Return the split of a patient: test, val or train."""
    share = int.from_bytes(hashlib.sha256(f"reportgen demo {patient}".encode()).digest()[:8]) / 2**64
    for name, size in SHARES.items():
        if share < size:
            return name
        share -= size
    return "train"


def read_nih(folder: Path, boxed: frozenset[int] = frozenset()) -> Iterator[Study]:
    """Yield the studies of a folder of ChestX-ray14 images, in the folder's order.

    `boxed` are the patients with a box in any folder; those of them that would teach are in the split `boxes`.
    """
    for row in rows_of(folder):
        split = split_of(row["patient"])
        findings = [f for f in FINDINGS if f in row["labels"]]
        yield Study(
            f"{folder.name}-{Path(row['image']).stem}",
            views=(View((folder / row["image"]).absolute(), "frontal"),),
            sections={"findings": describe(findings)},
            labels={finding: float(finding in findings) for finding in FINDINGS},
            split="boxes" if split == "train" and row["patient"] in boxed else split,
            patient=f"nih-{row['patient']}",
            boxes=tuple(_box(box, row["orig_size"]) for box in row.get("bbox", ())),
            extra={
                "source": folder.name,
                "view": row["view"],
                "sex": row["sex"],
                "age": row["age"],
                "age band": f"{min(row['age'], 89) // 20 * 20} to {min(row['age'], 89) // 20 * 20 + 19}",
                "patient number": row["patient"],
            },
        )


def boxed_patients(*folders: Path) -> frozenset[int]:
    """Return the numbers of the patients who have a box in one of these folders."""
    return frozenset(row["patient"] for folder in folders for row in rows_of(folder) if row.get("bbox"))


def _box(box: list[Any], size: list[int]) -> Box:
    """Return a box as shares of the image; it is given as label, corner and size in pixels of the original image."""
    (label, left, top, width, height), (W, H) = box, size
    label = {"Infiltrate": "Infiltration"}.get(label, label)  # the boxes' own word
    return Box(label, left / W, top / H, width / W, height / H)


def rows_of(folder: Path) -> Iterator[Row]:
    """Yield the rows of a folder's metadata.jsonl. Raises FileNotFoundError."""
    file = next((folder / name for name in ("metadata.jsonl", "labels.jsonl") if (folder / name).is_file()), None)
    if file is None:
        raise FileNotFoundError(f"{folder} has no metadata.jsonl and no labels.jsonl")
    for line in file.read_text("utf-8").splitlines():
        yield json.loads(line)


def read_all(data: Path) -> list[Study]:
    """Return the studies of the three ChestX-ray14 folders under `data`. The large images never teach."""
    boxed = boxed_patients(data / MAIN, data / SMALL, data / LARGE)
    studies = [*read_nih(data / MAIN, boxed), *read_nih(data / SMALL, boxed)]
    large = (replace(study, split=f"large {study.split}") for study in read_nih(data / LARGE, boxed))
    small = (
        s if s.split == "train" or s.extra["source"] == MAIN else replace(s, split=f"small {s.split}") for s in studies
    )
    return [*small, *large]


def write(studies: Iterable[Study], folder: Path) -> dict[str, int]:
    """Write a dataset to `folder`: studies.jsonl and copies of the images. Return the number of studies by split."""
    counts: dict[str, int] = {}
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for study in studies:
        counts[study.split] = counts.get(study.split, 0) + 1
        source = study.views[0].path
        target = folder / "images" / f"{study.id}{source.suffix}"
        shutil.copyfile(source, target)
        copied = replace(study, views=(replace(study.views[0], path=target),))
        lines.append(json.dumps(study_to_json(copied, folder)) + "\n")
    atomic_write(folder / "studies.jsonl", "".join(lines))
    return counts
