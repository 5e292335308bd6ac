"""`normality`: which share of the sentences describes something normal, in reports and in references.

Jing et al., On the Automatic Generation of Medical Imaging Reports, 2018, §4.5.1: a sentence is normal where it has
"no", "normal", "clear" or "stable". Read as whole words in lower case, so that "abnormal", "nodule" and "unstable" do
not count; sentences of all reports are pooled. With `classifier` a trained classifier of sentences decides instead, as
in Ni et al., 2020, arXiv:2010.02467, §3.2: a folder that `rg data abnormal --train` wrote.

The score is the difference from the references' share: a model that says only what is normal is as far off as one that
never does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reportgen_core.metric import Metric
from reportgen_core.sentences.classifiers import load_classifier, saved_digest
from reportgen_core.sentences.label_table import CachedLabels
from reportgen_core.text.recipes import split_sentences
from reportgen_core.types import Score

from ..sentences.words import WordRule

Floats = NDArray[np.float64]


class Normality(Metric):
    """The distance between the shares of normal sentences in reports and in references.

    Args:
        classifier: the folder of a trained classifier of sentences; empty: the rule of words.
    """

    higher_is_better = False
    language = "en"
    neutral_suffixes = ("share", "share in references")

    def __init__(self, *, classifier: str = "") -> None:
        self.version = f"classifier {saved_digest(Path(classifier))[:12]}" if classifier else "1 words"
        self._folder = Path(classifier) if classifier else None
        self._labels: CachedLabels | None = None

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        parts = {k: float(v) for k, v in self.scores(self.statistics(reports, references).sum(0)).items()}
        return Score("normality", parts["normality difference"], (), parts, False, self.version)

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        """Return (n, 4): normal and all sentences of the report, and of its references."""
        theirs = [" ".join(r) for r in references]
        return np.concatenate([self._count(reports), self._count(theirs)], 1)

    def _count(self, texts: Sequence[str]) -> Floats:
        cut = [split_sentences(t) for t in texts]
        abnormal = iter(self._abnormal([s for sentences in cut for s in sentences]))
        return np.array([(sum(not next(abnormal) for _ in s), len(s)) for s in cut], float).reshape(-1, 2)

    def _abnormal(self, sentences: Sequence[str]) -> list[bool]:
        """Return whether each sentence is abnormal. A sentence that was read before is not read again."""
        if self._labels is None:
            self._labels = CachedLabels(load_classifier(self._folder) if self._folder else WordRule())
        return self._labels(sentences)

    def scores(self, totals: Floats) -> Mapping[str, Floats]:
        ours = totals[..., 0] / np.maximum(totals[..., 1], 1)
        theirs = totals[..., 2] / np.maximum(totals[..., 3], 1)
        return {
            "normality difference": np.abs(ours - theirs),
            "normality share": ours,
            "normality share in references": theirs,
        }
