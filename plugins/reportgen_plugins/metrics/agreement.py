"""Precision, recall and F1 of findings read off reports against those read off references.

Conventions met in papers, by name; they differ in what an uncertain finding counts as, and in which number they print:

r2gen        uncertain is not positive; macro over the 14, "No Finding" among them (R2Gen's clinical efficacy)
rrg          uncertain counts as positive; micro and macro, 14 and 5 (RadEval, the RRG challenges, f1chexbert)
micro-14     uncertain is not positive; micro over the 14 (as MAIRA and LLaVA-Rad print it)
per-example  uncertain is not positive; the mean of the studies' own precision, recall and F1 (PromptMRG)

What is not mentioned is not positive in all of them. A ratio of 0 to 0 is 0, as in scikit-learn; macro averages run
over all classes, also those that no reference has, which pulls them down; the counts of references are given too.
Accuracy (CVSE prints it) is flattered by what is rare: a report that names nothing has a high one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen_core import OptionError
from reportgen_core.registry import did_you_mean

HEADLINES = {"r2gen": "macro-14", "rrg": "micro-14", "micro-14": "micro-14", "per-example": "example"}
FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")

Labels = Sequence[Mapping[str, float]]
Floats = NDArray[np.float64]


class Agreement:
    """Scores of labels. `name` is the labeler's; every score begins with it."""

    def __init__(self, name: str, classes: Sequence[str], convention: str, wanted: str = "") -> None:
        if convention not in HEADLINES:
            raise OptionError(f"no convention named {convention!r}; {did_you_mean(convention, HEADLINES)}")
        self.name, self.classes, self.convention = name, tuple(classes), convention
        five = [self.classes.index(c) for c in FIVE if c in self.classes]
        self.groups = {str(len(classes)): list(range(len(classes)))}
        if len(five) == len(FIVE):
            self.groups["5"] = five
        self.uncertain = convention == "rrg"
        self.headline = HEADLINES[convention].replace("14", str(len(classes)))

    def statistics(self, ours: Labels, theirs: Sequence[Labels]) -> Floats:
        """Return (n, 3 × classes + 4): true and false positives, false negatives by class; 1; the study's own P, R, F1.

        With several references a finding is present if one of them has it.
        """
        predicted = self._positive(ours)
        gold = np.stack([self._positive(refs).max(0) for refs in theirs]) if len(theirs) else predicted
        tp, fp, fn = predicted * gold, predicted * (1 - gold), (1 - predicted) * gold
        own = np.stack(_prf(tp.sum(1), fp.sum(1), fn.sum(1)), 1)
        return np.concatenate([tp, fp, fn, np.ones((len(own), 1)), own], 1)

    def _positive(self, labels: Labels) -> Floats:
        """Return (n, classes): 1 if the finding counts as positive, else 0."""
        counted = (1.0, -1.0) if self.uncertain else (1.0,)
        return np.array([[float(row.get(c) in counted) for c in self.classes] for row in labels]).reshape(
            -1, len(self.classes)
        )

    def scores(self, totals: Floats) -> dict[str, Floats]:
        """Return all scores of summed statistics, the convention's headline first."""
        k = len(self.classes)
        tp, fp, fn = totals[..., :k], totals[..., k : 2 * k], totals[..., 2 * k : 3 * k]
        each = _prf(tp, fp, fn)
        right = 1 - (fp + fn) / totals[..., 3 * k, None]  # (..., classes)
        scores: dict[str, Floats] = {}
        for size, members in self.groups.items():
            pooled = _prf(tp[..., members].sum(-1), fp[..., members].sum(-1), fn[..., members].sum(-1))
            for word, micro, by_class in zip(("precision", "recall", "f1"), pooled, each, strict=True):
                scores[f"{self.name} micro-{size} {word}"] = micro
                scores[f"{self.name} macro-{size} {word}"] = by_class[..., members].mean(-1)
            scores[f"{self.name} macro-{size} accuracy"] = right[..., members].mean(-1)
        for i, word in enumerate(("precision", "recall", "f1")):
            scores[f"{self.name} example {word}"] = totals[..., 3 * k + 1 + i] / totals[..., 3 * k]
        for i, name in enumerate(self.classes):
            for word, by_class in zip(("precision", "recall", "f1"), each, strict=True):
                scores[f"{self.name} {name} {word}"] = by_class[..., i]
            scores[f"{self.name} {name} accuracy"] = right[..., i]
            scores[f"{self.name} {name} references"] = tp[..., i] + fn[..., i]
        first = [f"{self.name} {self.headline} f1", f"{self.name} {self._second()} f1"]
        return {name: scores[name] for name in (*first, *(n for n in scores if n not in first))}

    def score_notes(self, totals: Floats) -> dict[str, str]:
        """Return for each macro average the classes that no reference has: each counts 0 in it."""
        k = len(self.classes)
        references = totals[:k] + totals[2 * k : 3 * k]  # (classes,) studies that have the finding
        notes: dict[str, str] = {}
        for size, members in self.groups.items():
            absent = [self.classes[i] for i in members if not references[i]]
            if absent:
                note = f"{len(absent)} of {size} classes are in no reference and count 0: {', '.join(absent)}"
                notes |= {f"{self.name} macro-{size} {word}": note for word in ("precision", "recall", "f1")}
        return notes

    def _second(self) -> str:
        """Return the average that is printed next to the headline."""
        size = str(len(self.classes))
        return f"micro-{size}" if self.headline == f"macro-{size}" else f"macro-{size}"


def _prf(tp: Floats, fp: Floats, fn: Floats) -> tuple[Floats, Floats, Floats]:
    return _ratio(tp, tp + fp), _ratio(tp, tp + fn), _ratio(2 * tp, 2 * tp + fp + fn)


def _ratio(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.divide(a, b, out=np.zeros(np.shape(b)), where=np.asarray(b) > 0))
