"""Score predicted findings where there are no reports: a model, the nearest image and a constant, by their AUC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reportgen_core import Model
from reportgen_core.annotation.roc import score_findings
from reportgen_core.data.images import default_cache
from reportgen_core.types import Report, Study

SHOWN = ("findings mean auc", "findings weighted-mean auc")
Scores = dict[str, dict[str, tuple[float, float | None, float | None]]]  # system: score: value, ends of its interval


def score_labels(model: Model, train: Sequence[Study], scored: Sequence[Study]) -> Scores:
    """Return the mean AUCs of a model's findings, of the labels of the nearest training image, and of a constant."""
    rows = [s for s in scored if s.labels]
    written = model.report_studies(rows, cache=default_cache())
    return {
        "model": _lines(written, rows),
        "nearest image": _lines(_nearest(model, train, rows), rows),
        "constant": dict.fromkeys(SHOWN, (0.5, None, None)),  # equal probabilities rank nothing
    }


def _nearest(model: Model, train: Sequence[Study], rows: Sequence[Study]) -> list[Report]:
    """Return for each study the labels of the training study with the nearest image features by cosine."""
    import numpy as np

    labelled = [s for s in train if s.labels]
    features = model.pooled_features((*labelled, *rows), cache=default_cache())
    known = [s for s in labelled if s.id in features]
    matrix = np.stack([features[s.id] for s in known])
    matrix = matrix / np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    names = sorted({name for s in known for name in s.labels})
    reports = []
    for study in rows:
        nearest = known[int((matrix @ features[study.id]).argmax())]
        reports.append(Report(study.id, "", findings={n: float(nearest.labels.get(n, 0.0) == 1) for n in names}))
    return reports


def _lines(reports: Sequence[Report], rows: Sequence[Study]) -> dict[str, tuple[float, float | None, float | None]]:
    lines: Mapping[str, tuple[float, float | None, float | None]] = {
        line.name: (line.value, line.low, line.high) for line in score_findings(reports, rows).lines
    }
    return {name: lines[name] for name in SHOWN if name in lines}
