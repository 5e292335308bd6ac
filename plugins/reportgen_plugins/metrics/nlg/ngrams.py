"""N-grams of many texts at once, as sorted integer keys: counting 4,000 reports takes a tenth of a second, not ten.

Words are separated by any white space, U+00A0 included, as `str.split()` does it.
"""

from __future__ import annotations

import threading
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


MAX_WORDS, MAX_TEXTS = 1 << 18, 1 << 16  # remembered from call to call; a single call may need more


class WordIds:
    """The numbers of the words of recent texts, and these texts as numbers: references come with every set of reports.

    A number means the same word within one call of `encode`; a later call may number the words anew.
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._encoded: dict[str, Ints] = {}
        self._lock = threading.Lock()

    def encode(self, texts: Sequence[str]) -> tuple[list[Ints], int]:
        """Return the words of each text as numbers, and a number that is larger than all of them, at least 1."""
        with self._lock:
            if len(self._ids) > MAX_WORDS or len(self._encoded) > MAX_TEXTS:
                self._ids, self._encoded = {}, {}
            ids, encoded = self._ids, self._encoded
            for text in texts:
                if text not in encoded:
                    encoded[text] = np.array([ids.setdefault(w, len(ids)) for w in text.split()], np.int64)
            return [encoded[text] for text in texts], max(len(ids), 1)


_WORD_IDS = WordIds()


def count(texts: Sequence[str], orders: int = 4) -> tuple[Ints, list[Counts]]:
    """Return the length of each text in words, and the counts of its 1-grams, 2-grams, … up to `orders`."""
    encoded, vocabulary = _WORD_IDS.encode(texts)
    lengths = np.array([len(e) for e in encoded], np.int64)
    words = np.concatenate([*encoded, np.zeros(0, np.int64)])
    text = np.repeat(np.arange(len(texts)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(words))  # words from here to the end of the text
    gram, size, counts = words, vocabulary, []
    for n in range(1, orders + 1):
        if n > 1:  # an n-gram is the (n-1)-gram here and the word n-1 places on
            pairs = gram[: len(words) - n + 1] * vocabulary + words[n - 1 :]
            distinct, gram = np.unique(pairs, return_inverse=True)
            size = len(distinct)
        whole = left[: len(gram)] >= n  # n-grams that do not run into the next text
        keys, number = np.unique(text[: len(gram)][whole] * max(size, 1) + gram[whole], return_counts=True)
        counts.append(Counts(keys // max(size, 1), keys % max(size, 1), number, size))
    return lengths, counts


def flatten(references: Sequence[Sequence[str]]) -> tuple[list[str], Ints]:
    """Return all references one after another, and the index of the study that each belongs to."""
    owner = np.repeat(np.arange(len(references)), [len(r) for r in references])
    return [r for refs in references for r in refs], owner


def look_up(keys: Ints, values: NDArray[np.float64], wanted: Ints) -> NDArray[np.float64]:
    """Return for each of `wanted` the value of its key among the sorted `keys`; 0 if there is none."""
    if not len(keys):
        return np.zeros(len(wanted))
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0.0)
