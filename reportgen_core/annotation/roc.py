"""ROC curves of predicted findings, each with the band that resampling the studies gives it.

The band holds 95 % of the resampled curves at each false positive rate (percentiles; Efron, Bootstrap methods, 1979).
Patients are drawn where they are known, each with all of its studies. Areas and their intervals are those of the metric
`findings` where it has the class; else the area of the curve itself (a tie counts half), and of the resampled curves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..scoring.abilities.metrics import ModelOutputs, ScoresModelOutputs
from ..scoring.uncertainty import unit_numbers
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
    units = unit_numbers([s.patient for s in studies])
    curves = [
        curve(
            name, [r.findings[name] for r in reports], gold[name], by_name, min(resamples, RESAMPLES), seed, units=units
        )
        for name in names
    ]
    return FindingCurves(len(studies), tuple(lines), tuple(curves))


def curve(
    name: str,
    scores: Sequence[float | None],
    gold: Sequence[float | None],
    lines: Mapping[str, ScoreLine] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    *,
    units: Sequence[int] | Array | None = None,
) -> Curve:
    """Return the curve of one finding: scores (n,) and gold labels (n,), 1, 0 or -1 (uncertain, left out).

    A study whose score or label is None is left out. `lines` are the scores of the metric `findings` by name, `units`
    (n,) the number of each study's patient; without them studies are drawn.
    """
    import numpy as np

    value, true = np.array(scores, float), np.array(gold, float)
    known = (true >= 0) & ~np.isnan(value)
    numbers = np.arange(len(true)) if units is None or not len(units) else np.asarray(units)
    value, true = value[known], true[known]
    positives, negatives = int((true == 1).sum()), int((true == 0).sum())
    if not positives or not negatives:
        return Curve(name, positives, negatives)
    x, y = _rates(value, true, np.ones((1, len(true))))
    weights = _draws(numbers, resamples, seed)[:, known]
    drawn = _rates(value, true, weights[((weights * true).sum(1) > 0) & ((weights * (1 - true)).sum(1) > 0)])
    line = (lines or {}).get(f"findings {name} auc")
    if line is not None:
        area, low, high = line.value, line.low, line.high
    else:
        area, (low, high) = float(_areas(x, y)[0]), _ends(_areas(*drawn))
    points = tuple(zip(x[0].tolist(), y[0].tolist(), strict=True))
    return Curve(name, positives, negatives, area, low, high, points, _band(*drawn))


def _draws(units: Array, resamples: int, seed: int) -> Array:
    """Return how often each study is drawn (resamples, n), where a unit is drawn with all of its studies."""
    import numpy as np

    n = int(units.max()) + 1
    drawn: Array = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), resamples)
    return drawn[:, units].astype(float)


def _areas(x: Array, y: Array) -> Array:
    """Return the area under each curve (R, k) by trapezoids."""
    import numpy as np

    areas: Array = (np.diff(x, axis=1) * (y[:, 1:] + y[:, :-1]) / 2).sum(1)
    return areas


def _ends(areas: Array) -> tuple[float | None, float | None]:
    """Return the middle 95 % of resampled areas; (None, None) without any."""
    import numpy as np

    if not len(areas):
        return None, None
    low, high = np.percentile(areas, (2.5, 97.5))
    return float(low), float(high)


def _rates(scores: Array, gold: Array, weights: Array) -> tuple[Array, Array]:
    """Return false and true positive rates (R, 1 + distinct scores) for each row of weights (R, n), from (0, 0)."""
    import numpy as np

    order = np.argsort(-scores, kind="stable")
    s, g, w = scores[order], gold[order], weights[:, order]
    ends = np.flatnonzero(np.append(s[1:] != s[:-1], True))  # equal scores are on one side of every threshold
    hit, false = np.cumsum(w * g, 1)[:, ends], np.cumsum(w * (1 - g), 1)[:, ends]
    rates = [np.pad(part / np.maximum(part[:, -1:], 1e-12), ((0, 0), (1, 0))) for part in (false, hit)]
    return rates[0], rates[1]


def _band(x: Array, y: Array) -> tuple[tuple[float, float, float], ...]:
    """Return the band that holds 95 % of the resampled curves (R, k); () without any."""
    import numpy as np

    if not len(x):
        return ()
    grid = np.linspace(0, 1, GRID)
    heights = np.array([np.interp(grid, own_x, own_y) for own_x, own_y in zip(x, y, strict=True)])
    low, high = np.percentile(heights, (2.5, 97.5), axis=0)
    return tuple(zip(grid.tolist(), low.tolist(), high.tolist(), strict=True))
