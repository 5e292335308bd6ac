"""The rows of an evaluation's single studies: report, references, scores, subsets and findings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from ..evaluation_set import EvaluationSet
from ..scorer import MetricResult, Scorer
from .failed import FailedStudy

MAX_HEADLINES = 4  # of a metric; one with more numbers has its first two in tables and for single studies


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One study of the evaluation."""

    id: str
    prediction: str
    references: tuple[str, ...]
    scores: Mapping[str, float]
    subsets: tuple[str, ...] = ()  # "seen in training", "normal"
    labels: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)  # prediction's, reference's
    images: tuple[str, ...] = ()


def study_rows(
    scorer: Scorer, cases: EvaluationSet, results: Mapping[str, MetricResult], subsets: Mapping[str, Sequence[int]]
) -> tuple[StudyRow, ...]:
    """Return the rows of the studies, in order. A metric with many numbers has its first two in them."""
    labels = _labels(scorer, cases)
    each: dict[str, list[float]] = {}
    for name in scorer.working:
        parts = scorer.study_scores(name, results[name])
        each |= parts if len(parts) <= MAX_HEADLINES else dict(islice(parts.items(), 2))
    belongs = {name: set(which) for name, which in subsets.items()}
    return tuple(
        StudyRow(
            id,
            report[0],
            refs,
            {part: values[i] for part, values in each.items()},
            tuple(name for name, which in belongs.items() if i in which),
            labels[i] if labels else {},
            tuple(cases.images.get(id, ())),
        )
        for i, (id, report, refs) in enumerate(zip(cases.ids, cases.reports, cases.references, strict=True))
    )


def _labels(scorer: Scorer, cases: EvaluationSet) -> list[dict[str, tuple[float | None, float | None]]]:
    """Return the findings in each report and reference by the first metric that reads findings; [] if none does."""
    for name in scorer.working:
        predicted = scorer.text_labels(name, [r[0] for r in cases.reports])
        stated = scorer.text_labels(name, [r[0] for r in cases.references]) if predicted else []
        if stated:
            pairs = zip(predicted, stated, strict=True)
            return [{k: (a.get(k), b.get(k)) for k in dict.fromkeys((*b, *a))} for a, b in pairs]
    return []


def failed_studies(
    scorer: Scorer, ids: Sequence[str], measured: Mapping[str, Mapping[str, MetricResult]]
) -> Iterator[FailedStudy]:
    """Yield the studies that a metric could not score, though it scored others; `measured` has the results by row."""
    for system, results in measured.items():
        for metric in (m for m in scorer.working if m in results):
            for place, why in results[metric].failed.items():
                yield FailedStudy(system, metric, ids[place], why)
