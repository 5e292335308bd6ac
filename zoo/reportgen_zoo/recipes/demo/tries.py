"""Compare ways to teach the encoder of the demonstration model: one table, one split, one budget.

    python -m reportgen_zoo.recipes.demo.tries --data DATA --out OUT [NAME ...]

DATA is that of the recipe. Each way sees the same number of radiographs of ChestX-ray14 at 112 pixels, a quarter of
what the recipe's first phase sees, so that all ways together take an afternoon. What comes before them is extra:

plain     EfficientNet-Lite2 with Log-Sum-Exp over the tokens, as the recipe
mean      the same with the mean over the tokens
lite1     EfficientNet-Lite1, which is smaller
phantom   the same as plain, after the findings of synthetic radiographs were learned
agree     the same as plain, after two changed copies of an image were made to agree, without labels (VICReg,
          Bardes et al., ICLR 2022, arXiv:2105.04906)

Two more go on from the model that ships: `at 192` and `at 224` see the same radiographs at these sizes. OUT gets
tries.json, with the mean AUC of 12 findings on validation and on the held-out images, each with an interval of 1,000
draws of patients. A way that tries.json already has is not taught again.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reportgen_core import Study
from reportgen_core.files.json_files import write_json
from reportgen_core.models.loading import load_model
from reportgen_core.registries import datasets, encoders

from . import build, encoder
from .changes import augment, move
from .encoder import Classifier, Images, Phase
from .language import FINDINGS, TWELVE
from .score import area, resampled

IMAGES, SIZE, RATE = 6_400, 112, 1e-3  # what every way sees of ChestX-ray14
BEFORE = 9_600  # images that the warm-ups see
LATER, LATER_RATE = 3_200, 1e-4  # images that the model that ships sees again
SHIPS = Path(__file__).parents[2] / "models" / "tf_efficientnet_lite2-templates.nih_v2"
COUNTED = [FINDINGS.index(name) for name in TWELVE]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Data:
    """The images of the splits, and where the weights and the synthetic radiographs are."""

    train: Images
    val: Images
    test: Images
    patients: dict[str, list[str]]  # of val and test, one for each image
    folder: Path


class MeanClassifier(Classifier):
    """A classifier that takes the mean over the tokens in place of Log-Sum-Exp."""

    def pool(self, s: Tensor) -> Tensor:
        """Return the logits (n, C) of the logits of tokens (n, N, C)."""
        return s.mean(1)


def started(data: Data, weights: str = "lite2", kind: type[Classifier] = Classifier) -> Classifier:
    """Return a classifier that starts from ImageNet weights."""
    file = data.folder / f"imagenet-{weights}.safetensors"
    encoder.convert(file, weights)
    torch.manual_seed(encoder.SEED)
    model = kind(encoders.create(f"timm/tf_efficientnet_{weights}", size=SIZE, pretrained=str(file)))
    return model.to(memory_format=torch.channels_last)


def learn(parts: Sequence[nn.Module], loss: Callable[[list[int]], Tensor], count: int, images: int) -> None:
    """Train parts with a loss of the numbers of a batch's images, out of `count`, until `images` were seen."""
    draw, steps = np.random.default_rng(encoder.SEED), images // encoder.BATCH
    parameters = [p for part in parts for p in part.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=encoder.DECAY)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.15)
    rows = encoder.batches(count, draw)
    for step in range(steps):
        value = loss(next(rows))
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()
        rates.step()
        if (step + 1) % 100 == 0:
            log.info("warm-up, step %d of %d: loss %.4f", step + 1, steps, value.item())


def learn_phantom(model: Classifier, data: Data, n: int = 12_000) -> None:
    """Teach the encoder the findings of synthetic radiographs of 128 pixels, with a head that is then thrown away."""
    root = data.folder / "phantom"
    phantom = datasets.create("phantom", root, n=n, size=128, views=1, normal=0.0, abundance=2.5)
    studies = list(phantom.read().studies)
    names = sorted(studies[0].labels)
    targets = torch.tensor([[float(study.labels[name] == 1) for name in names] for study in studies])
    pixels = _Read(studies)
    draw = np.random.default_rng(encoder.SEED)
    head = Classifier(model.encoder, len(names))

    def loss(rows: list[int]) -> Tensor:
        images = torch.stack([augment(encoder.square(pixels[i]), draw) for i in rows])
        return F.binary_cross_entropy_with_logits(head.train()(move(images, SIZE, draw)), targets[rows])

    learn([head], loss, len(studies), BEFORE)


