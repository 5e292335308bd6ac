"""Batches of reports of like length, so that little padding is computed."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import torch


def by_length(order: Sequence[int], lengths: Sequence[int], size: int, pool: int, seed: int) -> list[int]:
    """The same studies in batches of `size`, cut from pools of `pool` batches that are sorted by length.

    The batches come in a random order, by `seed`; one that is not full stays the last.
    """
    if not pool:
        return list(order)
    pools = [sorted(order[at : at + pool * size], key=lambda i: lengths[i]) for at in range(0, len(order), pool * size)]
    batches = [some[at : at + size] for some in pools for at in range(0, len(some), size)]
    full = [b for b in batches if len(b) == size]
    random.Random(seed).shuffle(full)
    return [i for batch in (*full, *(b for b in batches if len(b) < size)) for i in batch]


def _mix(*numbers: int) -> int:
    """One seed from several numbers."""
    seed = 0
    for number in numbers:
        seed = (seed * 1_000_003 + number + 1) % (2**63 - 1)
    return seed


def epoch_order(studies: int, seed: int, epoch: int) -> list[int]:
    """The order of the studies in an epoch, by seed and epoch alone."""
    generator = torch.Generator().manual_seed(_mix(seed, epoch))
    order: list[int] = torch.randperm(studies, generator=generator).tolist()
    return order


def share(order: Sequence[int], batch_size: int, process: int, processes: int) -> list[list[int]]:
    """The batches of one process. All have as many of the same size: the first studies may come twice in an epoch."""
    full = batch_size * processes
    count = math.ceil(len(order) / full)
    if processes == 1:
        return [list(order[i * full : (i + 1) * full]) for i in range(count)]
    padded = [order[i % len(order)] for i in range(count * full)]
    return [padded[i * full + process * batch_size :][:batch_size] for i in range(count)]
