"""Recall, precision, average precision and median rank of ranked lists: of tags, of retrieved sentences and reports.

All are means over the queries that have a relevant item. Average precision at k divides by the number of items that k
places can hold, min(k, relevant), so that a perfect list scores 1.
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
    units: Array | None = None,
) -> list[ScoreLine]:
    """Return scores such as `name recall@5`, with intervals over the queries; [] if no query has a relevant item.

    `ranked[i]` and `relevant[i]` belong to query i; `ranked[i]` is best first. The intervals draw all queries of one
    unit, a patient, together.
    """
    import numpy as np

    queries = [(list(r), set(wanted)) for r, wanted in zip(ranked, relevant, strict=True) if wanted]
    units = None if units is None else units[[bool(wanted) for wanted in relevant]]
    if not queries:
        return []
    names = [f"{name} {word}@{k}" for k in ks for word in words]
    rows = np.array([[1.0, *(_WORDS[word](r, wanted, k) for k in ks for word in words)] for r, wanted in queries])

    def means(totals: Array) -> dict[str, Array]:
        return {n: totals[..., i + 1] / totals[..., 0] for i, n in enumerate(names)}

    ends = bootstrap(rows, means, units=units, resamples=resamples, seed=seed) if resamples else {}
    lines = []
    for n, value in means(rows.sum(0)).items():
        low, high = ends.get(n, (None, None))
        lines.append(ScoreLine(n, float(value), low, high, True, name, version))
    return lines


def median_rank_line(
    name: str,
    ranked: Sequence[Sequence[str]],
    relevant: Sequence[Collection[str]],
    *,
    version: str = "1",
    resamples: int = 1000,
    seed: int = 0,
) -> list[ScoreLine]:
    """Return `name median-rank`: the median over queries of the place, from 1, of the first relevant item.

    A relevant item that is not in the list has the place after its end. The median of an even number of places is the
    mean of the middle two. The interval draws queries. Return [] if no query has a relevant item.
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
    hits = total = 0.0
    for place, item in enumerate(ranked[:k], 1):
        if item in wanted:
            hits += 1
            total += hits / place
    return total / min(k, len(wanted))


_WORDS = {"recall": _recall, "precision": _precision, "map": _average_precision}
