"""An evaluation as a folder: scores, texts of the studies and statistics, and back again for a comparison.

scores.json      card, systems, notes: no report text
scores.csv       one row a number
scores.md, .tex  the tables
studies.jsonl    one study a line: reference, prediction, scores (medical text: it stays where the user puts it)
statistics.safetensors   what a paired test needs
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..files.atomic import atomic_write
from ..files.json_files import is_format, read_json
from .evaluation import Evaluation
from .score_tables import as_json, as_latex, as_markdown, evaluation_csv, finite, tables
from .scorecard import ScoreCard, System, card_from_json, system_from_json

if TYPE_CHECKING:
    from ..types import Array


@dataclass(frozen=True, slots=True)
class SavedEvaluation:
    """An evaluation read from a folder, as far as a comparison needs it."""

    name: str
    card: ScoreCard
    systems: tuple[System, ...]
    studies: tuple[str, ...]
    metrics: Mapping[str, Mapping[str, Any]]  # registered name: options
    statistics: Mapping[str, Array]  # (n, k) by metric; {} if the folder has no file of them
    units: tuple[int, ...] = ()  # the number of each study's patient; () if no study names one
    model: Mapping[str, str] = field(default_factory=dict)  # "name" and "sha256" of the model that wrote the reports
    failed: Mapping[str, frozenset[str]] = field(default_factory=dict)  # studies without a score, by metric
    problems: Mapping[str, str] = field(default_factory=dict)  # metric: why it has no score


def save_evaluation(
    evaluation: Evaluation, folder: Path, *, model: Mapping[str, str] | None = None, raw_cells: bool = False
) -> None:
    """Write the files of an evaluation into a folder, each whole or not at all.

    `model` has the "name" and the "sha256" of the model that wrote the reports, if they are known. Texts of scores.csv
    that a spreadsheet would run are guarded unless `raw_cells`.
    """
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    shown = tables(evaluation)
    atomic_write(folder / "scores.json", as_json({**evaluation.to_json(), "model": dict(model or {})}))
    atomic_write(folder / "scores.csv", evaluation_csv(evaluation, raw_cells=raw_cells))
    atomic_write(folder / "scores.md", as_markdown(shown))
    atomic_write(folder / "scores.tex", as_latex(shown))
    rows = [
        {"id": s.id, "prediction": s.prediction, "references": list(s.references), "scores": dict(s.scores),
         "subsets": list(s.subsets), "labels": {k: list(v) for k, v in s.labels.items()},
         "images": [Path(name).name for name in s.images]}
        for s in evaluation.studies
    ]  # fmt: skip
    lines = (json.dumps(finite(row), ensure_ascii=False) + "\n" for row in rows)
    atomic_write(folder / "studies.jsonl", "".join(lines))
    if evaluation.statistics:
        atomic_write(folder / "statistics.safetensors", save(dict(evaluation.statistics)))


def load_evaluation(path: Path) -> SavedEvaluation:
    """Read a folder that `save_evaluation` wrote, or its scores.json. Raises DataError."""
    file = path / "scores.json" if path.is_dir() else path
    values = read_json(file, DataError, hint="rg eval --out FOLDER writes one")
    try:
        if not is_format(values.get("format"), 1):
            raise DataError(f"{file}: scores of format {values.get('format')!r}; this reportgen reads format 1")
        card = card_from_json(values["card"])
        systems = tuple(system_from_json(s) for s in values["systems"])
        studies, metrics = tuple(values["studies"]), dict(values["metrics"])
        units = tuple(map(int, values.get("units", ())))
        model = {str(k): str(v) for k, v in values.get("model", {}).items()}
        failed = _failed(values.get("failed", ()), systems)
        problems = {str(k): str(v) for k, v in values.get("problems", {}).items()}
        if len(units) not in (0, len(studies)):
            raise ValueError(f"{len(units)} units of {len(studies)} studies")
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise DataError(f"{file}: no scores that rg eval --out wrote: {type(e).__name__}: {e}") from e
    name = systems[0].name if systems and systems[0].name != "reports" else file.resolve().parent.name
    statistics = _statistics(file.parent / "statistics.safetensors")
    return SavedEvaluation(
        name, card, systems, studies, metrics, statistics, units, model, failed=failed, problems=problems
    )


def _failed(rows: Sequence[Mapping[str, str]], systems: Sequence[System]) -> dict[str, frozenset[str]]:
    """Return by metric the studies of the first system that it could not score, from the rows of scores.json."""
    own = [(row["metric"], row["study"]) for row in rows if row["system"] == systems[0].name]
    return {metric: frozenset(s for m, s in own if m == metric) for metric, _ in own}


def _statistics(path: Path) -> dict[str, Array]:
    if not path.is_file():
        return {}
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as e:
        raise DataError(f"{path}: {e}") from e
