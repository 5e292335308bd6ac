"""Test the finished demonstration model where it may have learned the wrong thing, or look at the wrong place.

- The same image at another size, compression, contrast, border, or with burnt-in letters must state the same findings.
- AUC at 64, 128 and 320 pixels, on other sources, and of a classifier that sees no picture: the patient's number, the
  size of the file, and the mean grey. A short cut would lie there.
- The attention of a finding's sentence: how often its highest place lies in the finding's box, against chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from reportgen_core import Features, Model, Study
from reportgen_core.data.batches import normalise, read_batches
from reportgen_core.data.images import prepare, read_image

from .calibrate import truths
from .changes import TESTED, resize
from .language import FINDINGS, TWELVE, read_labels
from .score import Numbers, area, area_interval, resampled

Areas = dict[str, list[float]]


def changed_findings(model: Model, studies: Sequence[Study]) -> dict[str, float]:
    """Return for each change the share of studies whose stated findings it changes."""
    images = [torch.from_numpy(read_image(s.views[0].path))[None].float() for s in studies]
    original = _stated(model, [x[0].numpy() for x in images])
    shares = {}
    for name, change in TESTED.items():
        stated = _stated(model, [change(x)[0].clamp(0, 1).numpy() for x in images])
        shares[name] = float(np.mean([a != b for a, b in zip(original, stated, strict=True)]))
    return shares


def _stated(model: Model, images: Sequence[Any]) -> list[tuple[str, ...]]:
    return [read_labels(report.text) for report in model.report(list(images), precision="fp32")]


@torch.inference_mode()
def logits_at(model: Model, studies: Sequence[Study], side: int) -> Numbers:
    """Return the logits (n, L) of images that were first made `side` pixels wide and high."""
    by_id = {study.id: study for study in studies}
    rows: dict[str, Numbers] = {}
    for batch, _ in read_batches(studies, model.encoder.image, batch_size=32):
        images = [torch.from_numpy(read_image(by_id[name].views[0].path))[None].float() for name in batch.ids]
        pixels = [prepare(resize(x, side)[0].clamp(0, 1).numpy(), model.encoder.image) for x in images]
        shrunk = replace(batch, pixels=torch.from_numpy(np.stack(pixels))[:, None])
        z = model.head.logits(model.encode(shrunk))  # type: ignore[operator]
        rows |= zip(batch.ids, z.double().numpy(), strict=True)
    return np.stack([rows[study.id] for study in studies])


def areas(z: Numbers, y: Numbers, patients: Sequence[str], least: int = 8) -> Areas:
    """Return by finding its AUC, the ends of the 95 % interval, and the number of positives, if there are enough."""
    return {
        name: [round(v, 3) for v in (area(z[:, k], y[:, k]), *area_interval(z[:, k], y[:, k], patients))]
        + [int(y[:, k].sum())]
        for k, name in enumerate(FINDINGS)
        if y[:, k].sum() >= least
    }


def mean_area(table: Areas) -> float:
    """Return the mean AUC over twelve findings."""
    return float(np.mean([row[0] for name, row in table.items() if name in TWELVE]))


def blind_areas(train: Sequence[Study], test: Sequence[Study]) -> Areas:
    """Return the AUC of gradient boosting that sees the patient's number, the file's size and the mean grey alone."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    x, y, seen, truth = _facts(train), truths(train), _facts(test), truths(test)
    z = np.zeros(truth.shape)
    for k in range(len(FINDINGS)):
        if y[:, k].sum() >= 5:
            z[:, k] = (
                HistGradientBoostingClassifier(max_iter=100, random_state=0).fit(x, y[:, k]).predict_proba(seen)[:, 1]
            )
    return areas(z, truth, [s.patient for s in test])


def _facts(studies: Sequence[Study]) -> Numbers:
    rows = [
        (s.extra["patient number"], s.views[0].path.stat().st_size, read_image(s.views[0].path).mean()) for s in studies
    ]
    return np.array(rows, float)


def probe_areas(encoder: Any, train: Sequence[Study], test: Sequence[Study]) -> Areas:
    """Return the AUC of a linear probe on the frozen encoder's pooled features: the floor."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    x, seen, y, truth = _pooled(encoder, train), _pooled(encoder, test), truths(train), truths(test)
    scaler = StandardScaler().fit(x)
    z = np.zeros(truth.shape)
    for k in range(len(FINDINGS)):
        if y[:, k].sum() >= 5:
            fit = LogisticRegression(C=0.001, max_iter=500, class_weight="balanced").fit(scaler.transform(x), y[:, k])
            z[:, k] = fit.decision_function(scaler.transform(seen))
    return areas(z, truth, [s.patient for s in test])


@torch.inference_mode()
def _pooled(encoder: Any, studies: Sequence[Study]) -> Numbers:
    rows = []
    for batch, _ in read_batches(studies, encoder.image, batch_size=64):
        x = normalise(batch.pixels, encoder.image)[:, 0]
        rows.append(encoder.eval().encode(x).pooled.numpy())
    return np.concatenate(rows).astype(np.float64)


@torch.inference_mode()
def pointing(model: Model, studies: Sequence[Study], findings: Iterable[str]) -> dict[str, Any]:
    """Return the share of boxes in which the highest attention of their finding lies, and what chance gives.

    Chance is the box's share of the image, which is how often a place drawn evenly lies in it. Boxes of findings that
    reports do not name are left out.
    """
    named, hits, chances, patients = set(findings), [], [], []
    for study in studies:
        for box in study.boxes:
            if box.label in named:
                features = _features(model, study)
                s = model.head.token_logits(features)[0, :, FINDINGS.index(box.label)]  # type: ignore[operator]
                _, rows, columns = model.encoder.features.grid or (1, 1, 1)
                place = int(s.argmax())
                x, y = (place % columns + 0.5) / columns, (place // columns + 0.5) / rows
                inside = box.left <= x <= box.left + box.width and box.top <= y <= box.top + box.height
                hits.append(float(inside))
                chances.append(box.width * box.height)
                patients.append(study.patient)
    got, even = np.array(hits), np.array(chances)
    if not hits:
        return {"boxes": 0}
    return {
        "boxes": len(hits),
        "hit": round(float(got.mean()), 3),
        "interval": [round(v, 3) for v in resampled(lambda rows: float(got[rows].mean()), patients)],
        "chance": round(float(even.mean()), 3),
        "above chance": [round(v, 3) for v in resampled(lambda rows: float((got[rows] - even[rows]).mean()), patients)],
    }


def _features(model: Model, study: Study) -> Features:
    batch = next(iter(read_batches([study], model.encoder.image)))[0]
    return model.encode(batch)
