"""Thresholds of findings: a finding is present if its probability is at least its threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import CheckpointError
from ..files.json_files import is_format, read_json, write_json

if TYPE_CHECKING:
    from ..types import Array


THRESHOLDS = "thresholds.json"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The threshold of each finding, 0..1, and the facts of the studies on which it was chosen.

    `f1` is the F1 with the threshold, and `positives` the number of studies in which the finding is present.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    f1: Mapping[str, float] = field(default_factory=dict)
    positives: Mapping[str, int] = field(default_factory=dict)
    studies: int = 0
    source: str = ""

    def of(self, finding: str) -> float:
        """Return the threshold of a finding; 0.5 if none was chosen for it."""
        return self.values.get(finding, 0.5)


def choose_thresholds(
    findings: Sequence[str], probabilities: Array, labels: Array, source: str = "", unsaid: float = 0.0
) -> Thresholds:
    """Choose for each finding the threshold with the largest F1.

    `probabilities` and `labels` are (studies, findings). A label is 1, 0, -1 (uncertain, left out), or nan, for which
    `unsaid` is taken. A finding without positives or without negatives gets no threshold.
    """
    values, f1, positives = {}, {}, {}
    for k, name in enumerate(findings):
        gold = np.where(np.isnan(labels[:, k]), unsaid, labels[:, k])
        certain = gold >= 0
        scores, true = probabilities[certain, k], gold[certain] == 1
        positives[name] = int(true.sum())
        if 0 < true.sum() < len(true):
            values[name], f1[name] = _best_f1(scores, true)
    return Thresholds(values, f1, positives, len(labels), source)


def _best_f1(scores: Array, true: Array) -> tuple[float, float]:
    """Return the threshold with the largest F1, and the F1. The threshold lies in the middle between two scores.

    Of thresholds with equal F1 the highest is returned.
    """
    order = np.argsort(-scores, kind="stable")
    s, hits = scores[order], np.cumsum(true[order])
    last = np.flatnonzero(np.append(s[1:] != s[:-1], True))  # equal scores are on one side of every threshold
    f1 = 2 * hits[last] / (last + 1 + hits[-1])
    best = int(np.argmax(f1))
    below = s[last[best] + 1] if best + 1 < len(last) else 0.0
    return float((s[last[best]] + below) / 2), float(f1[best])


def save_thresholds(folder: Path, thresholds: Thresholds) -> Path:
    """Write thresholds.json into a model's folder, whole or not at all. Raises CheckpointError if it cannot."""
    rows = {
        name: {"threshold": thresholds.of(name), "f1": thresholds.f1.get(name), "positives": count}
        for name, count in thresholds.positives.items()
    }
    facts = {"format": 1, "rule": "largest F1", "studies": thresholds.studies, "source": thresholds.source}
    path = folder / THRESHOLDS
    try:
        write_json(path, {**facts, "findings": rows}, sort=False)
    except OSError as e:
        raise CheckpointError(f"cannot write {path}: {e.strerror}") from e
    return path


def load_thresholds(folder: Path, findings: Sequence[str]) -> Thresholds | None:
    """Read thresholds.json of a model's folder; return None if there is none.

    Raises CheckpointError if it is no file of thresholds, or if it belongs to a model with other findings.
    """
    path = folder / THRESHOLDS
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        rows: dict[str, Any] = dict(content["findings"])
        if not is_format(content["format"], 1) or set(rows) - set(findings):
            raise CheckpointError(f"{path} is of another model or format; choose thresholds anew: rg annotate --tune")
        values = {name: float(row["threshold"]) for name, row in rows.items()}
        positives = {name: int(row["positives"]) for name, row in rows.items()}
        f1 = {name: float(row["f1"]) for name, row in rows.items() if row["f1"] is not None}
        return Thresholds(values, f1, positives, int(content["studies"]), str(content["source"]))
    except (KeyError, TypeError, ValueError) as e:
        raise CheckpointError(f"{path} holds no thresholds: {e!r}; choose them anew: rg annotate --tune") from e
