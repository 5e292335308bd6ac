"""Abilities that a scoring protocol may have besides its interface (torch-free)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class LearnsFromTraining(Protocol):
    """A protocol that may need the training reports before it prepares texts, for example for a vocabulary."""

    learns: bool  # whether it needs them with its present options

    def learn(self, training: Sequence[str]) -> None:
        """Learn from the training reports."""
