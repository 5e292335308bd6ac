"""`normality`: which share of the sentences describes something normal, in reports and in references.

Jing et al., On the Automatic Generation of Medical Imaging Reports, 2018, §4.5.1: a sentence is normal where it has
"no", "normal", "clear" or "stable". Read as whole words in lower case, so that "abnormal", "nodule" and "unstable" do
not count; sentences of all reports are pooled. The score is the difference from the references' share: a model that
says only what is normal is as far off as one that never does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen_core.metric import Metric
from reportgen_core.recipes import split_sentences
from reportgen_core.types import Score

Floats = NDArray[np.float64]
_NORMAL = re.compile(r"\b(?:no|normal|clear|stable)\b", re.IGNORECASE)


def by_words(sentences: Sequence[str]) -> list[bool]:
    """Whether each sentence is normal by the paper's rule."""
    return [bool(_NORMAL.search(s)) for s in sentences]


class Normality(Metric):
    """How far the share of normal sentences is from the references'."""

    higher_is_better = False
    language = "en"
    neutral = ("share", "share in references")
    version = "1 words"

    def __init__(self) -> None:
        self._normal: Callable[[Sequence[str]], list[bool]] = by_words

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        parts = {k: float(v) for k, v in self.scores(self.statistics(reports, references).sum(0)).items()}
        return Score("normality", parts["normality difference"], (), parts, False, self.version)

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        """(n, 4): normal and all sentences of the report, and of its references."""
        theirs = [" ".join(r) for r in references]
        return np.concatenate([self._count(reports), self._count(theirs)], 1)

    def _count(self, texts: Sequence[str]) -> Floats:
        cut = [split_sentences(t) for t in texts]
        flags = iter(self._normal([s for sentences in cut for s in sentences]))
        return np.array([(sum(next(flags) for _ in s), len(s)) for s in cut], float).reshape(-1, 2)

    def scores(self, totals: Floats) -> Mapping[str, Floats]:
        ours = totals[..., 0] / np.maximum(totals[..., 1], 1)
        theirs = totals[..., 2] / np.maximum(totals[..., 3], 1)
        return {
            "normality difference": np.abs(ours - theirs),
            "normality share": ours,
            "normality share in references": theirs,
        }
