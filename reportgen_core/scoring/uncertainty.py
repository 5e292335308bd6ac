"""How sure a score is: bootstrap intervals, and a paired test between two runs.

Efron, Bootstrap methods, 1979; Noreen, Computer-intensive methods for testing hypotheses (approximate randomisation),
1989. A corpus score is not the mean of the studies' scores, so studies are drawn, their sufficient statistics are
added, and the score is computed from the sums: nothing is scored twice. CIDEr's idf is that of the full set throughout.

Studies of one patient are alike, so patients are drawn where they are known, each with all of its studies: `units` has
the number of the patient for each row of the statistics, see `unit_numbers`. Field and Welsh, Bootstrapping clustered
data, JRSS B, 2007.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..types import Array

    Scores = Callable[[Array], Mapping[str, Array]]

CHUNK = 4_000_000  # cells of a matrix of draws held at once
VERSION = "2"  # of intervals and tests; it changes whenever the same scores would get others. 2: patients are drawn


def unit_numbers(patients: Sequence[str]) -> Array:
    """Return for each study the number of its patient, (n,) from 0, in the order of the first studies.

    A study without a patient, "", is a patient of its own.
    """
    import numpy as np

    numbers: dict[tuple[str, int], int] = {}
    keys = [(patient, -1) if patient else ("", i) for i, patient in enumerate(patients)]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def sum_by_unit(statistics: Array, units: Array | None) -> Array:
    """Return the sums (u, k) of the rows (n, k) of each unit that has a row; the rows themselves without `units`."""
    import numpy as np

    if units is None:
        return statistics
    distinct, numbers = np.unique(units, return_inverse=True)
    if len(distinct) == len(statistics):
        return statistics
    sums = np.zeros((int(numbers.max(initial=-1)) + 1, statistics.shape[1]))
    np.add.at(sums, numbers, statistics)
    return sums


def bootstrap(
    statistics: Array,
    scores: Scores,
    *,
    units: Array | None = None,
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """Return the percentile interval of each score of `statistics` (n, k). The same seed draws the same units.

    Rows of one unit are drawn together; without `units` each row is drawn alone.
    """
    import numpy as np

    statistics = sum_by_unit(statistics, units)
    drawn_scores = scores(np.concatenate([drawn @ statistics for drawn in draws(len(statistics), resamples, seed)]))
    ends = (50 * (1 - level), 50 * (1 + level))
    return {name: _ends(values, ends) for name, values in drawn_scores.items()}


def draws(n: int, resamples: int, seed: int) -> Iterator[Array]:
    """Yield blocks of draws, (draws, n) float: how often each of `n` studies is drawn; `resamples` draws in all."""
    step = max(1, CHUNK // max(n, 1))
    if step >= resamples:
        yield _draw(n, resamples, seed, 0)
        return
    for block, done in enumerate(range(0, resamples, step)):
        yield _draw.__wrapped__(n, min(step, resamples - done), seed, block)


@lru_cache(maxsize=2)
def _draw(n: int, rows: int, seed: int, block: int) -> Array:
    """Return one block of draws. It is cached, because every metric of an evaluation needs the same draws."""
    import numpy as np

    picked = np.random.default_rng((seed, block)).integers(0, n, (rows, n))
    return (
        np.bincount((picked + np.arange(rows)[:, None] * n).ravel(), minlength=rows * n).reshape(rows, n).astype(float)
    )


def _ends(values: Array, ends: tuple[float, float]) -> tuple[float, float]:
    import numpy as np

    low, high = np.nanpercentile(values, ends)
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Difference:
    """The difference of two evaluations in one score."""

    value: float  # first minus second
    low: float  # of the bootstrap over patients or studies, the same draws for both
    high: float
    p: float  # two-sided: how often chance alone gives a difference at least as large


def paired_test(
    first: Array,
    second: Array,
    scores: Scores,
    *,
    units: Array | None = None,
    rounds: int = 10_000,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Test each score of two evaluations of the same studies, given the statistics (n, k) of both, row by row.

    Each round swaps the two outputs of every unit with probability ½: of every study, or with `units` all studies of a
    patient together. p = (1 + rounds with a difference at least as
    large) / (1 + rounds).
    """
    import numpy as np

    first, second = sum_by_unit(first, units), sum_by_unit(second, units)
    rng = np.random.default_rng(seed)
    n = len(first)
    a, b = first.sum(0), second.sum(0)
    differences = {k: float(v - w) for (k, v), w in zip(scores(a).items(), scores(b).values(), strict=True)}
    change = second - first
    as_far = dict.fromkeys(differences, 0)
    step = max(1, CHUNK // max(n, 1))
    for done in range(0, rounds, step):
        swapped = rng.integers(0, 2, (min(step, rounds - done), n)).astype(float) @ change  # (rounds, k)
        left, right = scores(a + swapped), scores(b - swapped)
        for name, value in differences.items():
            as_far[name] += int((np.abs(left[name] - right[name]) >= abs(value) - 1e-12).sum())
    between = difference_intervals(first, second, scores, resamples=resamples, seed=seed)
    return {k: Difference(v, *between[k], (1 + as_far[k]) / (1 + rounds)) for k, v in differences.items()}


def difference_intervals(
    first: Array, second: Array, scores: Scores, *, units: Array | None = None, resamples: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Return the interval of each score of `first` minus that of `second`, the same draws for both."""
    import numpy as np

    both = np.concatenate([first, second], 1)
    return bootstrap(both, _differences(scores, first.shape[1]), units=units, resamples=resamples, seed=seed)


def _differences(scores: Scores, width: int) -> Scores:
    """Return a function: the scores of the first `width` statistics minus those of the others."""

    def difference(totals: Array) -> Mapping[str, Array]:
        left, right = scores(totals[..., :width]), scores(totals[..., width:])
        return {name: left[name] - right[name] for name in left}

    return difference
