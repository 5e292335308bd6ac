"""Find the labeler of a metric, and write the labels of a text as JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, runtime_checkable

from reportgen_core import MetricError
from reportgen_core.registries import metrics


class TextLabeler(Protocol):
    """A labeler of a metric, ours or a plugin's."""

    labels_of_scheme: Sequence[str]

    def explain(self, text: str) -> Mapping[str, Sequence[Any]]:
        """Return the mentions of each label, the deciding one first; each has value, words, rule and sentence."""


@runtime_checkable
class NotesTexts(Protocol):
    """A labeler that does not read every text."""

    def note(self, text: str) -> str:
        """Return why a text has no labels; "" if it is read."""


@runtime_checkable
class HasLabeler(Protocol):
    """A metric that labels texts."""

    labeler: TextLabeler


def labeler_of(metric: str, scheme: str, phrases: str | None = None) -> TextLabeler:
    """Return the labeler of a metric. Raises MetricError if it has none, and DataError for bad phrases."""
    part = metrics.create(metric, scheme=scheme, **({"phrases": phrases} if phrases else {}))
    if not isinstance(part, HasLabeler):
        raise MetricError(f"metric {metric!r} labels no texts; chexpert-rules does")
    return part.labeler


def label_values(name: str, mentions: Mapping[str, Sequence[Any]], explain: bool) -> dict[str, Any]:
    """Return the labels of a report as a JSON object; with `explain` it holds every mention."""
    row: dict[str, Any] = {"id": name, "labels": {k: m[0].value for k, m in mentions.items()}}
    if explain:
        row["mentions"] = {k: [asdict(x) for x in m] for k, m in mentions.items()}
    return row
