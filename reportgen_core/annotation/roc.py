"""ROC curves of predicted findings, each with the band that resampling the studies gives it.

The band holds 95 % of the resampled curves at each false positive rate (percentiles; Efron, Bootstrap methods, 1979).
Areas and their intervals are those of the metric `findings`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..scoring.abilities.metrics import ModelOutputs, ScoresModelOutputs
from ..types import ScoreLine

if TYPE_CHECKING:
    from ..types import Array, Report, Study

GRID = 101  # false positive rates at which the band is computed
RESAMPLES = 500


@dataclass(frozen=True, slots=True)
class Curve:
    """The ROC curve of one finding. Without positives or without negatives it has no points and no area."""

    name: str
    positives: int
    negatives: int
    area: float | None = None
    low: float | None = None  # of the area's 95 % interval
    high: float | None = None
    points: tuple[tuple[float, float], ...] = ()  # false and true positive rate, from (0, 0) to (1, 1)
    band: tuple[tuple[float, float, float], ...] = ()  # false positive rate, lowest and highest true positive rate


@dataclass(frozen=True, slots=True)
class FindingCurves:
    """How well findings were predicted: the scores of the metric `findings`, and a ROC curve for each finding."""

    studies: int
    lines: tuple[ScoreLine, ...]
    curves: tuple[Curve, ...]

    @property
    def left_out(self) -> tuple[Curve, ...]:
        """Findings without a curve."""
        return tuple(c for c in self.curves if c.area is None)


def score_findings(
    reports: Sequence[Report], studies: Sequence[Study], *, resamples: int = 1000, seed: int = 0
) -> FindingCurves:
    """Compare the findings of `reports` with the labels of `studies`, in the same order.

    A finding that a study leaves out is absent. Raises UnknownName if no plugin has the metric `findings`.
    """
    from ..registries import metrics

    metric = metrics.create("findings", unsaid="absent")
    assert isinstance(metric, ScoresModelOutputs)
    lines = metric.score_outputs(ModelOutputs(reports, studies, resamples=resamples, seed=seed))
    by_name = {line.name: line for line in lines}
    names = list(dict.fromkeys(name for r in reports for name in r.findings))
    gold = {name: [s.labels.get(name, 0.0) for s in studies] for name in names}
    curves = [
        curve(name, [r.findings[name] for r in reports], gold[name], by_name, min(resamples, RESAMPLES), seed)
        for name in names
    ]
    return FindingCurves(len(studies), tuple(lines), tuple(curves))


def curve(
    name: str,
    scores: Sequence[float],
    gold: Sequence[float],
    lines: Mapping[str, ScoreLine],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Curve:
    """Return the curve of one finding: scores (n,) and gold labels (n,), 1, 0 or -1 (uncertain, left out).

    `lines` are the scores of the metric `findings` by name.
    """
    import numpy as np

    value, true = np.asarray(scores, float), np.asarray(gold, float)
    value, true = value[true >= 0], true[true >= 0]
    positives, negatives = int((true == 1).sum()), int((true == 0).sum())
    if not positives or not negatives:
        return Curve(name, positives, negatives)
    line = lines[f"findings {name} auc"]
    x, y = _rates(value, true, np.ones((1, len(true))))
    band = _band(value, true, resamples, seed)
    points = tuple(zip(x[0].tolist(), y[0].tolist(), strict=True))
    return Curve(name, positives, negatives, line.value, line.low, line.high, points, band)


def _rates(scores: Array, gold: Array, weights: Array) -> tuple[Array, Array]:
    """Return false and true positive rates (R, 1 + distinct scores) for each row of weights (R, n), from (0, 0)."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    s, g, w = scores[order], gold[order], weights[:, order]
    ends = np.flatnonzero(np.append(s[1:] != s[:-1], True))  # equal scores are on one side of every threshold
    hit, false = np.cumsum(w * g, 1)[:, ends], np.cumsum(w * (1 - g), 1)[:, ends]
    rates = [np.pad(part / np.maximum(part[:, -1:], 1e-12), ((0, 0), (1, 0))) for part in (false, hit)]
    return rates[0], rates[1]


def _band(scores: Array, gold: Array, resamples: int, seed: int) -> tuple[tuple[float, float, float], ...]:
    """Return the band that holds 95 % of the resampled curves. Draws without both classes are left out."""
    import numpy as np

    if not resamples:
        return ()
    drawn = np.random.default_rng(seed).multinomial(len(gold), np.full(len(gold), 1 / len(gold)), resamples)
    both = ((drawn * gold).sum(1) > 0) & ((drawn * (1 - gold)).sum(1) > 0)
    if not both.any():
        return ()
    grid = np.linspace(0, 1, GRID)
    rates = zip(*_rates(scores, gold, drawn[both].astype(float)), strict=True)
    heights = np.array([np.interp(grid, x, y) for x, y in rates])
    low, high = np.percentile(heights, (2.5, 97.5), axis=0)
    return tuple(zip(grid.tolist(), low.tolist(), high.tolist(), strict=True))
