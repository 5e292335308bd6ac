"""Batches of reports of like length, so that little padding is computed."""

from __future__ import annotations

import random
from collections.abc import Sequence


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