class _Read:
    """Reads the image of a study when it is needed: those of the phantom are seen once."""

    def __init__(self, studies: Sequence[Study]) -> None:
        self.studies = studies

    def __getitem__(self, number: int) -> Any:
        return encoder.read_pixels(self.studies[number])


def learn_to_agree(model: Classifier, data: Data) -> None:
    """Make the pooled features of two changed copies of an image agree, and those of a batch differ (VICReg, eq. 6)."""
    dim, draw = model.encoder.features.dim, np.random.default_rng(encoder.SEED)
    projector = nn.Sequential(nn.Linear(dim, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 512))

    def seen(rows: list[int]) -> Tensor:
        images = torch.stack([augment(encoder.square(data.train.pixels[i]), draw) for i in rows])
        tokens = model.train().tokens(move(images, SIZE, draw))  # (n, N, D)
        z: Tensor = projector(tokens.mean(1))
        return z

    learn([model.encoder, projector], lambda rows: vicreg(seen(rows), seen(rows)), len(data.train.pixels), BEFORE)


def vicreg(a: Tensor, b: Tensor) -> Tensor:
    """Return the loss of two views (n, d): 25 × invariance + 25 × variance + 1 × covariance (eqs. 1, 3, 5, 6)."""
    total = 25 * F.mse_loss(a, b)
    for z in (a, b):
        centred = z - z.mean(0)
        total = total + 25 * F.relu(1 - (centred.var(0) + 1e-4).sqrt()).mean()
        covariance = centred.T @ centred / (len(z) - 1)  # (d, d)
        total = total + (covariance.square().sum() - covariance.diagonal().square().sum()) / z.shape[1]
    return total


def on(data: Data) -> Classifier:
    """Return the classifier of the model that ships."""
    shipped = load_model(SHIPS)
    model = Classifier(shipped.encoder)
    with torch.no_grad():
        linear = shipped.head.findings
        assert isinstance(linear, nn.Linear)
        model.head.weight[: len(FINDINGS)] = linear.weight
        model.head.bias[: len(FINDINGS)] = linear.bias
    return model.to(memory_format=torch.channels_last)


def way(name: str, data: Data) -> tuple[Classifier, Phase]:
    """Return the classifier of a way before it sees ChestX-ray14, and what it then sees."""
    phase = Phase(SIZE, IMAGES, RATE)
    if name.startswith("at "):
        return on(data), Phase(int(name[3:]), LATER, LATER_RATE)
    if name == "lite1":
        return started(data, "lite1"), phase
    model = started(data, kind=MeanClassifier if name == "mean" else Classifier)
    if name == "phantom":
        learn_phantom(model, data)
    if name == "agree":
        learn_to_agree(model, data)
    return model, phase


WAYS = ("plain", "mean", "lite1", "phantom", "agree", "at 192", "at 224")


def scored(model: Classifier, images: Images, patients: Sequence[str], size: int) -> list[float]:
    """Return the mean AUC of 12 findings, and the ends of its 95 % interval."""
    z = encoder.predict(model, images.pixels, size).double().numpy()
    y = images.targets.double().numpy()

    def mean(rows: Any) -> float:
        return float(np.nanmean([area(z[rows, k], y[rows, k]) for k in COUNTED]))

    return [round(v, 4) for v in (mean(slice(None)), *resampled(mean, patients))]


def main() -> None:
    """Run the ways that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the folders of radiographs")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("names", nargs="*", choices=[*WAYS, []], help="ways; all if none is named")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    arguments.out.mkdir(parents=True, exist_ok=True)
    studies = build.read_all(arguments.data)
    of = {split: [s for s in studies if s.split == split] for split in ("train", "val", "test")}
    images = {split: encoder.read_images(group) for split, group in of.items()}
    patients = {split: [s.patient for s in of[split]] for split in ("val", "test")}
    data = Data(images["train"], images["val"], images["test"], patients, arguments.out)
    file = arguments.out / "tries.json"
    rows = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    for name in arguments.names or WAYS:
        if name in rows:
            continue
        begun = time.monotonic()
        torch.manual_seed(encoder.SEED)
        model, phase = way(name, data)
        taught = encoder.teach(model, data.train, data.val, arguments.out, [phase])
        rows[name] = {
            "val": scored(taught, data.val, patients["val"], phase.size),
            "test": scored(taught, data.test, patients["test"], phase.size),
            "seconds": round(time.monotonic() - begun),
        }
        write_json(file, rows, sort=False)
        print(name, rows[name], flush=True)


if __name__ == "__main__":
    main()
