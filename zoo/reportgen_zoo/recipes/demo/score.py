"""Score the demonstration model: the findings that its reports state, against the labels of held-out studies.

Only the text is read, by `language.read_labels`: an uncertain sentence states nothing. Precision, recall and F1 are
micro, over all findings of all studies. Intervals are bootstraps over patients. Beside the model stand the strongest
constant, whose findings are chosen greedily on the very labels that score it, and the report of the training study with
the nearest image features.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reportgen_core import Model, Study
from reportgen_core.scoring.baselines import BaselineData, by_image

from .language import FINDINGS, describe, read_labels

RESAMPLES = 2000
Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of findings: stated and present, stated and absent, present and not stated."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def f1(self) -> float:
        """Return 2 TP / (2 TP + FP + FN); 0 if nothing is right, as for a text that names no finding."""
        return 2 * self.right / (2 * self.right + self.wrong + self.missed) if self.right else 0.0

    @property
    def precision(self) -> float:
        """Return the share of the stated findings that are present; 0 if none is stated."""
        return self.right / (self.right + self.wrong) if self.right else 0.0

    @property
    def recall(self) -> float:
        """Return the share of the present findings that are stated; 0 if none is present."""
        return self.right / (self.right + self.missed) if self.right else 0.0


def count(text: str, labels: Mapping[str, float], findings: Sequence[str] = FINDINGS) -> Counts:
    """Return the counts of one text against the labels of one study."""
    stated = {f for f in read_labels(text) if f in findings}
    present = {f for f in findings if labels.get(f) == 1}
    return Counts(len(stated & present), len(stated - present), len(present - stated))


def counted(texts: Sequence[str], studies: Sequence[Study]) -> list[Counts]:
    """Return the counts of each study."""
    return [count(text, study.labels) for text, study in zip(texts, studies, strict=True)]


def interval(
    counts: Sequence[Counts], patients: Sequence[str], rival: Sequence[Counts] = (), seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of F1, or of its difference to the rival's, by a bootstrap over patients."""
    ours, theirs = _by_patient(counts, patients), _by_patient(rival or [Counts()] * len(counts), patients)
    draw, n = random.Random(seed), len(ours)
    rows = np.array([draw.choices(range(n), k=n) for _ in range(RESAMPLES)])
    differences = np.sort(_f1(ours[rows].sum(1)) - _f1(theirs[rows].sum(1)))
    return float(differences[round(0.025 * RESAMPLES)]), float(differences[round(0.975 * RESAMPLES) - 1])


def _f1(counts: Numbers) -> Numbers:
    """Return F1 of counts (n, 3): right, wrong, missed."""
    right = 2 * counts[:, 0]
    return np.divide(right, right + counts[:, 1] + counts[:, 2], out=np.zeros(len(counts)), where=right > 0)


def _by_patient(counts: Sequence[Counts], patients: Sequence[str]) -> Numbers:
    """Return the sums of the counts of each patient, (patients, 3)."""
    sums: dict[str, Counts] = {}
    for study_counts, patient in zip(counts, patients, strict=True):
        sums[patient] = sums.get(patient, Counts()) + study_counts
    return np.array([(c.right, c.wrong, c.missed) for c in sums.values()], float)


def score(texts: Sequence[str], studies: Sequence[Study]) -> dict[str, object]:
    """Return the scores of one set of reports as JSON values."""
    counts = counted(texts, studies)
    total = sum(counts, Counts())
    low, high = interval(counts, [study.patient for study in studies])
    each = {f: sum((count(t, s.labels, (f,)) for t, s in zip(texts, studies, strict=True)), Counts()) for f in FINDINGS}
    return {
        "studies": len(studies),
        "patients": len({study.patient for study in studies}),
        "f1": round(total.f1, 3),
        "f1_interval": [round(low, 3), round(high, 3)],
        "precision": round(total.precision, 3),
        "recall": round(total.recall, 3),
        "distinct_reports": round(len(set(texts)) / len(texts), 3),
        "commonest_report": round(Counter(texts).most_common(1)[0][1] / len(texts), 3),
        "by_finding": {f: [c.right, c.wrong, c.missed] for f, c in each.items() if c != Counts()},
    }


def strongest(studies: Sequence[Study]) -> str:
    """Return the constant with the best F1 on these studies, with findings added greedily while F1 rises."""
    chosen: list[str] = []
    best = 0.0
    while True:
        tried = {f: _constant_f1([*chosen, f], studies) for f in FINDINGS if f not in chosen}
        finding = max(tried, key=lambda f: tried[f], default="")
        if not finding or tried[finding] <= best:
            return describe(chosen)
        chosen, best = [*chosen, finding], tried[finding]


def _constant_f1(findings: Sequence[str], studies: Sequence[Study]) -> float:
    right = sum(study.labels[f] == 1 for study in studies for f in findings)
    present = sum(value == 1 for study in studies for value in study.labels.values())
    return 2 * right / (len(findings) * len(studies) + present) if right else 0.0


def nearest(model: Model, train: Sequence[Study], studies: Sequence[Study]) -> Sequence[str]:
    """Return for each study the report of the training study with the nearest features of the model's encoder."""
    training = {study.id: study.text(["findings"]) for study in train}
    features = model.pooled_features([*train, *studies])
    return by_image(BaselineData(training, features=features), [study.id for study in studies]).reports[0]


def above(texts: Sequence[str], rival: Sequence[str], studies: Sequence[Study]) -> list[float]:
    """Return the F1 of texts minus that of their rivals, with the ends of its 95 % interval."""
    ours, theirs = counted(texts, studies), counted(rival, studies)
    difference = sum(ours, Counts()).f1 - sum(theirs, Counts()).f1
    ends = interval(ours, [study.patient for study in studies], theirs)
    return [round(value, 3) for value in (difference, *ends)]


def by_group(texts: Sequence[str], studies: Sequence[Study], key: str) -> dict[str, list[float]]:
    """Return for each value of a fact in `extra`: the number of studies, F1, and its 95 % interval."""
    groups: dict[str, list[int]] = {}
    for i, study in enumerate(studies):
        groups.setdefault(str(study.extra[key]), []).append(i)
    table = {}
    for value, rows in sorted(groups.items()):
        counts = counted([texts[i] for i in rows], [studies[i] for i in rows])
        ends = interval(counts, [studies[i].patient for i in rows])
        table[value] = [len(rows), *(round(v, 3) for v in (sum(counts, Counts()).f1, *ends))]
    return table


def area(scores: Numbers, truth: Numbers) -> float:
    """Return the area under the ROC curve; nan if only one class is there."""
    positive = truth == 1
    n, m = int(positive.sum()), int((~positive).sum())
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # the mean rank of equal scores
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m)) if n and m else float("nan")


def area_interval(
    scores: Numbers, truth: Numbers, patients: Sequence[str], resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of the area under the ROC curve by a bootstrap over patients."""
    return resampled(lambda rows: area(scores[rows], truth[rows]), patients, resamples, seed)


def resampled(
    value: Callable[[Numbers], float], patients: Sequence[str], resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of a value of rows, which are drawn by patient. Draws without a value do not count."""
    names, codes = np.unique(np.asarray(patients), return_inverse=True)
    rows_of = [np.flatnonzero(codes == k) for k in range(len(names))]
    draw = np.random.default_rng(seed)
    values = [
        value(np.concatenate([rows_of[k] for k in draw.integers(0, len(names), len(names))])) for _ in range(resamples)
    ]
    known = [v for v in values if not np.isnan(v)]
    low, high = np.quantile(known, [0.025, 0.975]) if known else (np.nan, np.nan)
    return float(low), float(high)
