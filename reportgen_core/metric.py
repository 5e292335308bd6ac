"""The interface of a metric, apart from the others because it needs no torch: text scores must not wait for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

from .registry import OLD_RECIPE
from .types import Score

if TYPE_CHECKING:
    from .types import Array, Line, Report, Study


class Metric(ABC):
    """Compares reports with references."""

    part_config: dict[str, Any]  # name and options; set by the registry
    recipe = OLD_RECIPE
    version: str = ""  # changes whenever the same texts would get another score
    takes: ClassVar[Literal["text", "words"]] = "text"  # "words": the texts as the protocol cut them
    language: ClassVar[str] = ""  # the one language it knows; empty: any
    higher_is_better: ClassVar[bool] = True
    neutral: ClassVar[tuple[str, ...]] = ()  # ends of the names of parts that are facts: neither way is better
    local: ClassVar[bool] = True  # a study's statistics do not depend on the other studies
    external: ClassVar[bool] = False  # works in a process of its own: may run beside the others

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


@runtime_checkable
class HasLabels(Protocol):
    """A metric that reads findings off texts, for a page that shows which differ."""

    def labels(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Of each text: 1 present, 0 absent, -1 uncertain by finding; what is not mentioned is not there."""


@runtime_checkable
class HasCaveat(Protocol):
    """A metric that is without meaning on some sets."""

    def caveat(self, references: Sequence[Sequence[str]]) -> str:
        """What a reader must know about its score on these references; empty where it is as usual."""


@runtime_checkable
class StartsSlowly(Protocol):
    """A metric whose helper takes seconds to start."""

    def start(self) -> None:
        """Begin to start it, without waiting. Raises nothing: `compute` says what is wrong."""


@runtime_checkable
class JudgesStudies(Protocol):
    """A metric of what a model says beside its text: tags, findings, where it looked."""

    def judge(
        self,
        reports: Sequence[Report],
        studies: Sequence[Study],
        *,
        training: Sequence[Study] = (),
        grid: tuple[int, int, int] | None = None,
        resamples: int = 1000,
        seed: int = 0,
    ) -> list[Line]:
        """The scores of reports on their studies, row by row; none where these have nothing to judge."""


@runtime_checkable
class DrawsReliability(Protocol):
    """A metric of probabilities that can say how often they come true."""

    def reliability(self, reports: Sequence[Report], studies: Sequence[Study]) -> list[tuple[float, float, int]]:
        """Of each bin: the mean probability, the share that came true, how many."""
