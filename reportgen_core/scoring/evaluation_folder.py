"""An evaluation as a folder: scores, texts of the studies and statistics, and back again for a comparison.

scores.json      card, systems, notes: no report text
scores.csv       one row a number
scores.md, .tex  the tables
studies.jsonl    one study a line: reference, prediction, scores (medical text: it stays where the user puts it)
statistics.safetensors   what a paired test needs
probabilities.jsonl      one study a line: of each metric and class the probability and the label; only of a model
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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
    from .abilities.metrics import LabelledP

PROBABILITIES = "probabilities.jsonl"


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
    reliability: Mapping[str, tuple[tuple[float, float, int], ...]] = field(default_factory=dict)  # by metric


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
    for name in ("statistics.safetensors", PROBABILITIES):  # those of an earlier evaluation would be taken for ours
        (folder / name).unlink(missing_ok=True)
    if evaluation.statistics:
        atomic_write(folder / "statistics.safetensors", save(dict(evaluation.statistics)))
    if evaluation.probabilities:
        atomic_write(folder / PROBABILITIES, "".join(_probability_lines(evaluation)))


def _probability_lines(evaluation: Evaluation) -> Iterator[str]:
    """Yield a line for each study. Nine digits keep the order of all numbers of single precision."""
    for i, study in enumerate(evaluation.studies):
        values = {
            metric: {name: [p if p is None else float(f"{p:.9g}"), y] for name, (p, y) in of_study.items()}
            for metric, classes in evaluation.probabilities.items()
            if (of_study := {name: pairs[i] for name, pairs in classes.items()})
        }
        yield json.dumps({"id": study.id, **values}, ensure_ascii=False) + "\n"


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
        curves = values.get("reliability", {})
        reliability = {k: tuple((float(p), float(s), int(n)) for p, s, n in v) for k, v in curves.items()}
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
        name, card, systems, studies, metrics, statistics, units, model, failed=failed, problems=problems,
        reliability=reliability,
    )  # fmt: skip


def load_probabilities(folder: Path, studies: Sequence[str]) -> dict[str, dict[str, list[LabelledP]]]:
    """Return by metric and class the probability and the label of each study, in order; {} if none were saved.

    A study without a line has (None, None). Raises DataError for a line that `save_evaluation` did not write.
    """
    path = folder / PROBABILITIES
    if not path.is_file():
        return {}
    place = {id: i for i, id in enumerate(studies)}
    values: dict[str, dict[str, list[LabelledP]]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        try:
            row = json.loads(line) if line else {}
            at = place.get(row.pop("id", ""))
            if at is not None:
                _add_probabilities(values, row, at, len(studies))
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise DataError(f"{path}, line {number}: no probabilities of a study: {type(e).__name__}: {e}") from e
    return values


def _add_probabilities(
    values: dict[str, dict[str, list[LabelledP]]], row: Mapping[str, Any], at: int, count: int
) -> None:
    """Write the pairs of study number `at` of `count` into `values`."""
    for metric, classes in row.items():
        for name, (p, y) in classes.items():
            pairs = values.setdefault(metric, {}).setdefault(name, [])
            pairs += [(None, None)] * (count - len(pairs))
            pairs[at] = (None if p is None else float(p), None if y is None else float(y))


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
