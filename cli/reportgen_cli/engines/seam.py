"""Define what an engine, a job and a sink are to each other: the only words that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from reportgen_core.files.tables import BadRow


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive rows of a table, by their bytes."""

    number: int
    begin: int  # the first byte
    end: int  # the byte after the last
    line: int  # the number of the first line
    rows: int  # rows that are counted; others are of another split, or empty


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job makes of a block."""

    rows: Sequence[Mapping[str, Any]]  # in the order of the table
    bad: Sequence[BadRow] = ()  # rows that could not be read
    counts: Mapping[str, int] = field(default_factory=dict)  # that are added up over all blocks


@dataclass(frozen=True, slots=True)
class Done:
    """A block that was written, or that failed; a line of the manifest."""

    block: int
    rows: int = 0
    bad: int = 0
    bytes: int = 0  # of the part
    counts: Mapping[str, int] = field(default_factory=dict)
    begun: float = 0.0  # seconds since 1970, by the clock of the worker
    ended: float = 0.0
    cpu: float = 0.0  # seconds of processor time
    failure: str = ""  # one line; "" if the part was written


Work = Callable[[Block], Outcome]


class Job(Protocol):
    """A picklable factory of a function over a block. A worker calls `start` once, and its function for many blocks."""

    def start(self) -> Work:
        """Load what the worker needs, and return the function. Raises ReportgenError."""


class Sink(Protocol):
    """Writes the outcome of a block, whole or not at all, in the worker. A block that comes twice is written once."""

    def write(self, block: Block, outcome: Outcome) -> int:
        """Write an outcome and return the bytes of its part. Raises OSError."""

    def begin(self, block: Block) -> str:
        """Mark that a block is begun. Return why it is not to be tried again; "" if it is."""


class Engine(Protocol):
    """Runs blocks in workers."""

    def run(self, blocks: Sequence[Block], job: Job, sink: Sink) -> Iterator[Done]:
        """Yield each block once, in any order, when its part is written. A block that is not yielded is not done."""

    def ahead(self) -> int:
        """Return how many blocks may be written that were not yet yielded."""
