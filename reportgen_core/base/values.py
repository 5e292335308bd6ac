"""Values that need nothing of the rest of the core: one number of a table, and the parts of a model by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ScoreLine:
    """One number. `low` and `high` are the ends of its 95 % interval, None if it has no interval."""

    name: str  # "bleu-4", "chexpert-rules micro-14 f1"
    value: float
    low: float | None = None
    high: float | None = None
    higher_is_better: bool | None = True  # None: a count, which has no better direction
    metric: str = ""  # the registered name of its metric
    version: str = ""  # of the metric
    note: str = ""  # what a reader must know of this number: classes that no reference has, counted 0

    @property
    def arrow(self) -> str:
        """Return an arrow in the better direction; "" if there is none."""
        return "" if self.higher_is_better is None else "↑" if self.higher_is_better else "↓"


@dataclass(frozen=True, slots=True)
class Composition:
    """The parts of a model by registered name, with their options: an encoder, and a decoder or a retriever."""

    encoder: str
    decoder: str | None = None
    retriever: str | None = None
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    decoder_options: Mapping[str, Any] = field(default_factory=dict)  # options of the decoder or the retriever
