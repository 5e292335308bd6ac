"""The order of the studies in an epoch. Reports of similar length share a batch, so that it holds little padding."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

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

    All processes have the same number of batches, of the same size. With several processes the first studies may
    therefore occur twice in an epoch.
    """
    full = batch_size * processes
    count = math.ceil(len(order) / full)
    if processes == 1:
        return [list(order[i * full : (i + 1) * full]) for i in range(count)]
    padded = [order[i % len(order)] for i in range(count * full)]
    return [padded[i * full + process * batch_size :][:batch_size] for i in range(count)]
