"""CIDEr-D: Vedantam, Zitnick, Parikh, "CIDEr: Consensus-based Image Description Evaluation", arXiv:1411.5726, 2015.

What everybody prints as CIDEr, as the COCO scorer computes it: 1- to 4-grams weighted by tf-idf with document
frequencies from the references of the scored set, counts clipped to the reference's, cosine for each order, a Gaussian
penalty (σ = 6) on the difference of lengths in *bigrams*, mean over orders and references, times ten, no stemming.

A report's score depends on the whole set: with one study, or with references that are all alike, every idf is 0 and
so is the score. Resampling for intervals keeps the idf of the full set and resamples the scores of the studies: the
interval says how the mean varies over studies, with the weights of words taken as known.

`plain=True` gives CIDEr without the D: no clipping, no length penalty (still no stemming).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen_core.metric import Metric
from reportgen_core.types import Score

from .ngrams import Counts, Ints, count, flatten, look_up

ORDERS, SIGMA = 4, 6.0


class Cider(Metric):
    """The mean CIDEr-D of the reports.

    Args:
        plain: whether CIDEr is computed without the penalties of CIDEr-D.
    """

    takes = "words"
    version = "1"
    per_study = False

    def __init__(self, *, plain: bool = False) -> None:
        self.plain = plain
        self.name = "cider-plain" if plain else "cider"

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        rows = self.statistics(reports, references)
        value = float(self.scores(rows.sum(0))[self.name])
        return Score(self.name, value, rows[:, 1].tolist(), {self.name: value}, version=self.version)

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Return (n, 2): 1, and the score of the report."""
        n = len(reports)
        flat, owner = flatten(references)
        lengths, counts = count([*reports, *flat], ORDERS)
        bigrams = np.maximum(lengths - 1, 0)
        penalty = np.exp(-((bigrams[owner] - bigrams[n:]) ** 2) / (2 * SIGMA**2))
        cosine = np.stack([_cosine(c, n, owner, clip=not self.plain) for c in counts])  # (ORDERS, references)
        each = cosine.mean(0) * (1.0 if self.plain else penalty) * 10
        of_report = np.bincount(owner, each, minlength=n) / np.bincount(owner, minlength=n)
        return np.stack([np.ones(n), of_report], 1)

    def caveat(self, references: Sequence[Sequence[str]]) -> str:
        if len(references) == 1:
            return f"{self.name} of one study is 0 by definition: every word occurs in all studies"
        if len({tuple(sorted(set(r))) for r in references}) == 1:
            return f"{self.name} is 0 by definition where all references are alike: every word occurs in all of them"
        return ""

    def scores(self, totals: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        return {self.name: totals[..., 1] / totals[..., 0]}


def _cosine(counts: Counts, n: int, owner: Ints, *, clip: bool) -> NDArray[np.float64]:
    """Return the cosine of each reference with its study's report, for n-grams of one order."""
    size = max(counts.size, 1)
    hyp = counts.text < n
    study = np.where(hyp, counts.text, owner[np.maximum(counts.text - n, 0)])
    in_references = np.unique(study[~hyp] * size + counts.gram[~hyp]) % size  # once a study
    frequency = np.bincount(in_references, minlength=size)
    weight = counts.count * (np.log(n) - np.log(np.maximum(frequency, 1)))[counts.gram]
    norms = np.sqrt(np.bincount(counts.text, weight**2, minlength=n + len(owner)))
    keys = study * size + counts.gram
    theirs = look_up(keys[hyp], weight[hyp], keys[~hyp])
    ours = weight[~hyp]
    common = (np.minimum(theirs, ours) if clip else theirs) * ours
    inner = np.bincount(counts.text[~hyp] - n, common, minlength=len(owner))
    scale = norms[owner] * norms[n:]
    return np.asarray(np.divide(inner, scale, out=np.zeros(len(owner)), where=scale > 0))
