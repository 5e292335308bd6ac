"""Fewer tags than are attended to, a report of one word, one longer than its limit, a study without a tag: all train."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reportgen_core import Study, TrainSettings, View, compose, train
from reportgen_core.text.spec import TextSpec

SIZES = {"hidden": 8, "embedding": 8}
ENCODER = {"size": 32, "model_args": {"channels": [4, 4, 8, 8]}}
DITAG = {"inner": "timm/resnet18", "inner_options": ENCODER, "depths": 4, "width": 8, "tags": True}
LONG = " ".join(f"Sentence {i} says that nothing of note is seen in zone {i}." for i in range(40))


def studies(folder: Path) -> list[Study]:
    draw, rows = np.random.default_rng(0), []
    reports = ("Clear.", LONG, "The heart is large. " + "very " * 60 + "large.", "No effusion.")
    for i, report in enumerate(reports):
        Image.fromarray(draw.integers(0, 256, (40, 40), dtype=np.uint8)).save(folder / f"{i}.png")
        tags = () if i == 1 else ("normal",) if i % 2 == 0 else ("effusion",)
        view = View(folder / f"{i}.png", "frontal")
        extra = {"sentence_abnormal": [True, False], "normal": i == 0}
        rows.append(Study(f"s{i}", (view,), {"findings": report}, tags, {"Effusion": float(i == 3)}, extra=extra))
    return rows


@pytest.mark.parametrize(
    ("encoder", "decoder", "options"),
    [
        *(("timm/resnet18", "hier-lstm", {**SIZES, "attention": a}) for a in ("co", "visual", "semantic", "none")),
        ("timm/resnet18", "hier-lstm-dual", SIZES),
        ("timm/resnet18", "att-rk", {"hidden": 8}),
        *(("timm/resnet18", name, SIZES) for name in ("lstm", "lrcn", "soft-att", "densenet-lstm")),
        ("ditag", "hier-lstm", SIZES),
    ],
)  # two tags where ten are attended to
def test_awkward_studies_train(encoder: str, decoder: str, options: dict[str, Any], tmp_path: Path) -> None:
    model = compose(
        encoder=encoder, encoder_options=DITAG if encoder == "ditag" else ENCODER, decoder=decoder,
        decoder_options=options, text=TextSpec(max_sentences=3, max_words=6),
    )  # fmt: skip
    data = studies(tmp_path)
    trained = train(model, data, data, out=tmp_path / "run", settings=TrainSettings(epochs=2, batch_size=2))
    assert len(trained.tags) == 2
    for report in trained.report_studies([replace(s, sections={}, tags=()) for s in data]):
        assert not report.problem
        assert len(report.sentences) <= 3 * 7
