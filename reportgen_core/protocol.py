"""The interface of a scoring protocol, which prepares reports and references before words are counted (torch-free).

A protocol changes a score as much as a better model does. So it has a name and a version, and every score has both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from .registry import OLD_RECIPE


class TextProtocol(ABC):
    """Prepares texts for the metrics that take words. Options are keyword-only."""

    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE
    version: ClassVar[str]  # changes whenever the same texts would be prepared otherwise
    sections: tuple[str, ...] = ()  # the sections that the paper scores; (): the paper does not say
    language: str = "en"

    @abstractmethod
    def reports(self, texts: Sequence[str]) -> list[str]:
        """Return generated reports as words with single spaces between. Raises MetricError if this machine cannot."""

    @abstractmethod
    def references(self, texts: Sequence[str]) -> list[str]:
        """Return the radiologists' reports as words with single spaces between. Raises MetricError likewise."""
