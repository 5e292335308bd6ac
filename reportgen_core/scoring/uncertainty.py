"""How sure a score is: bootstrap intervals, and a paired test between two runs.

Efron, Bootstrap methods, 1979; Noreen, Computer-intensive methods for testing hypotheses (approximate randomisation),
1989. A corpus score is not the mean of the studies' scores, so studies are drawn, their sufficient statistics are
added, and the score is computed from the sums: nothing is scored twice. CIDEr's idf is that of the full set throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..types import Array

    Scores = Callable[[Array], Mapping[str, Array]]

CHUNK = 4_000_000  # cells of a matrix of draws held at once


def bootstrap(
    statistics: Array, scores: Scores, *, resamples: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, tuple[float, float]]:
    """Return the percentile interval of each score of `statistics` (n, k). The same seed draws the same studies."""
    import numpy as np

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
    low: float  # of the bootstrap over the studies, the same draws for both
    high: float
    p: float  # two-sided: how often chance alone gives a difference at least as large


def paired_test(
    first: Array, second: Array, scores: Scores, *, rounds: int = 10_000, resamples: int = 1000, seed: int = 0
) -> dict[str, Difference]:
    """Test each score of two evaluations of the same studies, given the statistics (n, k) of both, row by row.

    Each round swaps the two outputs of every study with probability ½. p = (1 + rounds with a difference at least as
    large) / (1 + rounds).
    """
    import numpy as np

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
    between = bootstrap(
        np.concatenate([first, second], 1), _differences(scores, first.shape[1]), resamples=resamples, seed=seed
    )
    return {k: Difference(v, *between[k], (1 + as_far[k]) / (1 + rounds)) for k, v in differences.items()}


def _differences(scores: Scores, width: int) -> Scores:
    """Return a function: the scores of the first `width` statistics minus those of the others."""

    def difference(totals: Array) -> Mapping[str, Array]:
        left, right = scores(totals[..., :width]), scores(totals[..., width:])
        return {name: left[name] - right[name] for name in left}

    return difference
