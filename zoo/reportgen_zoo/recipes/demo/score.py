"""What the demonstration model is worth: the findings its reports name, against the labels of studies kept back.

The text alone is read, by `language.read_labels`; precision, recall and F1 are over all findings of all studies
(micro). The interval is a bootstrap over patients. Beside the model stand two texts written for everybody: the
commonest training report, which names no finding, and the training report whose findings score best on validation,
which is the harder one to beat where one finding is frequent; the difference to it has an interval of its own. Scores
of wording (`bleu`, `cider`) come with `rg eval`. Run as

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

from reportgen_core import Study
from reportgen_core.registries import datasets

from .language import FINDINGS, read_exposure, read_labels, read_patient

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Counts:
    """Findings said and there, said and not there, there and not said."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN); 0 where nothing is right, as for a text that names no finding."""
        return 2 * self.right / (2 * self.right + self.wrong + self.missed) if self.right else 0.0

    @property
    def precision(self) -> float:
        """Share of the said findings that are there; 0 where none is said."""
        return self.right / (self.right + self.wrong) if self.right else 0.0

    @property
    def recall(self) -> float:
        """Share of the findings there that are said."""
        return self.right / (self.right + self.missed) if self.right else 0.0


def count(text: str, labels: Mapping[str, float], findings: Sequence[str] = FINDINGS) -> Counts:
    """What one text says against one study's labels."""
    said = {f for f in read_labels(text) if f in findings}
    there = {f for f in findings if labels.get(f) == 1}
    return Counts(len(said & there), len(said - there), len(there - said))


def interval(
    counts: Sequence[Counts], patients: Sequence[str], rival: Sequence[Counts] = (), seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of F1, or of its lead over the rival's, when patients are drawn again with replacement."""
    ours, theirs = _by_patient(counts, patients), _by_patient(rival or [Counts()] * len(counts), patients)
    draw, found = random.Random(seed), []
    for _ in range(RESAMPLES):
        drawn = draw.choices(range(len(ours)), k=len(ours))
        found.append(sum((ours[i] for i in drawn), Counts()).f1 - sum((theirs[i] for i in drawn), Counts()).f1)
    found.sort()
    return found[round(0.025 * RESAMPLES)], found[round(0.975 * RESAMPLES) - 1]


def _by_patient(counts: Sequence[Counts], patients: Sequence[str]) -> list[Counts]:
    of: dict[str, Counts] = {}
    for one, patient in zip(counts, patients, strict=True):
        of[patient] = of.get(patient, Counts()) + one
    return list(of.values())


def counted(texts: Sequence[str], studies: Sequence[Study]) -> list[Counts]:
    """`count` of each study."""
    return [count(text, study.labels) for text, study in zip(texts, studies, strict=True)]


def score(texts: Sequence[str], studies: Sequence[Study]) -> dict[str, object]:
    """Figures of one set of reports."""
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
    """The commonest report; of equally common ones the first by the alphabet."""
    counts = Counter(study.text(["findings"]) for study in train)
    return min(counts, key=lambda text: (-counts[text], text))


def strongest(train: Sequence[Study], val: Sequence[Study]) -> str:
    """The training report with the best F1 on validation when it is written for everybody."""
    texts = {read_labels(text): text for text in sorted({study.text(["findings"]) for study in train})}
    return max(texts.values(), key=lambda text: sum(counted([text] * len(val), val), Counts()).f1)


def main() -> None:
    """Score from the command line."""
    from reportgen_core import load

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("--data", type=Path, required=True, help="folder that build.py made")
    parser.add_argument("--split", default="test")
    given = parser.parse_args()
    collection = datasets.create("table", given.data).read()
    studies = collection.split(given.split)
    reports = load(given.model).report_studies(studies, precision="fp32")
    train, texts = collection.split("train"), [report.text for report in reports]
    everybody, rival = constant(train), strongest(train, collection.split("val"))
    same = [rival] * len(studies)
    patients = [study.patient for study in studies]
    above = interval(counted(texts, studies), patients, counted(same, studies))
    found = {
        "model": score(texts, studies),
        "constant": {"text": everybody, **score([everybody] * len(studies), studies)},
        "strongest_constant": {"text": rival, **score(same, studies)},
        "above_strongest_constant": [round(value, 3) for value in above],
        "examples": [[s.id, list(s.tags), r.text] for s, r in list(zip(studies, reports, strict=True))[:8]],
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
