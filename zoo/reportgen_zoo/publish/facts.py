"""The facts of a model that `rg reproduce` trained, read from its reproduction, so that nobody types figures."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reportgen_core.scoring.baselines import CONSTANT, NEAREST
from reportgen_core.scoring.score_tables import headlines
from reportgen_core.scoring.scorecard import System
from reportgen_core.types import ScoreLine

from ..manifest.records import Scores, TrainingFacts, ZooError
from ..manifest.schema import plain
from ..reproduce.record import Reproduction, ReproductionRequest, read_reproduction

FILE = "reproduction.json"
BEST = Path("run") / "best"


def is_reproduction(folder: Path) -> bool:
    """Return whether a folder is a reproduction of `rg reproduce`."""
    return (folder / FILE).is_file()


def facts_of(folder: Path) -> dict[str, Any]:
    """Return summary, paper, training and scores of the model in the folder of a reproduction. It has no licence.

    Raises DataError if the folder has no reproduction, ZooError if the model is gone.
    """
    record = read_reproduction(folder / FILE)
    if not (folder / BEST / "config.json").is_file():
        raise ZooError(f"{folder}: the model that was scored is not in {BEST} any more")
    counts = " / ".join(f"{n} {split}" for split, n in record.studies.items())
    scale = "as its paper has it" if record.request.scale == "paper" else f"at scale {record.request.scale}"
    return {
        "summary": f"{record.preset} {scale}, trained on {record.request.data}",
        "paper": record.paper,
        "training": plain(
            TrainingFacts(_data(record.request), f"{counts} studies", command(record.preset, record.request))
        ),
        "scores": [plain(_scores(record))],
    }


def command(preset: str, request: ReproductionRequest) -> str:
    """Return the command that makes the reproduction again."""
    options = [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in request.options.items()]
    words = ["rg", "reproduce", preset, "--data", request.data, "--scale", request.scale, "--seed", str(request.seed)]
    for option in options:
        words += ["--data-option", option]
    for flag, value in (("--epochs", request.epochs), ("--limit", request.limit)):
        words += [] if value is None else [flag, str(value)]
    return shlex.join(words)


def _data(request: ReproductionRequest) -> str:
    return ", ".join([request.data, *(f"{k} {v}" for k, v in request.options.items())])


def _scores(record: Reproduction) -> Scores:
    ours, baselines = record.systems[0], {s.name: s for s in record.systems[1:]}
    shown = [line for line in headlines(ours.lines) if line.higher_is_better is not None]
    card = record.card
    return Scores(
        f"{record.request.data}, {' + '.join(card.sections)}, split {card.split} {card.split_hash[:16]}",
        card.protocol,
        card.n,
        {line.name: round(line.value, 4) for line in shown},
        _values(baselines.get(CONSTANT), shown),
        {
            line.name: (round(line.low, 4), round(line.high, 4))
            for line in shown
            if line.low is not None and line.high is not None
        },
        _values(baselines.get(NEAREST), shown),
    )


def _values(system: System | None, shown: Sequence[ScoreLine]) -> Mapping[str, float]:
    """Return the scores that a baseline has for these lines; {} without the baseline."""
    lines = [] if system is None else [own for line in shown if (own := system.line(line.name)) is not None]
    return {line.name: round(line.value, 4) for line in lines}
