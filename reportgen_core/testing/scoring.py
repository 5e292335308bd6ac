"""Check metrics, protocols and datasets: what they return is complete, repeatable, and does not depend on order.

Each check raises AssertionError with one line: what came, the promise, and what would keep it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MetricError, quoted
from ..metric import HasStatistics, Metric
from ..protocol import TextProtocol
from ..registries import datasets, metrics, protocols
from ..scoring.abilities.metrics import ScoresModelOutputs
from ..scoring.abilities.protocols import LearnsFromTraining
from ..types import Collection, Score
from .promise import first, promise

TEXTS = (
    "the heart is normal in size . there is no effusion .",
    "a small right pleural effusion is seen .",
    "the lungs are clear . no pneumothorax .",
    "large opacity in the left lower lobe , likely pneumonia .",
)
OTHER = (
    "two cats sleep on a red sofa today",
    "we went home by train at night",
    "blue paint dries slowly",
    "one two three",
)
SPLITS = ("", "train", "val", "test")


def check_metric(name: str, options: Mapping[str, Any] | None = None) -> None:
    """Check a metric: a finite score, its direction, one value a study, no dependence on order, no change of its input.

    A metric of a model's other outputs (`ScoresModelOutputs`) may raise MetricError for texts.
    """
    metric = metrics.create(name, **dict(options or {}))
    promise(
        metric.version, f"{name} has an empty `version`; set one, and change it whenever equal texts score otherwise"
    )
    references = [[text] for text in TEXTS]
    try:
        same = metric.compute(list(TEXTS), references)
    except MetricError as e:
        promise(isinstance(metric, ScoresModelOutputs), f"compute raises MetricError for plain English reports: {e}")
        return
    _check_score(name, same, len(TEXTS))
    other = metric.compute(list(OTHER), references)
    _check_score(name, other, len(TEXTS))
    sign = 1 if same.higher_is_better else -1
    promise(
        sign * same.value >= sign * other.value,
        f"{name} gives {same.value:.4g} to reports equal to their references and {other.value:.4g} to others, with "
        f"higher_is_better={same.higher_is_better}; set the direction in which a better report goes",
    )
    promise(
        same.higher_is_better == type(metric).higher_is_better,
        "Score.higher_is_better is not the metric's own; training selects the best model by the metric's",
    )
    _check_order(name, metric, references)
    _check_empty(name, metric, references)
    if isinstance(metric, HasStatistics):
        _check_statistics(name, metric, references)


def _check_score(name: str, score: object, count: int) -> None:
    assert isinstance(score, Score), f"{name}.compute returns {type(score).__name__}; return a Score"
    values = [score.value, *score.each, *score.parts.values()]
    promise(
        all(isinstance(v, int | float | np.floating) and math.isfinite(v) for v in values),
        f"{name} has a score that is no finite number; raise MetricError if texts cannot be scored",
    )
    promise(
        len(score.each) in (0, count),
        f"Score.each has {len(score.each)} values for {count} reports; give one for each report, in order, or ()",
    )


def _check_order(name: str, metric: Metric, references: Sequence[Sequence[str]]) -> None:
    """Check repeated scoring, another order of the studies, and that the input stays as it was."""
    mixed = [TEXTS[0], OTHER[1], TEXTS[2], OTHER[3]]
    given, given_references = list(mixed), [list(r) for r in references]
    first = metric.compute(given, given_references)
    promise(
        given == mixed and given_references == [list(r) for r in references],
        f"{name}.compute changes the lists that it gets; work on a copy: other metrics read the same lists",
    )
    again = metric.compute(mixed, references)
    promise(again.value == first.value, f"{name} gives equal texts another score; use no random number without a seed")
    turned = metric.compute(mixed[::-1], list(references)[::-1])
    promise(
        math.isclose(turned.value, first.value, rel_tol=1e-6, abs_tol=1e-9),
        f"{name} is {first.value:.6g} and in another order of the studies {turned.value:.6g}; a score is of a set",
    )
    if type(metric).per_study and first.each:
        promise(
            np.allclose(list(turned.each)[::-1], list(first.each), rtol=1e-5, atol=1e-8),
            "Score.each is not in the order of the reports, or a study's score depends on the others; in the latter "
            "case set per_study = False",
        )


def _check_empty(name: str, metric: Metric, references: Sequence[Sequence[str]]) -> None:
    try:
        score = metric.compute(["", *TEXTS[1:]], references)
    except MetricError:
        return
    except Exception as e:
        raise AssertionError(
            f"{name} raises {type(e).__name__} for an empty report; models write them: score it, or raise MetricError"
        ) from e
    _check_score(name, score, len(TEXTS))


def _check_statistics(name: str, metric: Any, references: Sequence[Sequence[str]]) -> None:
    mixed = [TEXTS[0], OTHER[1], TEXTS[2], OTHER[3]]
    rows = np.asarray(metric.statistics(mixed, references), float)
    promise(
        rows.ndim == 2 and len(rows) == len(mixed),
        f"statistics has the shape {rows.shape}; return (n, k), a row for each study",
    )
    score = metric.compute(mixed, references)
    headline = float(next(iter(metric.scores(rows.sum(0)).values())))
    promise(
        math.isclose(headline, score.value, rel_tol=1e-5, abs_tol=1e-8),
        f"{name} computes {score.value:.6g}, and {headline:.6g} from the sum of its statistics; intervals resample the "
        "statistics, so that both must be the same score",
    )
    both = metric.scores(np.stack([rows.sum(0), 2 * rows.sum(0)]))
    promise(
        all(np.shape(value) == (2,) for value in both.values()),
        "scores does not take sums (2, k) of two resamples; compute with the last axis: (..., k) -> (...)",
    )


def check_protocol(name: str, options: Mapping[str, Any] | None = None) -> None:
    """Check a protocol: a text for each text, words with single spaces, a text alone as in a list, repeatable."""
    protocol: TextProtocol = protocols.create(name, **dict(options or {}))
    promise(
        getattr(protocol, "version", ""), f"{name} has no `version`; change it whenever texts are prepared otherwise"
    )
    promise(
        isinstance(protocol.sections, tuple), "sections is no tuple of names; a text would be read letter by letter"
    )
    if isinstance(protocol, LearnsFromTraining) and protocol.learns:
        protocol.learn(list(TEXTS) * 5)
    texts = [*TEXTS, "", "  Two   spaces.\nAnd a line "]
    for side in ("reports", "references"):
        prepare = getattr(protocol, side)
        given = list(texts)
        words = prepare(given)
        promise(given == texts, f"{name}.{side} changes the list that it gets; return a new list")
        promise(
            isinstance(words, list) and len(words) == len(texts),
            f"{name}.{side} returns {len(words)} texts for {len(texts)}; return one for each, '' for an empty one",
        )
        for text in words:
            promise(
                isinstance(text, str) and text == " ".join(text.split()),
                f"{name}.{side} returns {quoted(text)}; return words with single spaces between, none at the ends",
            )
        alone = [prepare([text])[0] for text in texts]
        promise(
            alone == words,
            f"{name}.{side}: a text alone is prepared otherwise than in a list; let none depend on others",
        )
        promise(prepare(list(texts)) == words, f"{name}.{side} prepares equal texts otherwise; it must be repeatable")


def check_dataset(name: str, root: Path, options: Mapping[str, Any] | None = None) -> Collection:
    """Check a dataset on its files in `root`, and return its studies.

    Ids are unique, files exist, labels are 1, 0 or -1, no patient is in two splits, the audit counts what there is, and
    reading again gives the same.
    """
    collection = datasets.create(name, root, **dict(options or {})).read()
    studies, audit = collection.studies, collection.audit
    promise(studies, f"{name} has no study in {root}; raise DataError that names the file which is missing")
    ids = [s.id for s in studies]
    doubled = sorted({i for i in ids if ids.count(i) > 1})
    promise(
        not doubled,
        f"study id {first(doubled)!r} occurs twice; ids name outputs and are joined with labels: make them unique",
    )
    for study in studies:
        lost = [str(v.path) for v in study.views if not Path(v.path).is_file()]
        promise(
            not lost,
            f"study {study.id} has the image {first(lost)}, which is no file; drop it and count it",
        )
        odd = {k: v for k, v in study.labels.items() if v not in (1, 0, -1)}
        promise(
            not odd, f"study {study.id} has the labels {odd}; 1 is present, 0 absent, -1 uncertain, others are left out"
        )
        promise(
            study.split in SPLITS, f"study {study.id} has the split {study.split!r}; there are train, val, test and ''"
        )
        texts = {k: v for k, v in study.sections.items() if not isinstance(v, str)}
        promise(not texts, f"study {study.id} has the section {first(texts)!r}, which is no text; leave it out")
    _check_patients(collection)
    counts = (audit.studies, audit.images)
    real = (len(studies), sum(len(s.views) for s in studies))
    promise(
        counts == real, f"the audit counts {counts} studies and images, and there are {real}; count after all drops"
    )
    kept = sorted(set(ids) & {i for dropped in audit.dropped.values() for i in dropped})
    promise(not kept, f"study {first(kept)!r} is counted as left out and is there; list only what is not")
    again = datasets.create(name, root, **dict(options or {})).read()
    promise(
        [s.id for s in again.studies] == ids and again == collection,
        f"{name} reads other studies, or another order, the second time; sort files and seed every choice",
    )
    return collection


def _check_patients(collection: Collection) -> None:
    splits: dict[str, set[str]] = {}
    for study in collection.studies:
        if study.patient and study.split:
            splits.setdefault(study.patient, set()).add(study.split)
    shared = sorted(patient for patient, names in splits.items() if len(names) > 1)
    promise(
        not shared,
        f"patient {first(shared)!r} is in {' and '.join(sorted(splits.get(first(shared), ())))}; a model would be "
        "tested on patients that it learnt from: split by patient",
    )
