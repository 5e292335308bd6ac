"""Compare a training step with its parts: forward and backward of the encoder, and of the decoder.

densenet121 × hier-lstm at 224 pixels, batch 16, reports of 6 sentences × 10 words, images in the cache. The training
runs in a thread of its own and takes one step for each turn, so that steps and parts are measured in turns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from threading import Semaphore
from typing import Any

import torch

from benchmarks.measure import PAIRS, Row, Run, Spread, emit, in_turns, milliseconds, ratio
from benchmarks.reporting import radiographs
from reportgen_core import Features, Model, Study, TrainSettings, compose, train
from reportgen_core.data import StudyReader, normalise
from reportgen_core.data.batches import batches
from reportgen_core.models import to_channels_last
from reportgen_core.text.spec import TextSpec
from reportgen_core.training import prepare_model, weighted
from reportgen_core.types import Batch

BATCH = 16
STEPS = 2 + PAIRS  # one before the first turn, one that warms up
TEXT = TextSpec(max_sentences=6, max_words=30)


def studies(folder: Path) -> list[Study]:
    """Return one batch of studies for each step, with reports of 6 sentences × 10 words out of 1,000."""
    draw = torch.Generator().manual_seed(0)
    studies = []
    for n, study in enumerate(radiographs(folder, BATCH * STEPS, 256)):
        ids = torch.randint(1000, (6, 10), generator=draw).tolist()
        text = " ".join(" ".join(f"word{i}" for i in row) + "." for row in ids)
        studies.append(replace(study, sections={"findings": text}, tags=(f"tag{n % 20}", f"tag{n % 7}")))
    return studies


@contextmanager
def steps(model: Model, data: Sequence[Study], folder: Path, records: list[Mapping[str, Any]]) -> Iterator[Run]:
    """Start one epoch of training and yield a run that takes its next step; `records` gets the log of the steps."""
    begin, done = Semaphore(0), Semaphore(0)

    def after_a_step(record: Mapping[str, Any]) -> None:
        if record["kind"] == "step":
            records.append(record)
            done.release()
            begin.acquire()

    settings = TrainSettings(epochs=1, batch_size=BATCH)
    with ThreadPoolExecutor(1) as pool:
        training = pool.submit(
            train, model, data, out=folder / "run", settings=settings, cache=folder / "cache", watch=after_a_step
        )
        training.add_done_callback(lambda _: done.release())  # a failure must not leave the other side waiting

        def step() -> None:
            begin.release()
            done.acquire()
            if training.done():
                training.result()
                raise RuntimeError(f"the training ended before its {STEPS} steps were measured")

        done.acquire()
        try:
            yield step
        finally:
            begin.release(STEPS)
        training.result()


def parts(model: Model, batch: Batch) -> tuple[Run, Run]:
    """Return a run of forward and backward of the encoder, and one of the decoder on the encoder's features."""
    model.train()
    to_channels_last(model.encoder)
    with torch.no_grad():
        fixed = model.encoder(normalise(batch.pixels, model.encoder.image), batch.mask)

    def encoder() -> None:
        model.zero_grad()
        features = model.encoder(normalise(batch.pixels, model.encoder.image), batch.mask)
        features.tokens.sum().backward()

    def decoder() -> None:
        model.zero_grad()
        leaves = (t.detach().requires_grad_() for t in (fixed.tokens, fixed.pooled))
        weighted(model.decoder(Features(*leaves, fixed.mask), batch.targets).losses, {}).backward()

    return encoder, decoder


def main() -> None:
    records: list[Mapping[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = studies(folder)
        model = prepare_model(compose(encoder="densenet121", decoder="hier-lstm", text=TEXT), data)
        reader = StudyReader(model.encoder.image, model.text, model.targets, folder / "cache")
        order = [list(range(at, at + BATCH)) for at in range(0, len(data), BATCH)]
        first, *_ = list(batches(data, reader, order))  # all of them, which fills the cache
        with steps(deepcopy(model), data, folder, records) as step:
            encoder, decoder = parts(model, first)
            whole, encoding, decoding = in_turns(step, encoder, decoder, turn=0.0)
    both = [e + d for e, d in zip(encoding, decoding, strict=True)]
    waits = [100 * r["waited"] / r["seconds"] for r in records[-PAIRS:]]
    made_of = "encoder and decoder"
    emit(
        [
            Row("`densenet121`, batch 16, forward and backward", milliseconds(encoding), "ms"),
            Row("`hier-lstm`, 6 sentences × 10 words, forward and backward", milliseconds(decoding), "ms"),
            Row("a whole training step", milliseconds(whole), "ms", ratio(whole, both), made_of, 1.15, True),
            Row("the share of it that waits for the loader", Spread.of(waits), "%"),
        ]
    )


if __name__ == "__main__":
    main()
