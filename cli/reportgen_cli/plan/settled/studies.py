"""The studies of a plan: read from the dataset, without those that no training can use, and with their labels."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reportgen_core import Collection, DataError
from reportgen_core.data.labels import DATA, relabel
from reportgen_core.files.atomic import atomic_write
from reportgen_core.files.study_json import study_from_json, study_to_json
from reportgen_core.registries import datasets
from reportgen_core.types import Audit, Study

from ...dataset_input import meant_dataset, read_dataset
from ..texts import read_texts
from .plan_file import PlanData

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class UsableStudies:
    """The studies that a plan learns from and is scored on, and notes on those that were left out."""

    studies: tuple[Study, ...]
    notes: tuple[str, ...] = ()

    def split(self, name: str) -> tuple[Study, ...]:
        """Return the studies of a split."""
        return tuple(s for s in self.studies if s.split == name)

    @property
    def counts(self) -> dict[str, int]:
        """Return the number of studies of each split."""
        return {name: len(self.split(name)) for name in SPLITS}


def read_collection(data: PlanData) -> Collection:
    """Return the dataset with studies whose images are missing, so that these can be counted."""
    root = Path(data.root) if data.root is not None else None
    registered, _ = meant_dataset(data.name, root)
    free = {"require_images": False} if "require_images" in datasets.options(registered) else {}
    return read_dataset(data.name, root, {**free, **data.options})


def usable_studies(studies: Iterable[Study], sections: Sequence[str]) -> UsableStudies:
    """Return the studies of the three splits with an image that is there, and a report in `sections` or else a label.

    Images that are not there are left out of their studies.
    """
    chosen = [s for s in studies if s.split in SPLITS]
    seen = [replace(s, views=tuple(v for v in s.views if v.path.is_file())) for s in chosen]
    seen = [s for s in seen if s.views]
    texts = read_texts(seen, sections) if sections else {s.id: "" for s in seen if s.labels}
    kept = tuple(s for s in seen if s.id in texts)
    lacks = f"report in {' or '.join(sections)}" if sections else "label"
    reasons = {"image that is there": len(chosen) - len(seen), lacks: len(seen) - len(kept)}
    notes = tuple(f"{_counted(n)} left out for want of {_article(what)}" for what, n in reasons.items() if n)
    return UsableStudies(kept, notes)


def _counted(n: int) -> str:
    return "1 study is" if n == 1 else f"{n} studies are"


def _article(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def labelled_studies(usable: UsableStudies, data: PlanData) -> UsableStudies:
    """Return the studies with the labels that the encoder and some decoders learn; test studies keep their own."""
    if data.labels in ("", DATA):
        return usable
    own = [s for s in usable.studies if s.split == "test"]
    learned = [s for s in usable.studies if s.split != "test"]
    return replace(usable, studies=(*relabel(learned, data.labels, data.sections), *own))


def save_studies(studies: Iterable[Study], path: Path) -> None:
    """Write studies as JSON lines, for the processes that train. They hold the reports."""
    lines = (json.dumps(study_to_json(s, Path("/nowhere")), ensure_ascii=False, default=str) for s in studies)
    atomic_write(path, "".join(f"{line}\n" for line in lines))


def load_studies(path: Path) -> UsableStudies:
    """Read what `save_studies` wrote. Raises DataError."""
    with path.open(encoding="utf-8") as file:
        try:
            return UsableStudies(tuple(study_from_json(json.loads(line), Path) for line in file))
        except ValueError as e:
            raise DataError(f"{path}: {e}; without this file the plan reads the dataset again") from e


def collected(studies: Sequence[Study], source: str) -> Collection:
    """Return studies as a collection, which scores are computed on."""
    return Collection(tuple(studies), Audit(source, len(studies), sum(len(s.views) for s in studies)))
