"""Draw random splits from a seed, so that all studies of a patient are in the same split."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from reportgen_core import Study


def order(ids: Sequence[str], seed: int) -> list[str]:
    """Return the ids in a random order that depends on the seed and the ids alone, and is the same on every machine."""
    return sorted(ids, key=lambda id: (hashlib.sha256(f"{seed}:{id}".encode()).digest(), id))


def by_patient(studies: Sequence[Study], *, val: int, test: int, seed: int) -> list[Study]:
    """Return the studies with a split: `test` of them "test", `val` of them "val", the others "train".

    A patient with more studies than a split has room for goes to the next split. So the sizes are exact if patients
    have few studies.
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
