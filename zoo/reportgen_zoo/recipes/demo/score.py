"""Score the demonstration model: the findings that its reports name, against the labels of held-out studies.

Only the text is read, by `language.read_labels`; precision, recall and F1 are over all findings of all studies (micro).
The interval is a bootstrap over patients. Two constant texts are scored too: the commonest training report, which names
no finding, and the training report whose findings score best on validation, which is harder to beat if one finding is
frequent; and the report of the training study with the nearest image features. The differences to the last two have
intervals of their own. `rg eval` computes scores of wording (`bleu`, `cider`). Run
as

    python -m reportgen_zoo.recipes.demo.score MODEL --data DATA [--split test]
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reportgen_core import Model, Study
from reportgen_core.registries import datasets
from reportgen_core.scoring.baselines import BaselineData, by_image

from .language import FINDINGS, read_exposure, read_labels, read_patient

RESAMPLES = 2000


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


def interval(
    counts: Sequence[Counts], patients: Sequence[str], rival: Sequence[Counts] = (), seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of F1, or of its difference to the rival's, by a bootstrap over patients."""
    ours, theirs = _by_patient(counts, patients), _by_patient(rival or [Counts()] * len(counts), patients)
    draw, differences = random.Random(seed), []
    for _ in range(RESAMPLES):
        drawn = draw.choices(range(len(ours)), k=len(ours))
        differences.append(sum((ours[i] for i in drawn), Counts()).f1 - sum((theirs[i] for i in drawn), Counts()).f1)
    differences.sort()
    return differences[round(0.025 * RESAMPLES)], differences[round(0.975 * RESAMPLES) - 1]


def _by_patient(counts: Sequence[Counts], patients: Sequence[str]) -> list[Counts]:
    """Return the sum of the counts of each patient."""
    sums: dict[str, Counts] = {}
    for study_counts, patient in zip(counts, patients, strict=True):
        sums[patient] = sums.get(patient, Counts()) + study_counts
    return list(sums.values())


def counted(texts: Sequence[str], studies: Sequence[Study]) -> list[Counts]:
    """Return the counts of each study."""
    return [count(text, study.labels) for text, study in zip(texts, studies, strict=True)]


def score(texts: Sequence[str], studies: Sequence[Study]) -> dict[str, object]:
    """Return the scores of one set of reports as JSON values."""
    counts = counted(texts, studies)
    total = sum(counts, Counts())
    low, high = interval(counts, [study.patient for study in studies])
    each = {f: sum((count(t, s.labels, (f,)) for t, s in zip(texts, studies, strict=True)), Counts()) for f in FINDINGS}
    facts = [(read_patient(text), study.extra) for text, study in zip(texts, studies, strict=True)]
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
        "exposure_right": _share(
            [
                list(read_exposure(t)) == s.extra["exposure"]
                for t, s in zip(texts, studies, strict=True)
                if "exposure" in s.extra
            ]
        ),
        "projection_right": _share(
            [view == extra["projection"] for (view, _, _), extra in facts if "projection" in extra]
        ),
        "sex_right": _share([sex == extra["sex"] for (_, sex, _), extra in facts if "sex" in extra]),
        "decade_right": _share([d == min(extra["age"], 99) // 10 for (_, _, d), extra in facts if "age" in extra]),
    }


def _share(right: Sequence[bool]) -> float | None:
    return round(sum(right) / len(right), 3) if right else None


def constant(train: Sequence[Study]) -> str:
    """Return the commonest report; of equally common reports the first in the alphabet."""
    counts = Counter(study.text(["findings"]) for study in train)
    return min(counts, key=lambda text: (-counts[text], text))


def strongest(train: Sequence[Study], val: Sequence[Study]) -> str:
    """Return the training report with the best F1 on validation when it is the report of every study."""
    texts = {read_labels(text): text for text in sorted({study.text(["findings"]) for study in train})}
    return max(texts.values(), key=lambda text: sum(counted([text] * len(val), val), Counts()).f1)


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


def main() -> None:
    """Score from the command line."""
    from reportgen_core.models.loading import load_model

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("--data", type=Path, required=True, help="folder that build.py made")
    parser.add_argument("--split", default="test")
    arguments = parser.parse_args()
    collection = datasets.create("table", arguments.data).read()
    studies = collection.split(arguments.split)
    model = load_model(arguments.model)
    reports = model.report_studies(studies, precision="fp32")
    train, texts = collection.split("train"), [report.text for report in reports]
    common, rival = constant(train), strongest(train, collection.split("val"))
    same, near = [rival] * len(studies), nearest(model, train, studies)
    scores = {
        "model": score(texts, studies),
        "constant": {"text": common, **score([common] * len(studies), studies)},
        "strongest_constant": {"text": rival, **score(same, studies)},
        "above_strongest_constant": above(texts, same, studies),
        "nearest_image": score(near, studies),
        "above_nearest_image": above(texts, near, studies),
        "examples": [[s.id, list(s.tags), r.text] for s, r in list(zip(studies, reports, strict=True))[:8]],
    }
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    main()
