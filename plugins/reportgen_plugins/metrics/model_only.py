"""What the metrics of tags, findings and attention share: they judge a model, and have nothing to say about texts."""

from __future__ import annotations

from typing import NoReturn

from reportgen_core import MetricError


def needs_a_model(name: str, what: str) -> NoReturn:
    """Say why two texts cannot be compared by this metric."""
    raise MetricError(f"{name} judges {what}, and texts have none: rg eval --model NAME --data NAME --data-root DIR")
