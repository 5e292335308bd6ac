"""Seeded random splits in which no patient is on two sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from reportgen_core import Study


def order(ids: Sequence[str], seed: int) -> list[str]:
    """The ids in a random order that depends on the seed and on each id alone, the same on every machine."""
    return sorted(ids, key=lambda id: (hashlib.sha256(f"{seed}:{id}".encode()).digest(), id))


def by_patient(studies: Sequence[Study], *, val: int, test: int, seed: int) -> list[Study]:
    """Mark `test` studies "test", `val` "val" and the rest "train", whole patients at a time.

    A patient who would overfill a side goes to the next, so the sizes are met wherever patients are small enough.
    """
    sizes: dict[str, int] = {}
    for s in studies:
        sizes[s.patient or s.id] = sizes.get(s.patient or s.id, 0) + 1
    room = {"test": test, "val": val}
    side: dict[str, str] = {}
    for patient in order(list(sizes), seed):
        free = [name for name, left in room.items() if left >= sizes[patient]]
        side[patient] = free[0] if free else "train"
        if free:
            room[free[0]] -= sizes[patient]
    return [replace(s, split=side[s.patient or s.id]) for s in studies]
