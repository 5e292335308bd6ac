"""The interface of a metric. It has a file of its own because it needs no torch: scoring texts must not wait for it."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from .registry import OLD_RECIPE
from .types import Score

if TYPE_CHECKING:
    from .types import Array

RENAMED = {"local": "per_study", "external": "own_process", "neutral": "neutral_suffixes"}  # attributes of a Metric


class Metric(ABC):
    """Compares reports with references."""

    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE
    version: str = ""  # changes whenever the same texts would get another score
    takes: ClassVar[Literal["text", "words"]] = "text"  # "words": the words that the protocol made of the texts
    language: ClassVar[str] = ""  # the only language it can score; "": any
    higher_is_better: bool = True
    neutral_suffixes: ClassVar[tuple[str, ...]] = ()  # a part whose name ends with one of them has no better direction
    per_study: ClassVar[bool] = True  # the statistics of a study do not depend on the other studies
    expensive: ClassVar[bool] = False  # costs money or hours: it runs on the baselines only on request
    own_process: ClassVar[bool] = False  # computes in a process of its own, so it may run at the same time as others

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for old, new in RENAMED.items():
            if old in vars(cls) and new not in vars(cls):  # plugins of an earlier release
                warnings.warn(f"{cls.__name__}.{old} is called {new} now", DeprecationWarning, stacklevel=2)
                setattr(cls, new, vars(cls)[old])

    @abstractmethod
    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        """Return the score of `reports`; `references[i]` are the references of `reports[i]`.

        Raises MetricError if the metric cannot score them.
        """


@runtime_checkable
class HasStatistics(Protocol):
    """A metric whose corpus score follows from sums over studies, so that studies can be resampled without re-scoring.

    BLEU's sums are matches and lengths; of a metric that is a mean, the sums are the count and the total.
    """

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Array:
        """Return the statistics of each study, (n, k) float. The sum of the rows is the statistics of the set."""

    def scores(self, totals: Array) -> Mapping[str, Array]:
        """Return the scores (...) of summed statistics (..., k) by name, the headline first."""


@runtime_checkable
class HasLabels(Protocol):
    """A metric that finds findings in texts, so that a page can show which findings differ."""

    def labels(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Return for each text its findings: 1 present, 0 absent, -1 uncertain. Findings not mentioned are left out."""
