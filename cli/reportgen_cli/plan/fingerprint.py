"""Put the fingerprint of a dataset together: studies, reports, findings, images, leaks, and warnings in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from reportgen_core.errors import DataError
from reportgen_core.text.spec import TextSpec
from reportgen_core.types import Collection, Study

from .findings import FindingFacts, Labels, count_findings, label_texts
from .images import ImageFacts, find_files, measure_images
from .leaks import Leak, find_leaks
from .numbers import counted, spread_of
from .texts import TextFacts, measure_texts, read_texts

FORMAT = 1
T = TypeVar("T")


class Progress(Protocol):
    """Reports the progress of a look that takes long."""

    def say(self, state: str) -> None:
        """Take the words of what is done now."""

    def count(self, values: Any, unit: str, total: int = 0) -> Any:
        """Yield the values, and count them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """The studies of a dataset."""

    studies: int
    patients: int
    without_patient: int
    most_of_a_patient: int  # studies of the patient with the most
    splits: Mapping[str, Mapping[str, int]]  # studies, patients, reports and images of each; "" has none
    views: Mapping[str, int]  # "2": studies with two images
    projections: Mapping[str, int]  # images by projection
    sections: Mapping[str, int]  # studies with each section
    wanted: Mapping[str, int]  # studies without each of the sections that are the report
    priors: int  # studies with an earlier study
    boxes: int  # studies with the place of a finding
    dropped: Mapping[str, int]  # studies that the dataset left out, by reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What is known of a dataset before anything is trained."""

    dataset: str
    source: str
    report: tuple[str, ...]  # the sections that are the report
    studies: StudyFacts
    texts: TextFacts | None
    languages: Mapping[str, int]
    read: FindingFacts | None  # findings that a labeler read off the reports
    given: FindingFacts | None  # findings that the dataset brings
    images: ImageFacts
    leaks: tuple[Leak, ...]
    notes: tuple[str, ...]  # of the dataset

    def to_json(self, warnings: Sequence[str]) -> dict[str, Any]:
        """Return the fingerprint as JSON values, with the warnings on it."""
        return {"format": FORMAT, "warnings": list(warnings), **asdict(self)}


def take_fingerprint(
    name: str, collection: Collection, spec: TextSpec, labeler: str, sample: int, progress: Progress
) -> Fingerprint:
    """Return the fingerprint of a dataset. `labeler` is a metric that labels texts, "" for none.

    At most `sample` images are decoded. Raises DataError for a dataset in which nothing can be looked at.
    """
    studies = collection.studies
    texts = read_texts(studies, spec.sections)
    _check(name, collection, texts, spec)
    progress.say("comparing image files")
    files = find_files(studies)
    given = {s.id: s.labels for s in studies}
    labels: Labels = {}
    languages: dict[str, int] = {}
    if labeler and texts:
        total = len(set(texts.values()))
        labels, languages = label_texts(texts, labeler, lambda t: progress.count(t, "reports labelled", total))
    progress.say("counting words")
    facts = measure_texts(studies, texts, spec)
    return Fingerprint(
        dataset=name,
        source=collection.audit.source,
        report=spec.sections,
        studies=_study_facts(collection, texts, spec.sections),
        texts=facts,
        languages=languages,
        read=count_findings(studies, labels, labeler),
        given=count_findings(studies, given, "data"),
        images=measure_images(
            studies, files, sample, lambda p: progress.count(p, "images read", min(sample, len(files.groups)))
        ),
        leaks=find_leaks(studies, texts, files),
        notes=collection.audit.notes,
    )


def _check(name: str, collection: Collection, texts: Mapping[str, str], spec: TextSpec) -> None:
    """Raise DataError for a dataset without studies, or whose studies have neither report nor image nor label."""
    if not collection.studies:
        dropped = [f"{len(ids)}: {reason}" for reason, ids in collection.audit.dropped.items()]
        why = "; dropped " + ", ".join(dropped) if dropped else ""
        raise DataError(f"{name} has no study{why}; rg data audit {name} names them")
    if not texts and not any(s.views or s.labels for s in collection.studies):
        held = ", ".join(counted(name for s in collection.studies for name in s.sections)) or "none"
        raise DataError(
            f"no study of {name} has a report in {' or '.join(spec.sections)}, an image or a label; "
            f"sections there: {held}; --section chooses one, --data-option names columns"
        )


def _study_facts(collection: Collection, texts: Mapping[str, str], report: Sequence[str]) -> StudyFacts:
    studies = collection.studies
    of_patients = counted(s.patient for s in studies if s.patient)
    return StudyFacts(
        studies=len(studies),
        patients=len(of_patients),
        without_patient=sum(not s.patient for s in studies),
        most_of_a_patient=max(of_patients.values(), default=0),
        splits={name: _split_facts([s for s in studies if s.split == name], texts) for name in _splits(studies)},
        views={str(i): n for i, n in enumerate(spread_of([min(len(s.views), 9) for s in studies]).bins)},
        projections=counted(v.projection or "not known" for s in studies for v in s.views),
        sections=counted(name for s in studies for name, text in s.sections.items() if text.strip()),
        wanted={name: sum(not s.text([name]) for s in studies) for name in report},
        priors=sum(s.prior is not None for s in studies),
        boxes=sum(bool(s.boxes) for s in studies),
        dropped={reason: len(ids) for reason, ids in collection.audit.dropped.items()},
    )


def _splits(studies: Sequence[Study]) -> list[str]:
    """Return the splits in the order of their use; "" last."""
    order = {"train": 0, "val": 1, "test": 2, "": 4}
    return sorted({s.split for s in studies}, key=lambda name: (order.get(name, 3), name))


def _split_facts(studies: Sequence[Study], texts: Mapping[str, str]) -> dict[str, int]:
    return {
        "studies": len(studies),
        "patients": len({s.patient for s in studies if s.patient}),
        "reports": sum(s.id in texts for s in studies),
        "images": sum(len(s.views) for s in studies),
    }
