"""ROUGE-L: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004, in the reading of COCO captioning.

F with β = 1.2 of the longest common subsequence, with the best precision and the best recall taken separately over the
references, and the mean over reports. Words are separated by single spaces, so that a double space makes an empty
word, and two empty texts agree (1.0), as in that scorer. Google's `rouge_score` is another number (β = 1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen_core.metric import Metric
from reportgen_core.types import Score

BETA = 1.2


class RougeL(Metric):
    """The mean ROUGE-L of the reports."""

    takes = "words"
    version = "1"

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        rows = self.statistics(reports, references)
        value = float(self.scores(rows.sum(0))["rouge-l"])
        return Score("rouge-l", value, rows[:, 1].tolist(), {"rouge-l": value}, version=self.version)

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Return (n, 2): 1, and the F of the report."""
        each = [
            _f(report.split(" "), [r.split(" ") for r in refs])
            for report, refs in zip(reports, references, strict=True)
        ]
        return np.array([(1.0, f) for f in each]).reshape(-1, 2)

    def scores(self, totals: NDArray[np.float64]) -> Mapping[str, NDArray[np.float64]]:
        return {"rouge-l": totals[..., 1] / totals[..., 0]}


def _f(report: list[str], references: list[list[str]]) -> float:
    common = [longest_common(report, r) for r in references]
    precision = max(common) / len(report)
    recall = max(c / len(r) for c, r in zip(common, references, strict=True))
    if not precision or not recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the length of the longest common subsequence. Each row of the table is the bits of one integer.

    Hyyrö, "Bit-parallel LCS-length computation revisited", 2004: the zero bits of `row` count the matches.
    """
    places: dict[str, int] = {}
    for i, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << i
    full = row = (1 << len(a)) - 1
    for word in b:
        hit = row & places.get(word, 0)
        row = (row + hit | row - hit) & full
    return len(a) - row.bit_count()
