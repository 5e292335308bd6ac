"""Build the data of the demonstration model: a folder that the dataset `table` reads, with studies.jsonl and images.

`nih` reads a folder with ChestX-ray14 images and a metadata.jsonl or labels.jsonl (image, labels, view, age, sex,
patient). `covid` reads covid-chestxray (Cohen et al., 2020, arXiv:2003.11597): the sentences of the notes that describe
the image, for frontal views whose licence permits derived works. A hash of the patient's number chooses the split, so
that a patient is in one split only, in every folder and every run. Run as

    python -m reportgen_zoo.recipes.demo.build --nih FOLDER [--more FOLDER] [--covid FOLDER] --out DATA
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from reportgen_core import Box, Study, View
from reportgen_core.data.images import read_image
from reportgen_core.files.atomic import atomic_write
from reportgen_core.files.study_json import study_to_json

from .language import DECADES, FINDINGS, PERSONS, PROJECTIONS, Facts, describe, exposure

Row = dict[str, Any]
SHARES = {"test": 0.15, "val": 0.10}  # of the patients; the others are for training
BUILDABLE = re.compile(r"CC BY(-NC)?(-SA)?( \d\.\d)?")  # not ND, and not without a licence


def split_of(patient: int | str) -> str:
    """Return the split of a patient."""
    share = int.from_bytes(hashlib.sha256(f"reportgen demo {patient}".encode()).digest()[:8]) / 2**64
    for name, size in SHARES.items():
        if share < size:
            return name
        share -= size
    return "train"


def tags(facts: Facts) -> list[str]:
    """Return the tags of a study: its findings or "no finding", and the words of the first sentence."""
    who = [PROJECTIONS[facts.view], PERSONS[facts.sex][1], DECADES[facts.decade] or "under ten"]
    return [*(name.replace("_", " ").lower() for name in facts.findings or ("No Finding",)), *who]


def nih(folder: Path, *, train_only: bool = False, leave_out: frozenset[str] = frozenset()) -> Iterator[Study]:
    """Yield the studies of a folder of ChestX-ray14 images, in the folder's order, without the images in `leave_out`.

    `train_only` drops the patients of the other splits: for images that are too small for a fair test.
    """
    for row in _lines(folder, "metadata.jsonl", "labels.jsonl"):
        name, split = Path(row["image"]).stem, split_of(row["patient"])
        if name in leave_out or (train_only and split != "train"):
            continue
        grey = read_image(folder / row["image"])
        facts = Facts(
            tuple(f for f in FINDINGS if f in row["labels"]),
            row["view"], row["sex"], int(row["age"]),
            *exposure(float(grey.mean()), float(grey.std())),
        )  # fmt: skip
        yield Study(
            f"nih-{name}",
            views=(View((folder / row["image"]).absolute(), "frontal"),),
            sections={"findings": describe(facts, name)},
            tags=tuple(tags(facts)),
            labels={finding: float(finding in facts.findings) for finding in FINDINGS},
            split=split,
            patient=f"nih-{row['patient']}",
            boxes=tuple(_box(box, row["orig_size"]) for box in row.get("bbox", ())),
            extra={
                "projection": facts.view,
                "sex": facts.sex,
                "age": facts.age,
                "exposure": [facts.brightness, facts.contrast],
            },
        )


def _box(box: list[Any], size: list[int]) -> Box:
    """Return a box as shares of the image; it is given as label, corner and size in pixels of the original image."""
    (label, left, top, width, height), (W, H) = box, size
    return Box(label, left / W, top / H, width / W, height / H)


# Words that describe the image, and words of history and course, which one image cannot show.
_IMAGE = re.compile(
    r"\b(opaci\w+|consolidat\w+|infiltrat\w+|effusions?|pneumothora\w+|cardiomegaly|atelecta\w+|nodul\w+|interstitial|"
    r"lungs?|lobes?|hil\w+|mediastin\w+|airspace|heart|costophrenic|ground.glass)\b",
    re.IGNORECASE,
)
_OTHER = re.compile(
    r"\b(admi\w+|histor\w+|fever|cough\w*|days?|weeks?|months?|years?|hours?|CT|tomograph\w*|treat\w+|therap\w+|patient\w*|"
    r"he|she|his|her|covid\S*|sars\S*|pcr|test\w*|previous\w*|prior|compar\w+|improv\w+|worsen\w+|progress\w+|"
    r"increas\w+|decreas\w+|resol\w+|new|now|again|follow\w*|intubat\w+|died|discharg\w+|saturation|biops\w+|"
    r"ultrasound|lateral)\b|\d{2,}|\?",
    re.IGNORECASE,
)


def describing(notes: str) -> list[str]:
    """Return the sentences of clinical notes that describe one image only."""
    sentences = []
    for sentence in re.split(r"(?<=[.;])\s+|\.\.|\n", notes):
        sentence = re.sub(r"^(Imaging Notes|Findings|Presentation|X-?ray):\s*", "", sentence.strip(" .;"))
        if _IMAGE.search(sentence) and not _OTHER.search(sentence) and 3 <= len(sentence.split()) <= 25:
            sentences.append(sentence[:1].upper() + sentence[1:] + ".")
    return sentences


def covid(folder: Path) -> Iterator[Study]:
    """Yield frontal studies of covid-chestxray that describe the image and permit derived works; all for training."""
    for row in _lines(folder, "metadata.jsonl"):
        sentences = describing(row["clinical_notes"] or "")
        if (
            not sentences
            or row["view"] not in ("PA", "AP", "AP Supine")
            or not BUILDABLE.fullmatch(row["license"] or "")
        ):
            continue
        yield Study(
            f"covid-{Path(row['image']).stem}",
            views=(View((folder / row["image"]).absolute(), "frontal"),),
            sections={"findings": " ".join(sentences[:6])},
            split="train",
            patient=f"covid-{row['patientid']}",
            extra={"licence": row["license"]},
        )


def _lines(folder: Path, *names: str) -> Iterator[Row]:
    file = next((folder / name for name in names if (folder / name).is_file()), None)
    if file is None:
        raise FileNotFoundError(f"{folder} has no {' or '.join(names)}")
    for line in file.read_text("utf-8").splitlines():
        yield json.loads(line)


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


def main() -> None:
    """Build from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nih", type=Path, required=True, help="folder of ChestX-ray14 images: all splits")
    parser.add_argument("--more", type=Path, help="folder of ChestX-ray14 images that only train")
    parser.add_argument("--covid", type=Path, help="folder of covid-chestxray: only trains")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    arguments = parser.parse_args()
    studies = list(nih(arguments.nih))
    if arguments.more:
        ids = frozenset(study.id.removeprefix("nih-") for study in studies)
        studies += nih(arguments.more, train_only=True, leave_out=ids)
    if arguments.covid:
        studies += covid(arguments.covid)
    print(json.dumps(write(studies, arguments.out)))


if __name__ == "__main__":
    main()
