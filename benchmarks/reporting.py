"""Measure reports of a folder of radiographs: densenet121 × hier-lstm at 224 pixels, batch 32, and the encoder alone.

The images are read from the cache, or from PNG files of 1,024 pixels: by threads between the batches, which is what
`rg report` does on a processor, or by a worker process beside them. Freed memory is kept, as there. Weights are random,
so each report has 6 sentences of up to 30 words; the reports of a trained model are shorter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.measure import Row, Spread, emit, in_turns, per_second, ratio
from reportgen_core import Model, Study, View, compose
from reportgen_core.data import normalise
from reportgen_core.models import PartPrecisions, part_precisions, to_channels_last
from reportgen_core.models.computing.heap import keep_freed_memory
from reportgen_core.text.spec import TextSpec, Vocabulary

IMAGES, BATCH = 64, 32


def model() -> Model:
    """Return a model with random weights, 1,000 words and 210 tags."""
    words = Vocabulary(f"w{i}" for i in range(996))
    tags = tuple(f"tag{i}" for i in range(210))
    text = TextSpec(max_sentences=6, max_words=30)
    return compose(encoder="densenet121", decoder="hier-lstm", text=text, vocabulary=words, tags=tags).eval()


def radiographs(folder: Path, count: int, pixels: int) -> list[Study]:
    """Write smooth noise as grey PNG files, and return a study for each."""
    draw = np.random.default_rng(0)
    studies = []
    for i in range(count):
        small = Image.fromarray(draw.integers(0, 256, (32, 32)).astype(np.uint8))
        path = folder / f"{i:04d}.png"
        small.resize((pixels, pixels), Image.Resampling.BICUBIC).save(path)
        studies.append(Study(path.stem, (View(path),)))
    return studies


def encode(model: Model, count: int, precisions: PartPrecisions) -> None:
    """Run the encoder alone on images in memory, in the layout and the precision of reports."""
    pixels = torch.zeros(BATCH, 1, 224, 224, dtype=torch.uint8)
    with torch.inference_mode(), precisions.of_encoder():
        for _ in range(count // BATCH):
            model.encoder(normalise(pixels, model.encoder.image))


def report(model: Model, studies: Sequence[Study], cache: Path | None, workers: int) -> None:
    model.report_studies(studies, batch_size=BATCH, workers=workers, cache=cache)


def main() -> None:
    keep_freed_memory()
    writer = model()
    to_channels_last(writer.encoder)
    picked = part_precisions(writer)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        studies = radiographs(folder, IMAGES, 1024)
        report(writer, studies, folder / "cache", 0)  # fills the cache
        alone, cached, decoded, helped = in_turns(
            lambda: encode(writer, IMAGES, picked),
            lambda: report(writer, studies, folder / "cache", 0),
            lambda: report(writer, studies, None, 0),
            lambda: report(writer, studies, None, 1),
        )

    def rate(seconds: list[float]) -> Spread:
        return per_second(IMAGES, seconds)

    against = "the bare encoder's speed"
    emit(
        [
            Row(f"bare `densenet121`, {IMAGES} images of 224 pixels, batch {BATCH}, {picked.encoder}",
                rate(alone), "images/s"),
            Row("reports, `densenet121` × `hier-lstm`, images in the cache", rate(cached), "images/s",
                ratio(alone, cached), against, 0.9),
            Row("reports of 1,024-pixel PNG files, decoded by threads", rate(decoded), "images/s",
                ratio(alone, decoded), against),
            Row("reports of 1,024-pixel PNG files, decoded in a worker", rate(helped), "images/s",
                ratio(alone, helped), against),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
