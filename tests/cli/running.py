"""Say how a run of `rg` ends: the types of the fixture `rg`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Done:
    """How a run of `rg` ended."""

    code: int
    out: str
    err: str


Rg = Callable[..., Done]
