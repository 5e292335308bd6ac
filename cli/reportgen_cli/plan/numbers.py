"""Describe many numbers by a few: percentiles, and counts in bins of one width."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BINS = 24  # of a histogram, at most
WIDTHS = (1, 2, 5)  # of a bin, times a power of ten


@dataclass(frozen=True, slots=True)
class Spread:
    """Least, greatest, mean and percentiles of whole numbers, and their histogram."""

    least: int
    median: int
    p95: int
    p99: int
    greatest: int
    mean: float
    width: int  # of a bin
    bins: tuple[int, ...]  # counts of the bins 0..width-1, width..2*width-1, …


def spread_of(numbers: Sequence[int]) -> Spread:
    """Return the spread of numbers of at least 0. A percentile is the least number that so many do not exceed."""
    ranked = sorted(numbers)

    def percentile(share: int) -> int:
        return ranked[max(0, -(-share * len(ranked) // 100) - 1)]

    width = _bin_width(ranked[-1])
    counts = Counter(number // width for number in ranked)
    bins = tuple(counts[i] for i in range(ranked[-1] // width + 1))
    mean = round(sum(ranked) / len(ranked), 3)
    return Spread(ranked[0], percentile(50), percentile(95), percentile(99), ranked[-1], mean, width, bins)


def _bin_width(greatest: int) -> int:
    """Return the least of 1, 2, 5, 10, 20 … that makes at most `BINS` bins."""
    power = 1
    while True:
        for width in WIDTHS:
            if greatest // (width * power) < BINS:
                return width * power
        power *= 10


def counted(values: Iterable[str]) -> dict[str, int]:
    """Return how often each value occurs, the commonest first and equals by the alphabet."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def share(part: int, whole: int) -> float:
    """Return a share, 0..1; 0 of nothing."""
    return part / whole if whole else 0.0


def percent(part: int, whole: int) -> str:
    """Return a share in words, as "12 %" or "0.4 %"."""
    value = 100 * share(part, whole)
    return f"{value:.1f} %" if 0 < value < 10 else f"{value:.0f} %"
