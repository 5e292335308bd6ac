"""Measure what an indication and a prior report are worth to a model that reads them, on pairs of the phantom.

Two models of one size learn the same reports. One reads no context, and so has to guess whether there was a prior. The
other reads the indication and the prior report (`context=true`); in training a third of the indications is withheld, so
that it also knows studies without one. It then writes the reports of the test studies with all that they have, and
with the indication, the prior or both withheld. Printed are, with 95 % intervals over studies:

- the F1 of the kinds of findings that a report states, against those that were drawn,
- of the studies with a prior: the F1 of (kind, change) pairs, against what has changed,
- of the studies without a prior: the share of reports that state a change all the same.

    OMP_NUM_THREADS=1 python -m benchmarks.context --out DIR [--studies 1500] [--epochs 14] [--evaluate-only]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from reportgen_plugins.datasets.phantom.changes import counts, read_changes, states_change, true_changes
from reportgen_plugins.datasets.phantom.language import HEAD_PATTERNS, read_findings

from reportgen_core import Study, compose, load, train
from reportgen_core.registries import datasets
from reportgen_core.scoring.uncertainty import bootstrap
from reportgen_core.text import TextSpec
from reportgen_core.training import TrainSettings

SIZE = 96  # pixels
PAIRS = 0.6  # share of the studies with a prior
WITHHELD = 3  # of so many training studies one has no indication
ENCODER = {"size": SIZE, "model_args": {"layers": [1, 1, 1, 1], "channels": [8, 16, 32, 64]}}
GPT2 = {"n_layer": 2, "n_head": 4, "n_embd": 96, "n_positions": 512, "resid_pdrop": 0.0, "attn_pdrop": 0.0}
TEXT = TextSpec(max_sentences=12, max_words=16, max_length=120)
Array = Any


def without(studies: Sequence[Study], *, indication: bool = False, prior: bool = False) -> list[Study]:
    """Return the studies without their indications, without their priors, or without both."""
    bare = []
    for study in studies:
        sections = {k: v for k, v in study.sections.items() if not indication or k != "indication"}
        bare.append(replace(study, sections=sections, prior=None if prior else study.prior))
    return bare


def learn(studies: Sequence[Study], out: Path, epochs: int, *, context: bool) -> None:
    """Train a model with or without context in the folder `out`."""
    options = {"config": GPT2, **({"context": True, "context_words": 72} if context else {})}
    model = compose("resnet18", "gpt2", encoder_options=ENCODER, decoder_options=options, text=TEXT)
    learnt = [s for s in studies if s.split == "train"]
    learnt = [s if n % WITHHELD else without([s], indication=True)[0] for n, s in enumerate(learnt)]
    settings = TrainSettings(epochs=epochs, batch_size=16, lr=2e-3, schedule="cosine", warmup=50)
    train(model, learnt, [s for s in studies if s.split == "val"], out=out, settings=settings)


def score(texts: Sequence[str], studies: Sequence[Study]) -> dict[str, tuple[float, float, float]]:
    """Return the value and the ends of the 95 % interval of each measure, shares 0..1."""
    rows, changes, invented = [], [], []
    for text, study in zip(texts, studies, strict=True):
        drawn = {f["kind"] for f in study.extra["findings"]}
        rows.append(counts({f.kind for f in read_findings(text)}, drawn))
        if study.prior is None:
            invented.append((float(states_change(text)),))
        else:
            changes.append(counts(read_changes(text, HEAD_PATTERNS), true_changes(study.extra)))
    return {
        "findings": _interval(rows, _f1),
        "changes": _interval(changes, _f1),
        "invented": _interval(invented, lambda sums, n: sums[..., 0] / n),
    }


def _f1(sums: Array, n: int) -> Array:
    return 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1)


def _interval(rows: Sequence[Sequence[float]], value: Callable[[Array, int], Array]) -> tuple[float, float, float]:
    statistics, n = np.asarray(rows, float), len(rows)
    ends = bootstrap(statistics, lambda sums: {"value": value(sums, n)})["value"]
    return float(value(statistics.sum(0), n)), *ends


def table(rows: Mapping[str, Mapping[str, tuple[float, float, float]]], studies: Sequence[Study]) -> str:
    """Return the measures as a Markdown table, in per cent."""
    paired = sum(s.prior is not None for s in studies)
    lines = [
        f"| reports of {len(studies)} studies | finding F1 | change F1, {paired} with a prior | "
        f"state a change, {len(studies) - paired} without a prior |",
        "|---|---|---|---|",
    ]
    for name, measures in rows.items():
        cells = [f"{100 * v:.1f} ({100 * low:.1f}-{100 * high:.1f})" for v, low, high in measures.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the images and the models")
    parser.add_argument("--studies", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--evaluate-only", action="store_true", help="the models are in --out already")
    given = parser.parse_args()
    options = {"n": given.studies, "size": SIZE, "views": 1, "pairs": PAIRS, "val": 0.05, "test": 0.25}
    studies = datasets.create("phantom", given.out / "phantom", **options).read().studies
    if not given.evaluate_only:
        for name in ("plain", "reading"):
            learn(studies, given.out / name, given.epochs, context=name == "reading")
    test = [s for s in studies if s.split == "test"]
    plain, reading = (load(given.out / name / "best") for name in ("plain", "reading"))
    cases = {
        "reads no context": (plain, without(test, indication=True, prior=True)),
        "reads indication and prior, both given": (reading, test),
        "the indication alone": (reading, without(test, prior=True)),
        "the prior alone": (reading, without(test, indication=True)),
        "neither": (reading, without(test, indication=True, prior=True)),
    }
    rows = {name: score([r.text for r in model.report_studies(some)], test) for name, (model, some) in cases.items()}
    print(table(rows, test))
    (given.out / "context.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
