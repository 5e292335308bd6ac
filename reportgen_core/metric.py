"""The interface of a metric, apart from the others because it needs no torch: text scores must not wait for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from .types import Score

if TYPE_CHECKING:
    from .types import Array


class Metric(ABC):
    """Compares reports with references."""

    recipe: dict[str, Any]  # set by the registry
    takes: ClassVar[Literal["text", "words"]] = "text"  # "words": the texts as the protocol tokenised them

    @abstractmethod
    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """`references[i]` are the references of `reports[i]`. Raises MetricError where there is no answer."""


@runtime_checkable
class HasStatistics(Protocol):
    """A metric whose corpus score follows from sums over studies, so that studies can be resampled without re-scoring.

    BLEU's sums are matches and lengths; of a metric that is a mean, the sums are the count and the total.
    """

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Array:
        """(n, k) float: the row of each study. Adding rows gives the statistics of the set."""

    def scores(self, totals: Array) -> Mapping[str, Array]:
        """Of summed statistics (..., k), the scores (...) by part, the headline first."""
