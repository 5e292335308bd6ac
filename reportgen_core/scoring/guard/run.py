"""Build metrics and run the metrics of a model's outputs, with what they return checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import OptionError, UnknownName
from ...metric import Metric
from ...scoring.abilities.metrics import DrawsReliability, ModelOutputs, ScoresModelOutputs
from ...types import ScoreLine
from .attempt import failure_reason
from .returned import checked_lines, checked_points

Points = tuple[tuple[float, float, int], ...]
NO_SCORES: tuple[list[ScoreLine], Points] = ([], ())


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


def model_scores(metric: Metric, name: str, outputs: ModelOutputs) -> tuple[list[ScoreLine], Points]:
    """Return the scores and the reliability curve of one metric of a model's outputs; ([], ()) of a metric of texts."""
    lines = checked_lines(metric.score_outputs(outputs), name) if isinstance(metric, ScoresModelOutputs) else []
    if not isinstance(metric, DrawsReliability):
        return lines, ()
    return lines, checked_points(metric.reliability(outputs.reports, outputs.studies))
