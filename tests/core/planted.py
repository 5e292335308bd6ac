"""Reports with a finding planted among sentences that say nothing, and a tienet-r trained on them."""

from __future__ import annotations

import random

import torch

from reportgen_core import Study, compose
from reportgen_core.data.batches import StudyReader, batches
from reportgen_core.text.spec import TextSpec
from reportgen_core.training.prepare import prepare_model
from reportgen_core.training.steps.gradients import weighted

FILLER = (
    "the", "heart", "is", "of", "usual", "size", "and", "lungs", "are", "seen", "well", "on", "both", "sides", "with",
    "bones", "stable", "today",
)  # fmt: skip
FINDINGS = ("Effusion", "Nodule")


def report(draw: random.Random, present: dict[str, float]) -> str:
    words = [draw.choice(FILLER) for _ in range(draw.randint(5, 14))]
    for name, there in present.items():
        if there:
            words.insert(draw.randint(0, len(words)), name.lower())
    return " ".join(words) + "."


def studies(count: int, seed: int) -> list[Study]:
    draw = random.Random(seed)
    out = []
    for i in range(count):
        labels = {name: float(draw.random() < 0.4) for name in FINDINGS}
        out.append(Study(f"s{i}", sections={"findings": report(draw, labels)}, labels=labels))
    return out


def trained(folder, steps=110):
    """The model, saved to a folder."""
    options = {
        "hidden": 24, "embedding": 24, "attention_units": 24, "attention_rows": 3, "dropout": 0.2, "writes": False,
    }  # fmt: skip
    model = compose(encoder="none", decoder="tienet", decoder_options=options, text=TextSpec(max_length=40))
    learn = studies(200, 1)
    model = prepare_model(model, learn)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    reader = StudyReader(model.encoder.image, model.text, model.targets)
    order = [[(i * 16 + k) % 200 for k in range(16)] for i in range(steps)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for batch in batches(learn, reader, order):
            optimizer.zero_grad()
            weighted(model.train()(batch).losses, {"penalty": 0.1}).backward()
            optimizer.step()
    model.eval().save(folder)
    return model
