"""Intervals and paired tests, against plain loops and known answers."""

import math
from collections.abc import Mapping

import numpy as np
import pytest

from reportgen_core.scoring.uncertainty import bootstrap, draws, paired_test


def mean(totals: np.ndarray) -> Mapping[str, np.ndarray]:
    return {"mean": totals[..., 1] / totals[..., 0]}


def ratio(totals: np.ndarray) -> Mapping[str, np.ndarray]:
    """A corpus score: the ratio of sums, which is not the mean of ratios."""
    return {"ratio": totals[..., 0] / totals[..., 1]}


def rows(values: np.ndarray) -> np.ndarray:
    return np.stack([np.ones(len(values)), values], 1)


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = bootstrap(rows(values), mean, resamples=4000, seed=1)["mean"]
    half = 1.96 * values.std(ddof=1) / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_a_corpus_score_is_resampled_from_sums_and_not_from_the_scores_of_studies() -> None:
    rng = np.random.default_rng(3)
    statistics = rng.integers(1, 20, (50, 2)).astype(float)
    interval = bootstrap(statistics, ratio, resamples=500, seed=7)["ratio"]
    again = np.random.default_rng((7, 0))
    drawn = [statistics[picked].sum(0) for picked in again.integers(0, 50, (500, 50))]
    assert interval == pytest.approx(tuple(np.percentile([a / b for a, b in drawn], (2.5, 97.5))))


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    values = rows(np.random.default_rng(0).random(40))
    once = bootstrap(values, mean, resamples=100, seed=5)
    assert bootstrap(values, mean, resamples=100, seed=5) == once
    assert bootstrap(values, mean, resamples=100, seed=6) != once


def test_a_set_too_large_for_one_matrix_is_drawn_in_blocks_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reportgen_core.scoring.uncertainty.CHUNK", 70)
    blocks = list(draws(40, 3, 0))
    assert [b.shape for b in blocks] == [(1, 40)] * 3
    assert all(b.sum() == 40 for b in blocks)
    assert (blocks[0] != blocks[1]).any()
    values = rows(np.random.default_rng(0).random(40))
    low, high = bootstrap(values, mean, resamples=300, seed=5)["mean"]
    assert low < values[:, 1].mean() < high


def test_identical_runs_do_not_differ() -> None:
    values = rows(np.random.default_rng(0).random(30))
    difference = paired_test(values, values, mean, rounds=200)["mean"]
    assert (difference.value, difference.p, difference.low, difference.high) == (0, 1, 0, 0)


def test_p_is_the_share_of_all_swaps_that_are_as_far_apart() -> None:
    a, b = np.array([1.0, 2.0, 3.0, 0.5]), np.array([0.0, 1.0, 1.0, 1.0])
    swaps = [[1 if bits >> i & 1 else -1 for i in range(4)] for bits in range(16)]
    exact = sum(abs(np.mean(np.array(s) * (a - b))) >= abs(np.mean(a - b)) - 1e-12 for s in swaps) / 16
    difference = paired_test(rows(a), rows(b), mean, rounds=20_000)["mean"]
    assert difference.value == pytest.approx(np.mean(a - b))
    assert difference.p == pytest.approx(exact, abs=3 * math.sqrt(exact / 20_000))


def test_a_clear_difference_is_found_and_its_interval_excludes_zero() -> None:
    rng = np.random.default_rng(2)
    base = rng.random(200)
    difference = paired_test(rows(base + 0.1), rows(base + rng.normal(0, 0.05, 200)), mean, rounds=999)["mean"]
    assert difference.p == pytest.approx(1 / 1000)
    assert difference.low > 0


def test_few_pairs_are_said_with_the_best_p() -> None:
    """The best p is counted over all ways to swap the pairs."""
    import itertools

    from reportgen_core.scoring.comparison import FEW, few_pairs

    change = [1.0, 2.0, 0.5, 3.0, 1.5]
    sums = [
        abs(sum(s * c for s, c in zip(signs, change, strict=True))) for signs in itertools.product((1, -1), repeat=5)
    ]
    best = sum(s >= sum(change) - 1e-12 for s in sums) / len(sums)
    assert f"only 5 pairs. The test swaps them in 32 ways, so that p is at best {best:.3f}".replace(" 0.", " .") in (
        few_pairs(5)
    )
    assert "only 1 pair." in few_pairs(1) and few_pairs(FEW) == ""
    assert "at best .001" in few_pairs(25, rounds=999)
