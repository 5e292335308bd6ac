"""Abilities that a metric may have besides its interface, and the outputs of a model that it may score (torch-free)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ...errors import lists_only
from ...types import Report, ScoreLine, Study

if TYPE_CHECKING:
    from ...types import Array

LabelledP = tuple[float | None, float | None]  # a probability (0..1) and its label (1 or 0); None: unknown


@runtime_checkable
class HasCaveat(Protocol):
    """A metric whose score means nothing on some sets."""

    def caveat(self, references: Sequence[Sequence[str]]) -> str:
        """Return a warning about the score on these references; "" if there is nothing to warn of."""


@runtime_checkable
class NotesScores(Protocol):
    """A metric of statistics with scores that need a note, such as a macro average over absent classes."""

    def score_notes(self, totals: Array) -> Mapping[str, str]:
        """Return for summed statistics (k,) a note by the name of its score; {} if there is nothing to note."""


@runtime_checkable
class AuditsReports(Protocol):
    """A metric that names the differences between a report and its references, with the words of both texts."""

    def audit(self, report: str, references: Sequence[str]) -> ReportAudit:
        """Return the differences between a report and the reference that it differs least from."""


@runtime_checkable
class ReportAudit(Protocol):
    """The differences between a report and its reference."""

    def to_json(self) -> dict[str, Any]:
        """Return JSON values: "reference" and "prediction" (texts), "statements", "pairs", "differences", "note"."""


@runtime_checkable
class ComparesParts(Protocol):
    """A metric with many scores, of which a comparison tests more than the first two."""

    compared_parts: Sequence[str]  # names of scores


@runtime_checkable
class StartsSlowly(Protocol):
    """A metric whose helper takes seconds to start."""

    def start(self) -> None:
        """Start the helper without waiting for it. Raises nothing: `compute` reports what went wrong."""


@lists_only
@dataclass(frozen=True, slots=True)
class ModelOutputs:
    """The reports of a model, their studies, and the settings of the scoring."""

    reports: Sequence[Report]
    studies: Sequence[Study]  # in the order of the reports
    training: Sequence[Study] = ()  # the training studies, where known
    grid: tuple[int, int, int] | None = None  # (views, rows, columns) of the attention; None: it has no grid
    resamples: int = 1000  # of the bootstrap; 0: no intervals
    seed: int = 0


@runtime_checkable
class ScoresModelOutputs(Protocol):
    """A metric of a model's other outputs: tags, findings, attention."""

    def score_outputs(self, outputs: ModelOutputs) -> list[ScoreLine]:
        """Return the scores of the reports on their studies; [] if there is nothing to compare them with."""


@runtime_checkable
class DrawsReliability(Protocol):
    """A metric of probabilities that can compare them with the shares of findings that are present."""

    def reliability(self, reports: Sequence[Report], studies: Sequence[Study]) -> list[tuple[float, float, int]]:
        """Return for each bin its mean probability, the share of findings present, and its number of predictions."""


@runtime_checkable
class GivesProbabilities(Protocol):
    """A metric of probabilities that gives each of them with its label: ROC curves are drawn from these."""

    def probabilities(self, reports: Sequence[Report], studies: Sequence[Study]) -> Mapping[str, Sequence[LabelledP]]:
        """Return by class a pair for each study, in order: the probability, and the label, 1 or 0; None if unknown."""
