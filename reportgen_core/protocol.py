"""The interface of a scoring protocol: what is done to reports and references before words are counted (torch-free).

A protocol moves a score as much as a better model does, so it has a name and a version, and every score carries both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from .registry import OLD_RECIPE


class TextProtocol(ABC):
    """Prepares texts for the metrics that take words. Options are keyword-only."""

    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE
    version: ClassVar[str]  # changes whenever the same texts would be prepared otherwise
    sections: tuple[str, ...] = ()  # what the paper scores; empty: it leaves that open
    language: str = "en"

    @abstractmethod
    def reports(self, texts: Sequence[str]) -> list[str]:
        """What a model wrote, as words with single spaces between. Raises MetricError where that is impossible here."""

    @abstractmethod
    def references(self, texts: Sequence[str]) -> list[str]:
        """What the radiologist wrote, likewise."""


@runtime_checkable
class LearnsFromTraining(Protocol):
    """A protocol that may have to see the training reports before it prepares any, as for a vocabulary."""

    learns: bool  # with its options it does

    def learn(self, training: Sequence[str]) -> None:
        """Take from the training reports what is needed of them."""
