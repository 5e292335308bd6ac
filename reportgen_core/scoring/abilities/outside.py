"""Abilities of metrics that ask others: they send texts, fail on single studies, and have a bill (torch-free)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable


@runtime_checkable
class SendsTexts(Protocol):
    """A metric that sends reports and references to another machine, which the user must allow."""

    sends_to: str  # the address; "": they stay on this machine
    may_send: bool  # whether the user allows it


@runtime_checkable
class NamesFailures(Protocol):
    """A metric that may have no score for single studies, and says why."""

    def failures(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Mapping[int, str]:
        """Return why a study has no score, by its place; {} if all have one.

        It is called after `statistics` or `compute` with the same texts. The statistics of such a study are zeros.
        """


@runtime_checkable
class TellsOfRun(Protocol):
    """A metric with something to say after it ran: what it cost, and who answered."""

    def run_notes(self) -> Sequence[str]:
        """Return a line for each thing that a reader of the scores must know."""
