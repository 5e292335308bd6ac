"""The record of one reproduction: its request and its result, and how both are read from a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reportgen_core import DataError
from reportgen_core.files.json_files import is_format, read_json
from reportgen_core.scoring.scorecard import (
    ScoreCard,
    System,
    card_from_json,
    card_to_json,
    system_from_json,
    system_to_json,
)
from reportgen_core.version import __version__

from .preset import PaperRow

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ReproductionRequest:
    """What a reproduction depends on, in addition to its preset."""

    data: str  # the dataset's registered name
    options: Mapping[str, Any]
    scale: str = "paper"
    epochs: int | None = None  # None: the scale's, or the preset's
    limit: int | None = None  # studies of each split at most
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Reproduction:
    """The scores of one preset, and how they were computed."""

    preset: str
    paper: str
    request: ReproductionRequest
    numbers: tuple[PaperRow, ...]  # the paper's
    card: ScoreCard
    systems: tuple[System, ...]  # ours first, then what needs no model
    studies: Mapping[str, int]  # by split
    parts: str  # "vgg19 × hier-lstm"
    settings: Mapping[str, Any]  # of the training
    seconds: Mapping[str, float]  # train, evaluate
    memory: int  # MiB, the process's largest
    device: str
    notes: tuple[str, ...] = ()
    parameters: int = 0  # numbers in the weights of the system, those that do not learn among them; 0: an older record

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        plain = (
            "preset",
            "paper",
            "studies",
            "parts",
            "settings",
            "seconds",
            "memory",
            "device",
            "notes",
            "parameters",
        )
        values = {k: getattr(self, k) for k in plain}
        return {
            "format": FORMAT,
            "reportgen": __version__,
            **values,
            "asked": asdict(self.request),
            "numbers": [asdict(row) for row in self.numbers],
            "card": card_to_json(self.card),
            "systems": [system_to_json(s) for s in self.systems],
        }


def read_reproduction(path: Path) -> Reproduction:
    """Read the record that `reproduce` wrote. Raises DataError."""
    values = read_json(path, DataError, hint="rg reproduce writes one")
    try:
        if not is_format(values.pop("format"), FORMAT):
            raise DataError(f"{path}: no reproduction of format {FORMAT}")
        del values["reportgen"]
        request = ReproductionRequest(**values.pop("asked"))
        return Reproduction(
            **{
                **values,
                "request": request,
                "numbers": tuple(PaperRow(**row) for row in values["numbers"]),
                "card": card_from_json(values["card"]),
                "systems": tuple(system_from_json(s) for s in values["systems"]),
                "notes": tuple(values["notes"]),
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise DataError(f"{path}: not what rg reproduce wrote: {type(e).__name__}: {e}") from e
