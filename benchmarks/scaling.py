"""Compare a training step of several processes with one of a single process, and say what limits them.

    python -m benchmarks.scaling --processes 1 2
    python -m benchmarks.scaling --batch-norm

resnet18 × lstm at 112 pixels, 4 studies for each process, on CPUs with one thread each. The processes of one
group measure in turns: the first alone; all at once without sharing gradients; all at once with. What the second takes
longer than the first is the price of one machine's cores and memory, what the third takes longer than the second that
of the gradients. `--batch-norm` trains small models whose batch norms learn, with the same studies in every step, and
prints how far their validation losses are apart; another seed shows how far chance alone takes them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measure import PAIRS, Row, Spread, counted, emit, milliseconds, ratio

BATCH, ROUNDS = 4, PAIRS
SMALL = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [8, 16, 32, 64]}}


def launch(processes: int, *arguments: str) -> None:
    """Run this file in so many processes of one group."""
    group = ["--multi_gpu", "--num_processes", str(processes), "--num_machines", "1", "--mixed_precision", "no",
             "--dynamo_backend", "no", "--main_process_port", "0"]  # fmt: skip
    start = ["-m", "accelerate.commands.launch", *group] if processes > 1 else []
    module = ["--module", "benchmarks.scaling"] if processes > 1 else ["-m", "benchmarks.scaling"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    subprocess.run([sys.executable, *start, *module, *arguments], check=True, env=environment)


def measure_steps(out: Path) -> None:
    """Measure steps in this process of a group; the first process writes the seconds of each kind to `out`."""
    import time

    import torch
    from accelerate import Accelerator

    from benchmarks.reporting import radiographs
    from reportgen_core import compose
    from reportgen_core.data import StudyReader
    from reportgen_core.data.batches import batches
    from reportgen_core.training import prepare_model, weighted

    accelerator = Accelerator()
    with tempfile.TemporaryDirectory() as folder:
        data = [replace(s, sections={"findings": "No effusion."}) for s in radiographs(Path(folder), BATCH, 128)]
        model = prepare_model(compose("resnet18", "lstm", encoder_options={"size": 112}), data)
        (batch,) = batches(data, StudyReader(model.encoder.image, model.text, model.targets), [list(range(BATCH))])
    model.train()
    ready = accelerator.prepare(model)
    optimizer = torch.optim.Adam(model.parameters())

    def step(network: Any, synced: bool) -> float:
        before = time.perf_counter()
        with nullcontext() if synced else accelerator.no_sync(ready):
            weighted(network(batch).losses, {}).backward()
        optimizer.step()
        optimizer.zero_grad()
        return time.perf_counter() - before

    seconds: dict[str, list[float]] = {"alone": [], "at once": [], "together": []}
    for turn in range(1 + ROUNDS):
        for kind in seconds:
            accelerator.wait_for_everyone()
            if kind != "alone" or accelerator.is_main_process:
                taken = step(ready if kind == "together" else model, kind == "together")
                if turn:
                    seconds[kind].append(taken)
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    if accelerator.is_main_process:
        out.write_text(json.dumps({**seconds, "bytes": size}))
    accelerator.wait_for_everyone()


def scaling(counts: list[int]) -> list[Row]:
    rows: list[Row] = []
    for processes in [n for n in counts if n > 1] or [1]:  # every group measures one process alone as well
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "seconds.json"
            launch(processes, "--steps", str(out))
            values = json.loads(out.read_text())
        print(f"{processes}: {json.dumps(values)}", file=sys.stderr, flush=True)
        alone, at_once, together = values["alone"], values["at once"], values["together"]
        name = f"{processes} process{'es' * (processes > 1)}"
        if processes == 1:
            rows.append(Row(f"{name}: a step of {BATCH} studies", milliseconds(alone), "ms"))
            continue
        first = "one process alone, in turns"
        rate = Spread.of([processes * BATCH / s for s in together])
        faster = ratio([processes * a for a in alone], together)
        efficiency = Spread.of([100 * a / b for a, b in zip(alone, together, strict=True)])
        share = f"exchange of {values['bytes'] / 2**20:.0f} MiB of gradients"
        rows += [
            Row(f"{name}: studies a second", rate, "studies/s", faster, first),
            Row(f"{name}: efficiency", efficiency, "%"),
            Row(f"{name}: a step alone", milliseconds(alone), "ms"),
            Row(
                f"{name}: limit, all processes at once on the same cores and memory",
                milliseconds(at_once),
                "ms",
                ratio(at_once, alone),
                first,
            ),
            Row(f"{name}: limit, {share}", milliseconds(together), "ms", ratio(together, at_once), "the same without"),
        ]
    return rows


def train_small(out: Path, batch_size: int, seed: int) -> None:
    """Train a small model whose encoder learns, on phantoms, and write its validation losses to `out`."""
    from reportgen_core import TrainSettings, compose, train
    from reportgen_core.registries import datasets

    data = datasets.create("phantom", out.parent / "phantom", n=200, size=64, views=1).read()
    model = compose("resnet18", "lstm", encoder_options=SMALL, decoder_options={"hidden": 64, "dropout": 0.0})
    settings = TrainSettings(epochs=3, batch_size=batch_size, lr=2e-3, seed=seed)
    losses: list[float] = []
    run = out.parent / out.stem
    train(model, data.split("train"), data.split("val"), out=run, settings=settings,
          watch=lambda r: losses.append(r["val_loss"]) if r["kind"] == "epoch" else None)  # fmt: skip
    if losses:
        out.write_text(json.dumps(losses))


def batch_norm() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        losses = {}
        for name, processes, seed in (
            ("1 process", 1, 0),
            ("2 processes", 2, 0),
            ("4 processes", 4, 0),
            ("1 process, another seed", 1, 1),
        ):
            out = Path(folder) / f"{len(losses)}.json"
            launch(processes, "--train", str(out), "--batch-size", str(16 // processes), "--seed", str(seed))
            losses[name] = json.loads(out.read_text())
    first = losses["1 process"]
    return [
        Row(f"{name}: last validation loss", counted(v[-1]), "nats", counted(v[-1] / first[-1]), "1 process")
        for name, v in losses.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch-norm", action="store_true")
    parser.add_argument("--steps", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--batch-size", type=int, default=BATCH, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.steps:
        measure_steps(asked.steps)
    elif asked.train:
        train_small(asked.train, asked.batch_size, asked.seed)
    else:
        emit(batch_norm() if asked.batch_norm else scaling(asked.processes))


if __name__ == "__main__":
    main()
