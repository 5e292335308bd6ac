"""What a record says of a model that `rg reproduce` trained, read off its reproduction: nobody types figures."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reportgen_core.scoring.baselines import CONSTANT, NEAREST
from reportgen_core.scoring.score_tables import headlines
from reportgen_core.scoring.scorecard import System

from ..manifest.records import Scores, Training, ZooError
from ..manifest.schema import plain
from ..reproduce.record import Asked, Reproduction, read_reproduction

FILE = "reproduction.json"
BEST = Path("run") / "best"


def is_reproduction(folder: Path) -> bool:
    """Whether a folder is a preset's of `rg reproduce`."""
    return (folder / FILE).is_file()


def facts_of(folder: Path) -> dict[str, Any]:
    """Summary, paper, training and scores of the model in a reproduction's folder; the licence is not in it.

    Raises DataError where the folder is none, ZooError where the model is gone.
    """
    made = read_reproduction(folder / FILE)
    if not (folder / BEST / "config.json").is_file():
        raise ZooError(f"{folder}: the model that was scored is not in {BEST} any more")
    counts = " / ".join(f"{n} {split}" for split, n in made.studies.items())
    scale = "as its paper has it" if made.asked.scale == "paper" else f"at scale {made.asked.scale}"
    return {
        "summary": f"{made.preset} {scale}, trained on {made.asked.data}",
        "paper": made.paper,
        "training": plain(Training(_data(made.asked), f"{counts} studies", command(made.preset, made.asked))),
        "scores": [plain(_scores(made))],
    }


def command(preset: str, asked: Asked) -> str:
    """The command that makes the reproduction again."""
    options = [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in asked.options.items()]
    words = ["rg", "reproduce", preset, "--data", asked.data, "--scale", asked.scale, "--seed", str(asked.seed)]
    for option in options:
        words += ["--data-option", option]
    for flag, value in (("--epochs", asked.epochs), ("--limit", asked.limit)):
        words += [] if value is None else [flag, str(value)]
    return shlex.join(words)


def _data(asked: Asked) -> str:
    return ", ".join([asked.data, *(f"{k} {v}" for k, v in asked.options.items())])


def _scores(made: Reproduction) -> Scores:
    ours, baselines = made.systems[0], {s.name: s for s in made.systems[1:]}
    kept = [line for line in headlines(ours.lines) if line.higher_is_better is not None]
    return Scores(
        f"{made.asked.data}, {' + '.join(made.card.sections)}, split {made.card.split} {made.card.split_hash[:16]}",
        made.card.protocol,
        made.card.n,
        {line.name: round(line.value, 4) for line in kept},
        _values(baselines.get(CONSTANT), kept),
        {
            line.name: (round(line.low, 4), round(line.high, 4))
            for line in kept
            if line.low is not None and line.high is not None
        },
        _values(baselines.get(NEAREST), kept),
    )


def _values(system: System | None, kept: Any) -> Mapping[str, float]:
    lines = [] if system is None else [found for line in kept if (found := system.line(line.name)) is not None]
    return {line.name: round(line.value, 4) for line in lines}
