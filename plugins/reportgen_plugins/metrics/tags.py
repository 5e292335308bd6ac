"""`tags`: recall@5, 10 and 20 of predicted tags, and F1 of the tags with a probability of at least a half.

Jing et al., On the Automatic Generation of Medical Imaging Reports, 2018, §4.6. The paper leaves open whether recall is
per study, pooled or per tag: it is the mean over studies that have tags. The commonest tags of the training studies
are scored too, as a baseline that needs no image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from reportgen_core import Report, Study
from reportgen_core.metric import Metric
from reportgen_core.scoring.abilities.metrics import LabelledP, ModelOutputs
from reportgen_core.scoring.ranking_metrics import ranking_lines
from reportgen_core.scoring.uncertainty import unit_numbers
from reportgen_core.types import Score, ScoreLine

from .model_only import refuse_texts


class Tags(Metric):
    """Recall at k of ranked tags. A k larger than the number of tags that the model ranks is left out.

    Args:
        ks: numbers of the likeliest tags whose recall is computed.
        threshold: probability (0..1) from which a tag counts as predicted.
    """

    def __init__(self, *, ks: Sequence[int] = (5, 10, 20), threshold: float = 0.5) -> None:
        self.ks, self.threshold = tuple(ks), threshold
        self.version = f"2 threshold={threshold}"  # 2: F1 counts every tag, not only the 20 likeliest

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        refuse_texts("tags", "predicted tags")

    def score_outputs(self, outputs: ModelOutputs) -> list[ScoreLine]:
        """Return recall@k of the predicted and of the commonest training tags, and the predicted tags' F1."""
        gold = [set(s.tags) for s in outputs.studies]
        if not any(gold) or not any(r.tags for r in outputs.reports):
            return []
        ranked = [list(r.tags) for r in outputs.reports]  # likeliest first
        most = max(map(len, ranked))
        ks = [k for k in self.ks if k <= most] or [most]
        lines = ranking_lines(
            "tags", ranked, gold, ks, words=("recall",), version=self.version, resamples=outputs.resamples,
            seed=outputs.seed, units=unit_numbers([s.patient for s in outputs.studies]),
        )  # fmt: skip
        common = [t for t, _ in Counter(t for s in outputs.training for t in s.tags).most_common(max(self.ks))]
        if common:
            same = ranking_lines("tags commonest", [common] * len(gold), gold, ks, words=("recall",), resamples=0)
            lines += [ScoreLine(x.name, x.value, metric="tags", version=self.version) for x in same]
        return [*lines, self._f1(outputs.reports, gold)]

    def probabilities(self, reports: Sequence[Report], studies: Sequence[Study]) -> dict[str, list[LabelledP]]:
        """Return the probability of each tag that a report ranks, and 1 if its study has the tag, else 0.

        {} where no study has a tag: then nothing is known of them.
        """
        if not any(s.tags for s in studies):
            return {}
        gold = [set(s.tags) for s in studies]
        names = dict.fromkeys(name for r in reports for name in r.tags)
        pairs = list(zip(reports, gold, strict=True))
        return {name: [(r.tags.get(name), float(name in g)) for r, g in pairs] for name in names}

    def _f1(self, reports: Sequence[Report], gold: Sequence[set[str]]) -> ScoreLine:
        """Return the micro F1 of the tags at or above the threshold."""
        chosen = [{t for t, p in r.tags.items() if p >= self.threshold} for r in reports]
        hit = sum(len(c & g) for c, g in zip(chosen, gold, strict=True))
        both = sum(map(len, chosen)) + sum(map(len, gold))
        return ScoreLine("tags micro f1", 2 * hit / both if both else 0.0, metric="tags", version=self.version)
