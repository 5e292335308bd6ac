"""`tags`: recall@5, 10 and 20 of predicted tags, and F1 of those above a half.

Jing et al., On the Automatic Generation of Medical Imaging Reports, 2018, §4.6. The paper leaves open whether recall is
per study, pooled or per tag: it is the mean over studies that have tags. The commonest tags of the training studies
stand beside, as what needs no image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reportgen_core import Report, Study
from reportgen_core.metric import Metric
from reportgen_core.scoring.ranking_metrics import ranking_lines
from reportgen_core.types import Line, Score

from .model_only import needs_a_model


class Tags(Metric):
    """Recall at k of ranked tags. A k that the model ranks too few tags for is left out."""

    def __init__(self, *, ks: Sequence[int] = (5, 10, 20), threshold: float = 0.5) -> None:
        self.ks, self.threshold = tuple(ks), threshold
        self.version = f"1 threshold={threshold}"

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        needs_a_model("tags", "predicted tags")

    def judge(
        self,
        reports: Sequence[Report],
        studies: Sequence[Study],
        *,
        training: Sequence[Study] = (),
        grid: tuple[int, int, int] | None = None,
        resamples: int = 1000,
        seed: int = 0,
    ) -> list[Line]:
        gold = [set(s.tags) for s in studies]
        if not any(gold) or not any(r.tags for r in reports):
            return []
        ranked = [list(r.tags) for r in reports]  # likeliest first
        most = max(map(len, ranked))
        ks = [k for k in self.ks if k <= most] or [most]
        lines = ranking_lines(
            "tags", ranked, gold, ks, words=("recall",), version=self.version, resamples=resamples, seed=seed
        )
        common = [t for t, _ in Counter(t for s in training for t in s.tags).most_common(max(self.ks))]
        if common:
            same = ranking_lines("tags commonest", [common] * len(gold), gold, ks, words=("recall",), resamples=0)
            lines += [Line(x.name, x.value, metric="tags", version=self.version) for x in same]
        return [*lines, self._f1(reports, gold)]

    def _f1(self, reports: Sequence[Report], gold: Sequence[set[str]]) -> Line:
        """Micro F1 of the tags above the threshold."""
        chosen = [{t for t, p in r.tags.items() if p >= self.threshold} for r in reports]
        hit = sum(len(c & g) for c, g in zip(chosen, gold, strict=True))
        all_of = sum(map(len, chosen)) + sum(map(len, gold))
        return Line("tags micro f1", 2 * hit / all_of if all_of else 0.0, metric="tags", version=self.version)
