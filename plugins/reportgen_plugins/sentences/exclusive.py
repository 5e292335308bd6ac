"""Mutually exclusive terms: "right" and "left" lie near each other as vectors, and must not share a group.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, §3.2 and A.1: which of the words of six sets a sentence has is encoded as a one-hot vector, and DBSCAN
of scikit-learn divides each group by it. The paper leaves open:

- "simple matching rules": a word or a regular inflection of it (-s -d -ed -ing -ly) counts, so "enlarged" and "mildly"
  do and "below" (low) and "enlarged" (large) do not. Negation is not looked at.
- One vector of 13 slots, several of which may be 1; words with a bar between them in the paper share a slot.
- DBSCAN's eps and min_samples: 0.5 and 1. Vectors of zeros and ones that differ are at least 1 apart, so each cluster
  holds the sentences with the same terms, and none is noise. With eps=1 chains of one difference would be joined, which
  puts "right" and "left" back together over "right ... left".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SETS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("right",), ("left",), ("bilateral",)),
    (("small",), ("great", "large")),
    (("low",), ("high",)),
    (("elevate", "enlarge", "increase", "widen"), ("shrink", "decrease")),
    (("improve", "resolve", "clear"), ("worsen",)),
    (("mild",), ("severe",)),
)
SLOTS = tuple(slot for terms in SETS for slot in terms)
NAMES = tuple("|".join(slot) for slot in SLOTS)  # 13: right, left, bilateral, small, great|large, ...


def _forms(word: str) -> str:
    """The word and its regular inflections: enlarge, enlarges, enlarged, enlarging; mild, mildly."""
    stem = word.removesuffix("e")
    return rf"{word}(?:s|d|ed|ly)?|{stem}ing" if stem != word else rf"{word}(?:s|ed|ing|ly)?"


_SLOTS = [re.compile(rf"\b(?:{'|'.join(map(_forms, slot))})\b", re.IGNORECASE) for slot in SLOTS]


def one_hot(sentences: Sequence[str]) -> NDArray[np.float32]:
    """(n, 13): 1 where the sentence has a term of the slot."""
    found = [[slot.search(s) is not None for slot in _SLOTS] for s in sentences]
    return np.array(found, np.float32).reshape(len(sentences), len(SLOTS))


def terms_of(row: NDArray[np.float32]) -> tuple[str, ...]:
    """The names of the slots that are 1."""
    return tuple(name for name, there in zip(NAMES, row, strict=True) if there)


def divide(vectors: NDArray[np.float32], eps: float = 0.5) -> NDArray[np.int64]:
    """(n,): the part each of these one-hot vectors belongs to, numbered by its first sentence."""
    from sklearn.cluster import DBSCAN

    labels: NDArray[np.int64] = DBSCAN(eps=eps, min_samples=1).fit_predict(vectors).astype(np.int64)
    return labels
