"""BLEU-1..4: Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", ACL 2002.

The corpus score of COCO captioning: clipped matches are pooled over the corpus, the precisions of orders 1..n are
multiplied and rooted, the reference length is the closest one (the shorter of two equally close), and there is no
smoothing. To give its numbers to the last digit, two small constants of the COCO scorer are used: each precision is
(matches + 1e-15) / (n-grams + 1e-9), and so is the ratio of lengths. Written from the paper and these facts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen_core.metric import Metric
from reportgen_core.types import Score

from .ngrams import Counts, Ints, count, flatten, look_up

ORDERS = 4
TINY, SMALL = 1e-15, 1e-9


class Bleu(Metric):
    """BLEU-1..4 of the corpus; the value is BLEU-4, and `each` the BLEU-4 of single reports."""

    takes = "words"
    version = "1"

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        rows = self.statistics(reports, references)
        parts = {name: float(v) for name, v in self.scores(rows.sum(0)).items()}
        each = self.scores(rows)["bleu-4"]
        return Score("bleu", parts["bleu-4"], each.tolist(), dict(sorted(parts.items())), version=self.version)

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Return (n, 10): words of the report and of the closest reference, matches and n-grams of orders 1-4."""
        flat, owner = flatten(references)
        lengths, counts = count([*reports, *flat], ORDERS)
        n = len(reports)
        rows = np.zeros((n, 2 + 2 * ORDERS))
        rows[:, 0] = lengths[:n]
        rows[:, 1] = _closest(lengths[:n], lengths[n:], owner)
        for k, of_order in enumerate(counts):
            rows[:, 2 + k] = _matches(of_order, n, owner)
            rows[:, 2 + ORDERS + k] = np.maximum(lengths[:n] - k, 0)
        return rows

    def scores(self, totals: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        matches, grams = totals[..., 2 : 2 + ORDERS], totals[..., 2 + ORDERS :]
        logs = np.cumsum(np.log((matches + TINY) / (grams + SMALL)), -1) / np.arange(1, ORDERS + 1)
        ratio = (totals[..., 0] + TINY) / (totals[..., 1] + SMALL)
        brevity = np.where(ratio < 1, 1 - 1 / ratio, 0.0)
        bleu = np.exp(logs + brevity[..., None])  # (..., ORDERS)
        return {f"bleu-{k + 1}": bleu[..., k] for k in reversed(range(ORDERS))}


def _closest(hypothesis: Ints, reference: Ints, owner: Ints) -> Ints:
    """Return the reference length nearest to the report's, the shorter of two equally near."""
    order = np.lexsort((reference, np.abs(reference - hypothesis[owner]), owner))
    _, first = np.unique(owner[order], return_index=True)
    return reference[order][first]


def _matches(counts: Counts, n: int, owner: Ints) -> NDArray[np.float64]:
    """Return the number of n-grams of each report that a reference has, clipped to its largest count there."""
    size = max(counts.size, 1)
    hyp = counts.text < n
    keys = owner[counts.text[~hyp] - n] * size + counts.gram[~hyp]  # of the study, not of the single reference
    order = np.lexsort((-counts.count[~hyp], keys))
    distinct, first = np.unique(keys[order], return_index=True)
    most = counts.count[~hyp][order][first].astype(float)
    study = counts.text[hyp]
    matched = np.minimum(counts.count[hyp], look_up(distinct, most, study * size + counts.gram[hyp]))
    return np.bincount(study, matched, minlength=n).astype(float)
