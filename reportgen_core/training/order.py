"""The order of the studies in an epoch. Reports of similar length share a batch, so that it holds little padding."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch


def by_length(order: Sequence[int], lengths: Sequence[int], size: int, pool: int, seed: int) -> list[int]:
    """Return the same studies in batches of `size`, cut from pools of `pool` batches that are sorted by length.

    The batches are in a random order, by `seed`; a batch that is not full stays the last. Without pools (0) the order
    is returned as it is.
    """
    if not pool:
        return list(order)
    pools = [sorted(order[at : at + pool * size], key=lambda i: lengths[i]) for at in range(0, len(order), pool * size)]
    batches = [studies[at : at + size] for studies in pools for at in range(0, len(studies), size)]
    full = [b for b in batches if len(b) == size]
    random.Random(seed).shuffle(full)
    return [i for batch in (*full, *(b for b in batches if len(b) < size)) for i in batch]


def _mix(*numbers: int) -> int:
    """Return one seed made from several numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number + 1) % (2**63 - 1)
    return seed


def epoch_order(studies: int, seed: int, epoch: int) -> list[int]:
    """Return the order of the studies in an epoch, which depends only on the seed and the epoch."""
    generator = torch.Generator().manual_seed(_mix(seed, epoch))
    order: list[int] = torch.randperm(studies, generator=generator).tolist()
    return order


def share(order: Sequence[int], batch_size: int, process: int, processes: int) -> list[list[int]]:
    """Return the batches of one process.

    Together the processes have each study once in an epoch, and all have the same number of batches. Where the last
    studies do not reach for all processes, the others get one study without weight (`Pace.weight` 0), because every
    process takes part in every step.
    """
    full = batch_size * processes
    starts = range(0, len(order), full)
    return [list(order[at : at + full][process * batch_size :][:batch_size] or order[at : at + 1]) for at in starts]


@dataclass(frozen=True, slots=True)
class Pace:
    """How a run cuts its order: the studies of a batch, the processes, and the batches of an optimizer step."""

    batch_size: int
    processes: int
    accumulate: int

    @property
    def total(self) -> int:
        """Return the studies of an optimizer step."""
        return self.batch_size * self.processes * self.accumulate

    def batches(self, studies: int) -> int:
        """Return the batches of an epoch, for each process."""
        return math.ceil(studies / (self.batch_size * self.processes))

    def steps(self, studies: int) -> int:
        """Return the optimizer steps of an epoch."""
        return math.ceil(studies / self.total)

    def weight(self, studies: int, batch: int, process: int) -> float:
        """Return the weight of the mean loss of a process over a batch, which is the number `batch` of its epoch.

        The gradients of the processes are averaged and those of the batches of a step are added, so that a step is the
        mean over all its studies. Where all batches are full the weight is 1 / `accumulate`.
        """
        full = self.batch_size * self.processes
        first = (batch - batch % self.accumulate) * full
        mine = min(max(studies - batch * full - process * self.batch_size, 0), self.batch_size)
        return mine * self.processes / (min(studies, first + self.total) - first)

    def __str__(self) -> str:
        factors = f"batch_size={self.batch_size} x {self.processes} process{'es' * (self.processes != 1)}"
        return f"{self.total} studies a step ({factors} x accumulate={self.accumulate})"
