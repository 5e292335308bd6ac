"""What the metrics of tags, findings and attention share: they score a model, and cannot score texts."""

from __future__ import annotations

from typing import NoReturn

from reportgen_core import MetricError


def refuse_texts(name: str, what: str) -> NoReturn:
    """Raise MetricError: this metric cannot compare two texts."""
    raise MetricError(
        f"{name} scores {what}, and texts have none; use rg eval --model NAME --data NAME --data-root DIR"
    )
