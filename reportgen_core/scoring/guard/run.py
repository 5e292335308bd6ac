"""Build metrics and run the metrics of a model's outputs, with what they return checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import OptionError, UnknownName
from ...metric import Metric
from ...types import ScoreLine
from ..abilities.metrics import DrawsReliability, GivesProbabilities, LabelledP, ModelOutputs, ScoresModelOutputs
from .attempt import attempt, failure_reason
from .returned import checked_lines, checked_points, checked_probabilities

Points = tuple[tuple[float, float, int], ...]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """What metrics say of a model's outputs: scores, and by metric the reliability curve and the probabilities."""

    lines: list[ScoreLine] = field(default_factory=list)
    curves: dict[str, Points] = field(default_factory=dict)
    probabilities: dict[str, dict[str, tuple[LabelledP, ...]]] = field(default_factory=dict)


def create_metrics(named: Mapping[str, Mapping[str, Any]], problems: dict[str, str]) -> dict[str, Metric]:
    """Return the metrics that can be built; write the reasons of the others into `problems`.

    Raises OptionError and UnknownName: a misspelt name or option is the caller's to correct.
    """
    from ...registries import metrics as registered

    metrics = {}
    for name, options in named.items():
        try:
            metrics[name] = registered.create(name, **options)
        except (OptionError, UnknownName):
            raise
        except (Exception, SystemExit) as e:
            problems[name] = failure_reason(e)
    return metrics


def score_model(metrics: Mapping[str, Metric], outputs: ModelOutputs, problems: dict[str, str]) -> ModelScores:
    """Return what the metrics say of a model's outputs. A metric that fails has its reason in `problems`."""
    total = ModelScores()
    for name, metric in metrics.items():
        own = attempt(problems, name, ModelScores(), model_scores, metric, name, outputs)
        total = ModelScores(
            [*total.lines, *own.lines],
            {**total.curves, **own.curves},
            {**total.probabilities, **own.probabilities},
        )
    return total


def model_scores(metric: Metric, name: str, outputs: ModelOutputs) -> ModelScores:
    """Return the scores of one metric of a model's outputs; nothing of a metric of texts."""
    lines = checked_lines(metric.score_outputs(outputs), name) if isinstance(metric, ScoresModelOutputs) else []
    points: Points = ()
    values: dict[str, tuple[LabelledP, ...]] = {}
    if isinstance(metric, DrawsReliability):
        points = checked_points(metric.reliability(outputs.reports, outputs.studies))
    if isinstance(metric, GivesProbabilities):
        values = checked_probabilities(metric.probabilities(outputs.reports, outputs.studies), len(outputs.studies))
    return ModelScores(lines, {name: points} if points else {}, {name: values} if values else {})
