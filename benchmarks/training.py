"""A training step beside what it is made of: the encoder's forward and backward, and the decoder's.

densenet121 × hier-lstm at 224 pixels, batch 16, reports of 6 sentences × 10 words, images in the cache.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.measure import Row, emit
from benchmarks.reporting import radiographs
from reportgen_core import Study, TrainSettings, compose, train
from reportgen_core.data.batches import Reader, batches, normalise
from reportgen_core.models.model import to_channels_last
from reportgen_core.text.spec import TextSpec
from reportgen_core.training.log import read_log
from reportgen_core.training.loop import weighted
from reportgen_core.types import Features

BATCH, STEPS = 16, 6
TEXT = TextSpec(max_sentences=6, max_words=30)


def studies(folder: Path) -> list[Study]:
    """Reports of 6 sentences × 10 words out of 1,000."""
    draw = torch.Generator().manual_seed(0)
    made = []
    for n, study in enumerate(radiographs(folder, BATCH * STEPS, 256)):
        ids = torch.randint(1000, (6, 10), generator=draw).tolist()
        text = " ".join(" ".join(f"word{i}" for i in row) + "." for row in ids)
        made.append(replace(study, sections={"findings": text}, tags=(f"tag{n % 20}", f"tag{n % 7}")))
    return made


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = studies(folder)
        start = compose(encoder="densenet121", decoder="hier-lstm", text=TEXT)
        train(
            start, data, out=folder / "warm", settings=TrainSettings(epochs=1, batch_size=BATCH), cache=folder / "cache"
        )
        model = train(
            start, data, out=folder / "run", settings=TrainSettings(epochs=1, batch_size=BATCH), cache=folder / "cache"
        )
        records = [r for r in read_log(folder / "run" / "log.jsonl") if r["kind"] == "step"][1:]
        encoder, decoder = parts(model, data, folder / "cache")
    step = min(r["seconds"] for r in records)
    waited = sum(r["waited"] for r in records) / sum(r["seconds"] for r in records)
    emit(
        [
            Row("encoder, forward and backward", 1000 * encoder, "ms a batch of 16"),
            Row("decoder, forward and backward", 1000 * decoder, "ms a batch of 16"),
            Row(
                "training step, all of it",
                1000 * step,
                "ms",
                step / (encoder + decoder),
                "encoder + decoder",
                1.15,
                True,
            ),
            Row("of which the loader made it wait", 100 * waited, "%"),
        ]
    )


def parts(model, data, cache: Path) -> tuple[float, float]:  # type: ignore[no-untyped-def]
    """Seconds of forward and backward of the bare encoder and of the bare decoder, the quickest of several."""
    model.train()
    to_channels_last(model.encoder)
    order = [list(range(i * BATCH, (i + 1) * BATCH)) for i in range(STEPS)]
    read = list(batches(data, Reader(model.encoder.image, model.text, model.targets, cache), order))
    times = []
    for batch in read:
        model.zero_grad()
        a = time.perf_counter()
        features = model.encoder(normalise(batch.pixels, model.encoder.image), batch.mask)
        features.tokens.sum().backward()
        b = time.perf_counter()
        seen = Features(
            features.tokens.detach().requires_grad_(), features.pooled.detach().requires_grad_(), features.mask
        )
        weighted(model.decoder(seen, batch.targets).losses, {}).backward()
        times.append((b - a, time.perf_counter() - b))
    return min(t[0] for t in times), min(t[1] for t in times)


if __name__ == "__main__":
    main()
