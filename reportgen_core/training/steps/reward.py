"""The reward of a generated report: a weighted sum of metrics that score single reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...errors import DataError, MetricError, OptionError
from ...metric import Metric
from ...models.model import Model
from ...text.spec import TextSpec, report_words
from ...types import Study

BACKGROUND = 256  # training references scored together with a batch, for metrics that weigh words by frequency


@dataclass(frozen=True, slots=True)
class Reward:
    """Scores generated reports against the references of their studies."""

    text: TextSpec
    parts: Sequence[tuple[float, Metric]]  # weight and metric
    references: Mapping[str, str]  # by the study's id
    background: Sequence[str]

    def of(self, ids: Sequence[str], texts: Sequence[str]) -> list[float]:
        """Return the reward of each text. `ids` are the studies of the texts; a higher reward is better.

        Metrics whose score of a report depends on the whole set, as CIDEr's word weights do, also read `background`,
        so that a weight does not depend on which studies are in the batch. Raises OptionError for a metric
        that gives no score for single reports.
        """
        total = [0.0] * len(texts)
        for weight, metric in self.parts:
            background = () if metric.per_study else self.background
            wanted = [text_for_metric(metric, self.references[id], self.text) for id in ids]
            made = [text_for_metric(metric, text, self.text) for text in texts]
            others = [text_for_metric(metric, text, self.text) for text in background]
            score = metric.compute([*made, *others], [[text] for text in (*wanted, *others)])
            if len(score.each) != len(made) + len(others):
                raise OptionError(
                    f"metric {score.name} gives no score for each report, which a reward needs; others do, such as "
                    "cider and chexpert-rules"
                )
            sign = weight if metric.higher_is_better else -weight
            total = [before + sign * value for before, value in zip(total, score.each, strict=False)]
        return total


def text_for_metric(metric: Metric, text: str, spec: TextSpec) -> str:
    """Return the text as the metric takes it: unchanged, or the words that the model's recipe makes of it."""
    return " ".join(report_words(text, spec)) if metric.takes == "words" else text


def make_reward(model: Model, weights: Mapping[str, float], studies: Sequence[Study]) -> Reward:
    """Return the reward of these metrics on training studies.

    Raises OptionError for a model that cannot draw reports or a metric that cannot be a reward, and DataError if a
    study has no reference.
    """
    from ...registries import metrics

    name = model.head.part_config["name"]
    if model.decoder is None or "sample" not in model.decoder.follows:
        raise OptionError(f"reward needs a decoder that draws reports, and {name} does not; leave reward out")
    sections = model.text.sections
    references = {s.id: s.text(sections) for s in studies}
    without = [id for id, text in references.items() if not text]
    if without:
        raise DataError(
            f"reward compares with references, and {len(without)} of {len(references)} training studies have no "
            f"{' or '.join(sections)}: {', '.join(without[:3])}{', …' * (len(without) > 3)}"
        )
    background = list(dict.fromkeys(references.values()))[:BACKGROUND]
    parts = [(_weight(name, weight), metrics.create(name)) for name, weight in weights.items()]
    reward = Reward(model.text, parts, references, background)
    try:
        reward.of(list(references)[:1], list(references.values())[:1])
    except MetricError as e:
        raise OptionError(f"reward {', '.join(weights)} cannot be computed: {e}") from e
    return reward


def _weight(name: str, weight: object) -> float:
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < 1e6:
        raise OptionError(
            f"reward needs a weight above 0 for {name}, got {weight!r}; a metric where lower is better is turned"
        )
    return float(weight)
