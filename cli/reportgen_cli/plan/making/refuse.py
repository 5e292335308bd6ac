"""Refuse data that no training should begin on. Each refusal is one line: what is wrong, and what would work."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from reportgen_core import DataError
from reportgen_core.types import Study

from ..fingerprint import Fingerprint
from ..numbers import counted
from ..settled.studies import SPLITS, UsableStudies

FEWEST = {"train": 20, "val": 5, "test": 5}  # studies
GIB = 2**30


def refuse_data(fingerprint: Fingerprint, usable: UsableStudies, sections: Sequence[str], allow_leaks: bool) -> None:
    """Raise DataError for data that nothing can be learned from, or whose split leaks unless that is allowed."""
    name, images, texts = fingerprint.dataset, fingerprint.images, fingerprint.texts
    if not images.files:
        what = (
            f"none of the {images.images} images that it names is there" if images.images else "no study has an image"
        )
        raise DataError(f"{name}: {what}; a plan needs images: name their column and folder by --data-option")
    if not sections and not any(s.labels for s in usable.studies):
        raise DataError(_nothing_to_learn(fingerprint))
    if sections and texts is not None and texts.distinct == 1:
        raise DataError(f"{name}: all {texts.reports} reports are alike, so that no image tells anything about them")
    studies = fingerprint.studies
    if studies.patients == 1 and not studies.without_patient:
        raise DataError(
            f"{name}: all {studies.studies} studies are of one patient: no score would hold for another; if they are "
            "of several, --data-option patient=COLUMN names them"
        )
    _refuse_splits(name, usable)
    if not allow_leaks:
        _refuse_leaks(fingerprint)


def _nothing_to_learn(fingerprint: Fingerprint) -> str:
    held = ", ".join(fingerprint.studies.sections) or "none"
    return (
        f"{fingerprint.dataset}: no study has a report in {' or '.join(fingerprint.report)} or a label; sections there "
        f"are: {held}; --section chooses one, --data-option text=COLUMN or labels=COLUMN names a column"
    )


def _refuse_splits(name: str, usable: UsableStudies) -> None:
    counts = usable.counts
    few = [f"{counts[split]} in {split}" for split in SPLITS if counts[split] < FEWEST[split]]
    if few:
        least = ", ".join(f"{n} in {split}" for split, n in FEWEST.items())
        why = f" ({'; '.join(usable.notes)})" if usable.notes else ""
        raise DataError(
            f"{name} has too few studies: {', '.join(few)}; a plan needs {least}{why}; for a table without splits "
            "--data-option val=0.15 and test=0.15 draw them by patient"
        )


def _refuse_leaks(fingerprint: Fingerprint) -> None:
    shared = []
    for leak in fingerprint.leaks:
        for what, n, of in (("patients", leak.patients, leak.of_patients), ("images", leak.images, leak.of_images)):
            if n:
                shared.append(f"{n} of {of} {what} of {leak.held_out} are in {leak.seen}, too")
    if shared:
        raise DataError(
            f"the split of {fingerprint.dataset} leaks: {'; '.join(shared)}; draw the splits by patient, or "
            "--allow-leaks goes on with scores that are too good"
        )


def refuse_disk(folder: Path, needed: int, what: str) -> None:
    """Raise DataError if the disk of a folder has less than `needed` bytes free."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise DataError(
            f"the disk of {folder} has {free / GIB:.2f} GiB free, and {what} needs about {needed / GIB:.2f} GiB; free "
            "some, or REPORTGEN_CACHE names a cache on another disk, or --size makes images smaller"
        )


def cache_bytes(studies: Sequence[Study], size: int, views: int) -> int:
    """Return the bytes of the cache of resized images: one for each pixel, and a block of the disk for each file."""
    return sum(min(len(s.views), views) for s in studies) * (size * size + 4096)


def section_counts(studies: Sequence[Study]) -> dict[str, int]:
    """Return how many studies have text in each section, the commonest first."""
    return counted(name for s in studies for name, text in s.sections.items() if any(c.isalnum() for c in text))
