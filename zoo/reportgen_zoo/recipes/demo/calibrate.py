"""Put the finished model together: encoder, decoder `templates`, calibrated probabilities and thresholds.

All is chosen on validation studies of the sizes that taught. Platt scaling makes probabilities. A finding is mentioned
only if the 95 % interval of its AUC, patients drawn, stays above 0.6 and at least ten studies have it. One threshold is
common to all these findings: the one with the best F1 among those at which a harmless change of the images
(`changes.TESTED`) changes the stated findings of at most `STEADY` of the studies, in the mean over the changes. From
half of it on a finding is called possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from reportgen_core import Model, Study, compose
from reportgen_core.data.batches import normalise, read_batches
from reportgen_core.data.images import prepare, read_image
from reportgen_core.text.spec import TextSpec, Vocabulary

from .build import MAIN
from .changes import TESTED
from .encoder import ENCODER, SHARPNESS, SIZE, Classifier
from .language import FINDINGS, NOTHING, PHRASES
from .score import Numbers, area, area_interval

STEADY, LEAST_AUC, LEAST, SILENT = 0.05, 0.6, 10, 2.0  # SILENT: a threshold that no probability reaches


@dataclass(frozen=True, slots=True)
class Speech:
    """The calibration and the thresholds of one finding, and what they were chosen by."""

    finding: str
    positives: int
    auc: float
    auc_low: float
    auc_high: float
    scale: float
    shift: float
    possible: float
    stated: float

    @property
    def mentioned(self) -> bool:
        """Return whether reports may name the finding."""
        return self.stated < SILENT


def put_together(classifier: Classifier) -> Model:
    """Return the model of a taught encoder. It is not calibrated yet."""
    model = compose(
        ENCODER,
        "templates",
        encoder_options={"size": SIZE},
        decoder_options={
            "phrases": {name: list(pair) for name, pair in PHRASES.items()},
            "nothing": NOTHING,
            "sharpness": SHARPNESS,
        },
        text=TextSpec(max_sentences=len(FINDINGS), max_words=12),
        vocabulary=Vocabulary(["."]),
        findings=FINDINGS,
    )
    model.encoder.load_state_dict(classifier.encoder.state_dict())
    with torch.no_grad():
        model.head.findings.weight.copy_(classifier.head.weight[: len(FINDINGS)])  # type: ignore[union-attr, operator]
        model.head.findings.bias.copy_(classifier.head.bias[: len(FINDINGS)])  # type: ignore[union-attr, operator]
    return model.eval()


@torch.inference_mode()
def logits(model: Model, studies: Sequence[Study]) -> Numbers:
    """Return the uncalibrated logits (n, L) of studies, in their order."""
    rows: dict[str, Numbers] = {}
    for batch, _ in read_batches(studies, model.encoder.image, batch_size=32):
        z = model.head.logits(model.encode(batch))  # type: ignore[operator]
        rows |= zip(batch.ids, z.double().numpy(), strict=True)
    return np.stack([rows[study.id] for study in studies])


def truths(studies: Sequence[Study]) -> Numbers:
    """Return the labels (n, L) of studies, 0/1."""
    return np.array([[study.labels[name] for name in FINDINGS] for study in studies])


def calibrate(model: Model, studies: Sequence[Study]) -> list[Speech]:
    """Set the calibration and the thresholds of a model by validation studies, and return them."""
    z, y, patients = logits(model, studies), truths(studies), [study.patient for study in studies]
    scaled = [platt(z[:, k], y[:, k]) for k in range(len(FINDINGS))]
    p = probabilities(z, scaled)
    ends = [area_interval(z[:, k], y[:, k], patients) for k in range(len(FINDINGS))]
    mentioned = [low > LEAST_AUC and y[:, k].sum() >= LEAST for k, (low, _) in enumerate(ends)]
    steady = [probabilities(other, scaled)[:, mentioned] for other in changed_logits(model, studies)]
    stated = common_threshold(p[:, mentioned], y[:, mentioned], int(y.sum()), steady)
    speech = [
        Speech(
            name, int(y[:, k].sum()), area(z[:, k], y[:, k]), *ends[k], *scaled[k],
            stated / 2 if mentioned[k] else SILENT, stated if mentioned[k] else SILENT,
        )
        for k, name in enumerate(FINDINGS)
    ]  # fmt: skip
    fields = ("scale", "shift", "possible", "stated")
    model.head.speak_by(**{f: [asdict(s)[f] for s in speech] for f in fields})  # type: ignore[operator]
    return speech


def platt(z: Numbers, y: Numbers) -> tuple[float, float]:
    """Return scale and shift of Platt scaling. The scale is above 0, so that the order of studies stays."""
    from sklearn.linear_model import LogisticRegression

    if len(set(y)) == 2:
        fit = LogisticRegression(C=10.0).fit(z[:, None], y)
        scale = float(fit.coef_[0, 0])
        if scale > 0.05:
            return scale, float(fit.intercept_[0])
    share = float(np.clip(y.mean(), 1e-3, 1 - 1e-3))  # z says nothing: the probability is the finding's share
    return 0.05, float(np.log(share / (1 - share)) - 0.05 * z.mean())


def probabilities(z: Numbers, scaled: Sequence[tuple[float, float]]) -> Numbers:
    """Return the calibrated probabilities (n, L) of logits (n, L)."""
    return 1 / (1 + np.exp(-np.stack([a * z[:, k] + b for k, (a, b) in enumerate(scaled)], 1)))


@torch.inference_mode()
def changed_logits(model: Model, studies: Sequence[Study]) -> list[Numbers]:
    """Return logits (n, L) of one study of each patient of `MAIN`: as it is, and after each of the tested changes."""
    firsts = {study.patient: study for study in studies if study.extra["source"] == MAIN}.values()
    images = [torch.from_numpy(read_image(study.views[0].path))[None].float() for study in firsts]
    spec, tables = model.encoder.image, []
    for change in (lambda x: x, *TESTED.values()):
        rows = []
        for i in range(0, len(images), 32):
            pixels = np.stack([prepare(change(x)[0].clamp(0, 1).numpy(), spec) for x in images[i : i + 32]])
            x = normalise(torch.from_numpy(pixels)[:, None], spec)[:, 0]
            rows.append(model.head.logits(model.encoder.encode(x)).double().numpy())  # type: ignore[operator]
        tables.append(np.concatenate(rows))
    return tables


def common_threshold(p: Numbers, y: Numbers, present: int, steady: Sequence[Numbers]) -> float:
    """Return the threshold of probabilities (n, L) with the best micro F1 among those that harmless changes respect.

    `present` is the number of findings in the labels, those that are never mentioned among them. `steady` has the
    probabilities (m, L) of images as they are, and after each change. If no threshold is steady enough, the steadiest
    is returned.
    """
    best, steadiest = (-1.0, 0.5), (2.0, 0.5)
    for threshold in np.arange(0.10, 0.91, 0.01):
        said = p >= threshold
        f1 = 2 * int((said & (y == 1)).sum()) / max(int(said.sum()) + present, 1)
        same = steady[0] >= threshold
        changed = [float(((q >= threshold) != same).any(1).mean()) for q in steady[1:]]
        steadiest = min(steadiest, (float(np.mean(changed or [0.0])), float(threshold)))
        if np.mean(changed or [0.0]) <= STEADY:
            best = max(best, (f1, float(threshold)))
    return round(best[1] if best[0] >= 0 else steadiest[1], 2)
