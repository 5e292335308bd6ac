"""Choose the constant report with the best findings, and return how far reports are from a baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice

from ...metric import HasLabels, HasStatistics
from ..baselines import BaselineData
from ..evaluation_set import METRICS
from ..guard.attempt import attempt
from ..scorer import MetricResult, Scorer
from ..studies.failed import scored_in_both
from ..uncertainty import difference_intervals

CHOOSE_ON = 1000  # validation studies that a constant is chosen on, at most
MAX_SCORES = 4  # of a metric; one with more has differences in its first two

Differences = dict[str, tuple[float, float, float]]


def validation_findings(scorer: Scorer, background: BaselineData) -> Callable[[str], float] | None:
    """Return a function that scores the findings of one text as the report of every validation study, 0..1.

    The metric is the first of the usual ones that reads findings; None if none of them is used. A text with the
    findings of another one is not scored again.
    """
    name = next((n for n in scorer.working if n in METRICS and isinstance(scorer.metrics[n], HasLabels)), "")
    metric = scorer.metrics.get(name)
    if not isinstance(metric, HasLabels) or not isinstance(metric, HasStatistics):
        return None
    texts = list(background.validation.values())[:CHOOSE_ON]
    references, known = [[t] for t in texts], dict[tuple[tuple[str, float], ...], float]()

    def score(text: str) -> float:
        findings = tuple(sorted(metric.labels([text])[0].items()))
        if findings not in known:
            totals = metric.statistics([text] * len(texts), references).sum(0)
            known[findings] = float(next(iter(metric.scores(totals).values())))
        return known[findings]

    return lambda text: attempt(scorer.problems, name, 0.0, score, text)


def differences_of(scorer: Scorer, ours: Mapping[str, MetricResult], theirs: Mapping[str, MetricResult]) -> Differences:
    """Return by score the evaluated reports minus a baseline, with the ends of the 95 % interval; {} without draws.

    A metric has differences if its scores follow from statistics, and in its headlines alone.
    """
    differences: Differences = {}
    nothing: Differences = {}
    for name in scorer.working if scorer.resamples else ():
        if name not in theirs:  # an expensive metric, and a baseline
            continue
        differences |= attempt(scorer.problems, name, nothing, _differences, scorer, name, ours[name], theirs[name])
    return differences


def _differences(scorer: Scorer, name: str, ours: MetricResult, theirs: MetricResult) -> Differences:
    metric = scorer.metrics[name]
    if ours.statistics is None or theirs.statistics is None or not isinstance(metric, HasStatistics):
        return {}
    left, right = scored_in_both(ours.statistics, theirs.statistics, sorted({*ours.failed, *theirs.failed}))
    first, second = metric.scores(left.sum(0)), metric.scores(right.sum(0))
    ends = difference_intervals(
        left, right, metric.scores, units=scorer.units, resamples=scorer.resamples,
        seed=scorer.seed,
    )  # fmt: skip
    shown = list(first) if len(first) <= MAX_SCORES else islice(first, 2)
    return {part: (float(first[part]) - float(second[part]), *ends[part]) for part in shown}
