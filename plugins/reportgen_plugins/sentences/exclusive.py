"""Divide groups by mutually exclusive terms: "right" and "left" have similar vectors, but must not share a group.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, §3.2 and A.1: the words of six sets that a sentence has are encoded as a one-hot vector, and DBSCAN of
scikit-learn divides each group by it. The paper leaves open:

- "simple matching rules": a word or a regular inflection of it (-s -d -ed -ing -ly) counts, so "enlarged" and "mildly"
  do, and "below" (low) and "enlarged" (large) do not. Negation is ignored.
- One vector has 13 slots, and several of them may be 1; words with a bar between them in the paper share a slot.
- DBSCAN's eps and min_samples: 0.5 and 1. Vectors of zeros and ones that differ are at least 1 apart, so each cluster
  holds the sentences with the same terms, and none is noise. With eps=1 a chain of single differences would be joined,
  which puts "right" and "left" into one group through "right ... left".
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
    """Return a pattern of a word and its regular inflections: enlarge, enlarges, enlarged, enlarging; mild, mildly."""
    stem = word.removesuffix("e")
    return rf"{word}(?:s|d|ed|ly)?|{stem}ing" if stem != word else rf"{word}(?:s|ed|ing|ly)?"


_SLOTS = [re.compile(rf"\b(?:{'|'.join(map(_forms, slot))})\b", re.IGNORECASE) for slot in SLOTS]


def one_hot(sentences: Sequence[str]) -> NDArray[np.float32]:
    """Return (n, 13): 1 if the sentence has a term of the slot, else 0."""
    rows = [[slot.search(s) is not None for slot in _SLOTS] for s in sentences]
    return np.array(rows, np.float32).reshape(len(sentences), len(SLOTS))


def terms_of(row: NDArray[np.float32]) -> tuple[str, ...]:
    """Return the names of the slots that are 1 in a row (13,)."""
    return tuple(name for name, value in zip(NAMES, row, strict=True) if value)


def divide(vectors: NDArray[np.float32], eps: float = 0.5) -> NDArray[np.int64]:
    """Return the part (n,) of each one-hot vector (n, 13). Parts are numbered in the order of their first vectors."""
    from sklearn.cluster import DBSCAN

    labels: NDArray[np.int64] = DBSCAN(eps=eps, min_samples=1).fit_predict(vectors).astype(np.int64)
    return labels
