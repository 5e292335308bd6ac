"""`chexpert-rules`: clinical agreement by our own rule labeler. A score is named after the labeler that made it.

The labeler is `labeler.Labeler`, the conventions are those of `agreement`. Scores of other labelers (`chexbert`,
`radgraph`) have other names; none replaces another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from reportgen_core.metric import Metric
from reportgen_core.types import Score

from .agreement import Agreement
from .labeler.labeler import LABELS, Hedge, Labeler, Scheme

Floats = NDArray[np.float64]


class ChexpertRules(Metric):
    """F1 of findings that rules read off reports and references.

    Args:
        convention: which labels are compared, and how uncertain ones count; see the page on evaluation.
        scheme: the labels: chexpert14 or chestxray14.
        weak: what a weak hedge, such as "may be", makes of a finding: positive or uncertain; none: as the labeler has
            it.
        phrases: path of a table of phrases (.toml) that is added to the shipped ones.
    """

    language = "en"
    neutral_suffixes = (" references",)
    name = "chexpert-rules"

    def __init__(
        self, *, convention: str = "rrg", scheme: Scheme = "chexpert14", weak: Hedge | None = None, phrases: str = ""
    ) -> None:
        """`phrases` is the path of a table of phrases that is added to the shipped ones."""
        self.labeler = Labeler(scheme=scheme, weak=weak, phrases=phrases)
        more = [f"weak={weak}"] if weak else []
        more += [f"phrases={table}" for table in self.labeler.added_tables]  # name and digest: other scores
        self.version = " ".join([self.labeler.version, scheme, convention, *more])
        classes = LABELS[scheme] if scheme == "chexpert14" else LABELS[scheme][:14]  # without "No Finding" and "normal"
        self.agreement = Agreement(self.name, classes, convention)
        self._labels: dict[str, dict[str, float]] = {}

    def labels(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Return the labels of each text. A text that was labelled before is not read again."""
        new = [t for t in dict.fromkeys(texts) if t not in self._labels]
        self._labels.update(zip(new, self.labeler.labels(new), strict=True))
        return [self._labels[t] for t in texts]

    def caveat(self, references: Sequence[Sequence[str]]) -> str:
        """Return a warning if references are in another language: they have no labels."""
        foreign = sum(any(map(self.labeler.note, texts)) for texts in references)
        unread = f"{self.name}: {foreign} of {len(references)} references are not in English and have no labels"
        return unread if foreign else ""

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        return score(self.name, self.agreement, self.statistics(reports, references), self.version)

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
        return self.agreement.statistics(self.labels(reports), [self.labels(r) for r in references])

    def scores(self, totals: Floats) -> Mapping[str, Floats]:
        return self.agreement.scores(totals)

    def score_notes(self, totals: Floats) -> Mapping[str, str]:
        return self.agreement.score_notes(totals)


def score(name: str, agreement: Agreement, rows: Floats, version: str) -> Score:
    """Return the headline with all parts; `each` is the F1 of every study."""
    parts = {k: float(v) for k, v in agreement.scores(rows.sum(0)).items()}
    return Score(name, next(iter(parts.values())), rows[:, -1].tolist(), parts, version=version)
