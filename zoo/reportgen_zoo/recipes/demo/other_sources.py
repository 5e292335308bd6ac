"""Test the demonstration model on radiographs of other hospitals: children's pneumonia, and cases of COVID-19.

Kermany, Zhang, Goldbaum 2018 (doi 10.17632/rscbjbr9sj.2): radiographs of children, normal or with pneumonia. Cohen et
al., covid-chestxray, 2020, arXiv:2003.11597: published images with clinical notes; their findings are read by the
labeler `chexpert-rules` from the notes, where at least 20 studies state them. Neither teaches the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from reportgen_core import Model, Study, View
from reportgen_core.registries import metrics

from .build import rows_of
from .calibrate import logits
from .check import Areas
from .language import FINDINGS
from .score import area, area_interval

CHILDREN, COVID = "kermany_pediatric_320px", "covid_chestxray"
LEAST = 20  # studies with a finding
NAMES = {"Pleural Effusion": "Effusion"}  # where the labeler's name is not that of ChestX-ray14


def areas(model: Model, data: Path) -> dict[str, Areas]:
    """Return by source the AUC of each finding, its interval and the number of positives; sources may lack."""
    sources = {CHILDREN: _children, COVID: _covid}
    return {name: _areas(model, list(read(data / name))) for name, read in sources.items() if (data / name).is_dir()}


def _areas(model: Model, studies: list[Study]) -> Areas:
    z, patients = logits(model, studies), [s.patient for s in studies]
    table: Areas = {}
    for k, name in enumerate(FINDINGS):
        y = np.array([s.labels.get(name, 0.0) == 1 for s in studies], float)
        if LEAST <= y.sum() <= len(y) - LEAST:
            ends = area_interval(z[:, k], y, patients)
            table[name] = [*(round(v, 3) for v in (area(z[:, k], y), *ends)), int(y.sum())]
    return table


def _children(folder: Path) -> Iterator[Study]:
    for row in rows_of(folder):
        yield _study(folder, row, {"Pneumonia": float("Pneumonia" in row["labels"])}, row["patient"])


def _covid(folder: Path) -> Iterator[Study]:
    rows = [r for r in rows_of(folder) if r["clinical_notes"] and r["view"] in ("PA", "AP", "AP Supine")]
    labels = metrics.create("chexpert-rules").labels([row["clinical_notes"] for row in rows])  # type: ignore[attr-defined]
    for row, found in zip(rows, labels, strict=True):
        yield _study(folder, row, {NAMES.get(name, name): value for name, value in found.items()}, row["patientid"])


def _study(folder: Path, row: dict[str, Any], labels: dict[str, float], patient: str) -> Study:
    path = (folder / row["image"]).absolute()
    return Study(path.stem, views=(View(path, "frontal"),), labels=labels, patient=str(patient))
