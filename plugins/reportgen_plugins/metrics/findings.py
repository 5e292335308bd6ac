"""`findings`: AUC, F1 and calibration of predicted findings.

AUC per class, their mean and their mean weighted by positives, as Wang et al., TieNet, 2018, print them (AVG, #wAVG):
"No Finding" and "normal" are outside both means, and a class without positives or without negatives has no AUC and is
left out. An uncertain gold label is left out; one that is not stated is left out too, or absent with
`unsaid="absent"`. Calibration: Naeini et al., Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015
(expected calibration error, equal bins, all classes pooled). AUC's intervals resample the studies by weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reportgen_core import OptionError, Report, Study
from reportgen_core.metric import Metric
from reportgen_core.types import Line, Score

from .model_only import needs_a_model

Floats = NDArray[np.float64]
OUTSIDE = frozenset({"No Finding", "normal"})


class Findings(Metric):
    """How well probabilities of findings rank and mean what they say."""

    def __init__(self, *, unsaid: Literal["skip", "absent"] = "skip", threshold: float = 0.5, bins: int = 15) -> None:
        if unsaid not in ("skip", "absent"):
            raise OptionError(f"findings that are not stated cannot count as {unsaid!r}; there are: skip, absent")
        self.unsaid, self.threshold, self.bins = unsaid, threshold, bins
        self.version = f"1 unsaid={unsaid} threshold={threshold} bins={bins}"

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        needs_a_model("findings", "predicted findings")

    def judge(
        self,
        reports: Sequence[Report],
        studies: Sequence[Study],
        *,
        training: Sequence[Study] = (),
        grid: tuple[int, int, int] | None = None,
        resamples: int = 1000,
        seed: int = 0,
    ) -> list[Line]:
        names, scores, gold = self._matrices(reports, studies)
        if not names:
            return []
        drawn = np.random.default_rng(seed).multinomial(len(gold), np.full(len(gold), 1 / len(gold)), resamples)
        weights = np.concatenate([np.ones((1, len(gold))), drawn])  # (1 + resamples, n): first the set itself
        aucs = np.stack([auc(scores[:, k], gold[:, k], weights) for k in range(len(names))], 1)
        positives = np.nansum(gold, 0)
        inside = np.array([n not in OUTSIDE for n in names]) & ~np.isnan(aucs[0])
        lines = []
        if inside.any():
            mean = _weighted(aucs[:, inside], np.ones(inside.sum()))
            weighted = _weighted(aucs[:, inside], positives[inside])
            lines += [self._line("findings mean auc", mean), self._line("findings weighted-mean auc", weighted)]
        lines.append(Line("findings ece", self._ece(scores, gold), None, None, False, "findings", self.version))
        for k, name in enumerate(names):
            lines.append(self._line(f"findings {name} auc", aucs[:, k]))
            lines.append(
                Line(f"findings {name} f1", self._f1(scores[:, k], gold[:, k]), metric="findings", version=self.version)
            )
            lines.append(
                Line(f"findings {name} references", float(positives[k]), None, None, None, "findings", self.version)
            )
        return lines

    def reliability(self, reports: Sequence[Report], studies: Sequence[Study]) -> list[tuple[float, float, int]]:
        """Of each bin that is not empty: the mean probability, the share that came true, how many."""
        _, scores, gold = self._matrices(reports, studies)
        return self._bins(scores, gold)

    def _matrices(self, reports: Sequence[Report], studies: Sequence[Study]) -> tuple[list[str], Floats, Floats]:
        """Classes that both sides have; probabilities (n, classes); gold 1, 0 or nan."""
        stated = {name for s in studies for name in s.labels}
        names = [n for n in dict.fromkeys(n for r in reports for n in r.findings) if n in stated]
        scores = np.array([[r.findings.get(n, np.nan) for n in names] for r in reports], float)
        gold = np.array([[self._gold(s, n) for n in names] for s in studies], float)
        shape = len(studies), len(names)
        return names, scores.reshape(shape), gold.reshape(shape)

    def _gold(self, study: Study, name: str) -> float:
        value = study.labels.get(name, 0.0 if self.unsaid == "absent" else np.nan)
        return float(value) if value in (0.0, 1.0) else float("nan")

    def _line(self, name: str, values: Floats) -> Line:
        """The first value with the interval of the rest."""
        low, high = (None, None)
        if len(values) > 1 and not np.isnan(values[1:]).all():
            low, high = (float(x) for x in np.nanpercentile(values[1:], (2.5, 97.5)))
        return Line(name, float(values[0]), low, high, True, "findings", self.version)

    def _f1(self, scores: Floats, gold: Floats) -> float:
        said, there = scores >= self.threshold, gold == 1
        known = ~np.isnan(gold) & ~np.isnan(scores)
        hit = (said & there & known).sum()
        all_of = (said & known).sum() + (there & known).sum()
        return float(2 * hit / all_of) if all_of else 0.0

    def _bins(self, scores: Floats, gold: Floats) -> list[tuple[float, float, int]]:
        known = ~np.isnan(gold) & ~np.isnan(scores)
        p, true = scores[known], gold[known]
        place = np.minimum((p * self.bins).astype(int), self.bins - 1)
        inside = [place == b for b in range(self.bins)]
        return [(float(p[i].mean()), float(true[i].mean()), int(i.sum())) for i in inside if i.any()]

    def _ece(self, scores: Floats, gold: Floats) -> float:
        bins = self._bins(scores, gold)
        total = sum(n for _, _, n in bins)
        return sum(n * abs(p - share) for p, share, n in bins) / total if total else float("nan")


def auc(scores: Floats, gold: Floats, weights: Floats) -> Floats:
    """The area under the ROC curve for each row of study weights (R, n); nan where a row lacks one of the two sides."""
    known = ~np.isnan(gold) & ~np.isnan(scores)
    order = np.argsort(scores[known], kind="stable")
    s, g, w = scores[known][order], gold[known][order], weights[:, known][:, order]
    starts = np.flatnonzero(np.concatenate([[True], s[1:] != s[:-1]])) if len(s) else np.zeros(0, int)
    if not len(starts):
        return np.full(len(weights), np.nan)
    positive = np.add.reduceat(w * g, starts, axis=1)  # (R, distinct scores)
    negative = np.add.reduceat(w * (1 - g), starts, axis=1)
    below = np.cumsum(negative, 1) - negative / 2  # a tie counts half
    pairs = positive.sum(1) * negative.sum(1)
    return np.asarray(np.divide((positive * below).sum(1), pairs, out=np.full(len(pairs), np.nan), where=pairs > 0))


def _weighted(aucs: Floats, positives: Floats) -> Floats:
    """The mean over the classes of each row that have an AUC there; nan in a row without any."""
    total = (~np.isnan(aucs) * positives).sum(1)
    return np.asarray(np.divide(np.nansum(aucs * positives, 1), total, out=np.full(len(aucs), np.nan), where=total > 0))
