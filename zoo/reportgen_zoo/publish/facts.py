"""The facts of a model that `rg reproduce` trained, read from its reproduction, so that nobody types figures."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from reportgen_core.scoring.baselines import CONSTANTS, NEAREST
from reportgen_core.scoring.score_tables import headlines
from reportgen_core.scoring.scorecard import ScoreCard, System
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
    constants = _strongest([baselines[name] for name in CONSTANTS if name in baselines], shown)
    nearest = _strongest([baselines[NEAREST]] if NEAREST in baselines else [], shown)
    return Scores(
        f"{record.request.data}, {' + '.join(card.sections)}, split {card.split} {card.split_hash[:16]}",
        card.protocol,
        card.n,
        {line.name: round(line.value, 4) for line in shown},
        {line.name: round(own.value, 4) for line, _, own in constants},
        {
            line.name: (round(line.low, 4), round(line.high, 4))
            for line in shown
            if line.low is not None and line.high is not None
        },
        {line.name: round(own.value, 4) for line, _, own in nearest},
        _differences(constants),
        _differences(nearest),
        versions(shown, card),
    )


def versions(lines: Iterable[ScoreLine], card: ScoreCard) -> dict[str, str]:
    """Return the versions of the metrics of these lines, of the intervals and of the baselines, where they have one."""
    named = {line.metric or line.name: line.version for line in lines}
    return {name: v for name, v in {**named, "intervals": card.intervals, "baselines": card.baselines}.items() if v}


Rival = tuple[ScoreLine, System, ScoreLine]  # our score, the strongest baseline in it, and the baseline's score


def _strongest(systems: Sequence[System], shown: Sequence[ScoreLine]) -> list[Rival]:
    """Return for each of our scores the strongest of some baselines; a score that none of them has is left out."""
    rivals = []
    for line in shown:
        scored = [(system, own) for system in systems if (own := system.line(line.name)) is not None]
        if scored:
            sign = 1 if line.higher_is_better else -1
            system, own = max(scored, key=lambda pair: sign * pair[1].value)
            rivals.append((line, system, own))
    return rivals


def _differences(rivals: Sequence[Rival]) -> dict[str, tuple[float, ...]]:
    """Return by score our value minus the baseline's, with its 95 % interval, where the record has one."""
    known = ((line.name, system.differences.get(line.name)) for line, system, _ in rivals)
    return {name: tuple(round(v, 4) for v in ends) for name, ends in known if ends}
