"""N-grams of many texts at once, as sorted integer keys: counting 4,000 reports takes a tenth of a second, not ten.

Words are separated by any white space, U+00A0 included, as `str.split()` does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each n-gram of one order occurs in each text; sorted by text, then n-gram."""

    text: Ints  # (rows,) which text
    gram: Ints  # (rows,) which n-gram, 0 <= gram < size
    count: Ints  # (rows,)
    size: int  # distinct n-grams of this order in all texts


def count(texts: Sequence[str], orders: int = 4) -> tuple[Ints, list[Counts]]:
    """The length of each text in words, and the counts of its 1-grams, 2-grams, … up to `orders`."""
    split = [t.split() for t in texts]
    lengths = np.array([len(w) for w in split], np.int64)
    ids: dict[str, int] = {}
    words = np.array([ids.setdefault(w, len(ids)) for s in split for w in s], np.int64)
    text = np.repeat(np.arange(len(split)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(words))  # words from here to the end of the text
    gram, size, counts = words, len(ids), []
    for n in range(1, orders + 1):
        if n > 1:  # an n-gram is the (n-1)-gram here and the word n-1 places on
            pairs = gram[: len(words) - n + 1] * len(ids) + words[n - 1 :]
            distinct, gram = np.unique(pairs, return_inverse=True)
            size = len(distinct)
        whole = left[: len(gram)] >= n  # those that do not run into the next text
        keys, number = np.unique(text[: len(gram)][whole] * max(size, 1) + gram[whole], return_counts=True)
        counts.append(Counts(keys // max(size, 1), keys % max(size, 1), number, size))
    return lengths, counts


def flatten(references: Sequence[Sequence[str]]) -> tuple[list[str], Ints]:
    """All references in a row, and which study each belongs to."""
    owner = np.repeat(np.arange(len(references)), [len(r) for r in references])
    return [r for refs in references for r in refs], owner


def look_up(keys: Ints, values: NDArray[np.float64], wanted: Ints) -> NDArray[np.float64]:
    """`values` at `wanted` among the sorted `keys`; 0 where absent."""
    if not len(keys):
        return np.zeros(len(wanted))
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0.0)
