"""Combine the beams of several sentences into the best reports."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence

from reportgen_core import Candidate
from reportgen_core.text.spec import EOS


def combine(
    beams: Sequence[Sequence[tuple[float, int, list[int]]]], n_best: int, length_penalty: float = 1.0
) -> list[Candidate]:
    """Return the `n_best` reports, best first, that are made of one beam of each sentence.

    A beam is (summed log-probability, length, words). A report's score is the sum divided by the number of words to the
    power of `length_penalty`, by default the mean. So among reports of equal length the sums decide: after each
    sentence the `n_best` beginnings of each length are kept.
    """
    beginnings: dict[int, list[tuple[float, tuple[int, ...]]]] = {0: [(0.0, ())]}  # by length: (-sum, beams)
    for sentence in beams:
        longer: dict[int, list[tuple[float, tuple[int, ...]]]] = defaultdict(list)
        for length, rows in beginnings.items():
            for k, (score, words, _) in enumerate(sentence):
                longer[length + words] += [(cost - score, (*chosen, k)) for cost, chosen in rows]
        beginnings = {length: heapq.nsmallest(n_best, rows) for length, rows in longer.items()}
    reports = [(cost / max(n, 1) ** length_penalty, chosen) for n, rows in beginnings.items() for cost, chosen in rows]
    return [
        Candidate(tuple(_text(beams[s][k][2][: beams[s][k][1]]) for s, k in enumerate(chosen)), 0.0 - cost)
        for cost, chosen in heapq.nsmallest(n_best, reports)
    ]


def _text(ids: list[int]) -> tuple[int, ...]:
    """Return the words of a sentence without the end mark."""
    return tuple(ids[:-1] if ids[-1:] == [EOS] else ids)
