"""Score what can be scored: a metric that fails on single studies keeps the scores of the others.

A study without a score has statistics of zeros, so that it is left out of every sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ...types import Score
from ..guard.attempt import failure_reason

if TYPE_CHECKING:
    from ...types import Array

MAX_TRIES = 128  # parts of a set that are scored to find the studies on which a metric fails
MAX_IDS = 5  # studies that a line names


@dataclass(frozen=True, slots=True)
class MetricResult:
    """The result of one metric for one set of reports: its statistics, or a score if it has none."""

    score: Score | None = None
    statistics: Array | None = None  # (n, k)
    failed: Mapping[int, str] = field(default_factory=dict)  # why a study has no score, by its place
    studies: int = 0  # of the set, with those that have no score

    @property
    def note(self) -> str:
        """Return how many studies have a score; "" if all have one."""
        scored = self.studies - len(self.failed)
        return f"{scored} of {self.studies} studies have a score" if self.failed else ""


@dataclass(frozen=True, slots=True)
class FailedStudy:
    """A study that a metric could not score, though it scored others."""

    system: str  # the row of the table whose report it is
    metric: str
    study: str
    why: str


def measure_apart(measure: Callable[[Sequence[int]], MetricResult], n: int) -> MetricResult:
    """Return `measure` of `n` studies; if it fails, of those that can be scored, with the reasons of the others.

    Raises the error of the whole set if no study can be scored, or if too many parts would have to be tried. It is
    taken for hopeless if the first, the middle and the last study fail alone.
    """
    try:
        return without_missing(measure(range(n)), n)
    except (Exception, SystemExit):
        failed = _failing(measure, n)
        kept = [i for i in range(n) if i not in failed]
        if not failed or not kept:
            raise
    return _placed(without_missing(measure(kept), len(kept)), kept, failed, n)


def _failing(measure: Callable[[Sequence[int]], MetricResult], n: int) -> dict[int, str]:
    """Return the studies of a failing set that fail alone, with the reasons; {} if it is hopeless to look for them."""
    probes = sorted({0, n // 2, n - 1})
    if all(_reason(measure, [i]) for i in probes):
        return {}
    failed: dict[int, str] = {}
    parts: list[tuple[Sequence[int], str]] = [(range(n), "")]
    tries = len(probes)
    while parts:
        part, why = parts.pop()
        if len(part) == 1:
            failed[part[0]] = why
            continue
        half = len(part) // 2
        parts += [(p, reason) for p in (part[half:], part[:half]) if (reason := _reason(measure, p))]
        tries += 2
        if tries > MAX_TRIES:
            return {}
    return failed


def _reason(measure: Callable[[Sequence[int]], MetricResult], places: Sequence[int]) -> str:
    """Return why these studies cannot be scored; "" if they can."""
    try:
        result = measure(places)
    except (Exception, SystemExit) as e:
        return failure_reason(e)
    return next(iter(result.failed.values()), "") if len(result.failed) == len(places) else ""


def without_missing(result: MetricResult, n: int) -> MetricResult:
    """Return a result whose studies without finite numbers count as failed, unless all are so."""
    import numpy as np

    failed = dict(result.failed)
    if result.statistics is not None:
        bad = np.asarray(~np.isfinite(result.statistics).all(axis=1))
        if bad.any() and not bad.all():
            failed |= {int(i): "its statistics of this report are not finite" for i in np.flatnonzero(bad)}
            result = replace(result, statistics=np.where(bad[:, None], 0.0, result.statistics))
    elif result.score is not None:
        missing = {i: f"its score of this report is {v}" for i, v in enumerate(result.score.each) if not _finite(v)}
        failed |= missing if len(missing) < len(result.score.each) else {}
    return replace(result, failed=failed, studies=n)


def _finite(value: Any) -> bool:
    return math.isfinite(float(value))


def _placed(result: MetricResult, kept: Sequence[int], failed: Mapping[int, str], n: int) -> MetricResult:
    """Return the result of the studies `kept` as that of all `n`: the others are zero and NaN."""
    import numpy as np

    failed = {**failed, **{kept[i]: why for i, why in result.failed.items()}}
    failed = dict(sorted(failed.items()))
    if result.statistics is not None:
        rows = np.zeros((n, result.statistics.shape[1]))
        rows[list(kept)] = result.statistics
        return MetricResult(statistics=rows, failed=failed, studies=n)
    assert result.score is not None
    each = np.full(n, math.nan)
    if len(result.score.each):
        each[list(kept)] = result.score.each
    placed = replace(result.score, each=tuple(each.tolist()) if len(result.score.each) else ())
    return MetricResult(placed, failed=failed, studies=n)


def failure_lines(failed: Sequence[FailedStudy]) -> list[tuple[str, str]]:
    """Return a row for each metric, system and reason: which studies have no score, and why."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for f in failed:
        rows.setdefault((f.metric, f.system, f.why), []).append(f.study)
    return [(f"{metric}, {named(studies)} of {system}", why) for (metric, system, why), studies in rows.items()]


def named(studies: Sequence[str]) -> str:
    """Return studies in words: "study s1", "studies s1, s2 and 7 more"."""
    more = f" and {len(studies) - MAX_IDS} more" if len(studies) > MAX_IDS else ""
    return f"{'study' if len(studies) == 1 else 'studies'} {', '.join(studies[:MAX_IDS])}{more}"


def scored_in_both(first: Array, second: Array, without: Sequence[int]) -> tuple[Array, Array]:
    """Return the statistics (n, k) of two sets with zeros for the studies that have no score in one of them."""
    import numpy as np

    left, right = np.array(first), np.array(second)
    left[list(without)] = right[list(without)] = 0
    return left, right
