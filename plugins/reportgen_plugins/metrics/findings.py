"""`findings`: AUC, F1 and calibration of predicted findings.

AUC per class, their mean and their mean weighted by positives, as Wang et al., TieNet, 2018, print them (AVG, #wAVG):
"No Finding" and "normal" are outside both means, and a class without positives or without negatives has no AUC and is
left out. An uncertain gold label is left out; one that is not stated is left out too, or absent with
`unsaid="absent"`. Calibration: Naeini et al., Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015
(expected calibration error, equal bins, all classes pooled). AUC's intervals resample the patients by weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reportgen_core import OptionError, Report, Study
from reportgen_core.metric import Metric
from reportgen_core.scoring.abilities.metrics import LabelledP, ModelOutputs
from reportgen_core.scoring.uncertainty import unit_numbers
from reportgen_core.types import Score, ScoreLine

from .model_only import refuse_texts

Floats = NDArray[np.float64]
OUTSIDE = frozenset({"No Finding", "normal"})


class Findings(Metric):
    """Scores how well probabilities rank studies with and without a finding, and how well they are calibrated.

    Args:
        unsaid: what a finding that a study does not mention counts as: "skip" leaves it out, or "absent".
        threshold: probability (0..1) from which a finding counts as predicted.
        bins: bins of equal width of the calibration error.
    """

    def __init__(self, *, unsaid: Literal["skip", "absent"] = "skip", threshold: float = 0.5, bins: int = 15) -> None:
        if unsaid not in ("skip", "absent"):
            raise OptionError(f"findings that are not stated cannot count as {unsaid!r}; there are: skip, absent")
        self.unsaid, self.threshold, self.bins = unsaid, threshold, bins
        self.version = f"1 unsaid={unsaid} threshold={threshold} bins={bins}"

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        refuse_texts("findings", "predicted findings")

    def score_outputs(self, outputs: ModelOutputs) -> list[ScoreLine]:
        """Return the mean AUCs and the calibration error, then AUC, F1 and number of positives of each class."""
        names, scores, gold = self._matrices(outputs.reports, outputs.studies)
        if not names or np.isnan(gold).all():
            return []
        units = unit_numbers([s.patient for s in outputs.studies])
        n = int(units.max()) + 1  # patients
        drawn = np.random.default_rng(outputs.seed).multinomial(n, np.full(n, 1 / n), outputs.resamples)
        weights = np.concatenate([np.ones((1, len(gold))), drawn[:, units]])  # (1 + resamples, studies): the set first
        aucs = np.stack([auc(scores[:, k], gold[:, k], weights) for k in range(len(names))], 1)
        positives = np.nansum(gold, 0)
        lines = self._means(names, aucs, positives)
        ece = self._resampled_line("findings ece", self._ece(scores, gold, weights))
        lines.append(replace(ece, higher_is_better=False))
        for k, name in enumerate(names):
            lines.append(self._resampled_line(f"findings {name} auc", aucs[:, k]))
            lines.append(self._line(f"findings {name} f1", self._f1(scores[:, k], gold[:, k])))
            lines.append(self._line(f"findings {name} references", float(positives[k]), higher_is_better=None))
        return lines

    def _means(self, names: Sequence[str], aucs: Floats, positives: Floats) -> list[ScoreLine]:
        """Return the mean AUC and the mean weighted by positives; [] if no class inside the means has an AUC."""
        inside = np.array([name not in OUTSIDE for name in names]) & ~np.isnan(aucs[0])
        if not inside.any():
            return []
        mean = _weighted(aucs[:, inside], np.ones(inside.sum()))
        weighted = _weighted(aucs[:, inside], positives[inside])
        absent = [name for name, area in zip(names, aucs[0], strict=True) if np.isnan(area) and name not in OUTSIDE]
        counted = (
            f"{len(absent)} of {len(absent) + inside.sum()} classes have no positive or no negative study and are "
        )
        note = f"{counted}left out: {', '.join(absent)}" if absent else ""
        lines = [
            self._resampled_line("findings mean auc", mean),
            self._resampled_line("findings weighted-mean auc", weighted),
        ]
        return [replace(line, note=note) for line in lines]

    def _line(self, name: str, value: float, higher_is_better: bool | None = True) -> ScoreLine:
        return ScoreLine(name, value, None, None, higher_is_better, "findings", self.version)

    def reliability(self, reports: Sequence[Report], studies: Sequence[Study]) -> list[tuple[float, float, int]]:
        """Return for each bin that is not empty: its mean probability, the share that came true, the count."""
        _, scores, gold = self._matrices(reports, studies)
        return self._bins(scores, gold)

    def probabilities(self, reports: Sequence[Report], studies: Sequence[Study]) -> dict[str, list[LabelledP]]:
        """Return the probability and the label of each class and study, as the scores above read them."""
        names, scores, gold = self._matrices(reports, studies)
        return {
            name: [(_known(p), _known(y)) for p, y in zip(scores[:, k].tolist(), gold[:, k].tolist(), strict=True)]
            for k, name in enumerate(names)
        }

    def _matrices(self, reports: Sequence[Report], studies: Sequence[Study]) -> tuple[list[str], Floats, Floats]:
        """Return the classes that both sides have; probabilities (n, classes); labels (n, classes), 1, 0 or nan."""
        stated = {name for s in studies for name in s.labels}
        names = [n for n in dict.fromkeys(n for r in reports for n in r.findings) if n in stated]
        scores = np.array([[r.findings.get(n, np.nan) for n in names] for r in reports], float)
        gold = np.array([[self._gold(s, n) for n in names] for s in studies], float)
        shape = len(studies), len(names)
        return names, scores.reshape(shape), gold.reshape(shape)

    def _gold(self, study: Study, name: str) -> float:
        value = study.labels.get(name, 0.0 if self.unsaid == "absent" else np.nan)
        return float(value) if value in (0.0, 1.0) else float("nan")

    def _resampled_line(self, name: str, values: Floats) -> ScoreLine:
        """Return the first value, with the 95 % interval of the others."""
        low, high = (None, None)
        if len(values) > 1 and not np.isnan(values[1:]).all():
            low, high = (float(x) for x in np.nanpercentile(values[1:], (2.5, 97.5)))
        return ScoreLine(name, float(values[0]), low, high, True, "findings", self.version)

    def _f1(self, scores: Floats, gold: Floats) -> float:
        predicted, present = scores >= self.threshold, gold == 1
        known = ~np.isnan(gold) & ~np.isnan(scores)
        hit = (predicted & present & known).sum()
        both = (predicted & known).sum() + (present & known).sum()
        return float(2 * hit / both) if both else 0.0

    def _bins(self, scores: Floats, gold: Floats) -> list[tuple[float, float, int]]:
        known = ~np.isnan(gold) & ~np.isnan(scores)
        p, true = scores[known], gold[known]
        place = np.minimum((p * self.bins).astype(int), self.bins - 1)
        inside = [place == b for b in range(self.bins)]
        return [(float(p[i].mean()), float(true[i].mean()), int(i.sum())) for i in inside if i.any()]

    def _ece(self, scores: Floats, gold: Floats, weights: Floats) -> Floats:
        """Return the calibration error for each row of study weights (R, n); nan for a row without a prediction."""
        known = ~np.isnan(gold) & ~np.isnan(scores)
        place = np.minimum((np.where(known, scores, 0) * self.bins).astype(int), self.bins - 1)
        inside = [known & (place == b) for b in range(self.bins)]
        gaps = np.stack([np.where(i, scores - gold, 0.0).sum(1) for i in inside], 1)  # (n, bins)
        counts = weights @ known.sum(1)
        return np.asarray(
            np.divide(np.abs(weights @ gaps).sum(1), counts, out=np.full(len(weights), np.nan), where=counts > 0)
        )


def auc(scores: Floats, gold: Floats, weights: Floats) -> Floats:
    """Return the area under the ROC curve for each row of study weights (R, n); nan if a row has only one class."""
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


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def _weighted(aucs: Floats, positives: Floats) -> Floats:
    """Return for each row the mean AUC of its classes, weighted by positives; nan if no class of the row has one."""
    total = (~np.isnan(aucs) * positives).sum(1)
    return np.asarray(np.divide(np.nansum(aucs * positives, 1), total, out=np.full(len(aucs), np.nan), where=total > 0))
