"""Recall, precision, average precision and median rank of ranked lists: of tags, of retrieved sentences and reports.

All are means over the queries that have something to find. Average precision at k divides by what could be found in k
places, min(k, relevant), so that a perfect list scores 1.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ..types import ScoreLine
from .uncertainty import bootstrap

if TYPE_CHECKING:
    from ..types import Array


def ranking_lines(
    name: str,
    ranked: Sequence[Sequence[str]],
    relevant: Sequence[Collection[str]],
    ks: Sequence[int],
    *,
    words: Sequence[str] = ("recall", "precision", "map"),
    version: str = "1",
    resamples: int = 1000,
    seed: int = 0,
) -> list[ScoreLine]:
    """`name recall@5` and the like, with intervals over the queries. `ranked[i]` is best first."""
    import numpy as np

    asked = [(list(r), set(wanted)) for r, wanted in zip(ranked, relevant, strict=True) if wanted]
    if not asked:
        return []
    names = [f"{name} {word}@{k}" for k in ks for word in words]
    rows = np.array([[1.0, *(_WORDS[word](r, wanted, k) for k in ks for word in words)] for r, wanted in asked])

    def means(totals: Array) -> dict[str, Array]:
        return {n: totals[..., i + 1] / totals[..., 0] for i, n in enumerate(names)}

    ends = bootstrap(rows, means, resamples=resamples, seed=seed) if resamples else {}
    found = []
    for n, value in means(rows.sum(0)).items():
        low, high = ends.get(n, (None, None))
        found.append(ScoreLine(n, float(value), low, high, True, name, version))
    return found


def median_rank_line(
    name: str,
    ranked: Sequence[Sequence[str]],
    relevant: Sequence[Collection[str]],
    *,
    version: str = "1",
    resamples: int = 1000,
    seed: int = 0,
) -> list[ScoreLine]:
    """`name median-rank`: the median place, from 1, of the first relevant item, over the queries that have one to find.

    Where none of them is in the list its place is one after the end. The median of an even number is the mean of the
    middle two. The interval draws queries.
    """
    import numpy as np

    pairs = [(list(r), set(wanted)) for r, wanted in zip(ranked, relevant, strict=True) if wanted]
    if not pairs:
        return []
    places = np.array([next((n for n, item in enumerate(r, 1) if item in w), len(r) + 1) for r, w in pairs], float)
    low = high = None
    if resamples:
        drawn = np.random.default_rng(seed).integers(0, len(places), (resamples, len(places)))
        low, high = map(float, np.percentile(np.median(places[drawn], axis=1), (2.5, 97.5)))
    return [ScoreLine(f"{name} median-rank", float(np.median(places)), low, high, False, name, version)]


def _recall(ranked: list[str], wanted: set[str], k: int) -> float:
    return len(wanted & set(ranked[:k])) / len(wanted)


def _precision(ranked: list[str], wanted: set[str], k: int) -> float:
    return len(wanted & set(ranked[:k])) / k


def _average_precision(ranked: list[str], wanted: set[str], k: int) -> float:
    found = total = 0.0
    for place, item in enumerate(ranked[:k], 1):
        if item in wanted:
            found += 1
            total += found / place
    return total / min(k, len(wanted))


_WORDS = {"recall": _recall, "precision": _precision, "map": _average_precision}
