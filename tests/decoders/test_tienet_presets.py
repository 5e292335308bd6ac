"""The presets of TieNet: their sizes, and the two that only read, trained a step at tiny size and annotating."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from reportgen_zoo.reproduce.preset import load_preset

from reportgen_core import Study, TrainSettings, View, compose, train
from reportgen_core.annotation.findings import Annotated, ReportRow, annotate
from reportgen_core.registries import encoders

TEXTS = ("the heart is large. there is a nodule.", "the lungs are clear.", "effusion.", "")
TINY = {"hidden": 8, "embedding": 8, "attention_units": 8}


def test_sizes_and_schedule_are_those_of_the_paper():
    preset = load_preset("tienet-ir")
    options, settings = preset.compose.decoder_options, TrainSettings.of(preset.train)
    assert (options["hidden"], options["embedding"], options["transition"], options["attention_rows"]) == (
        256,
        200,
        1024,
        5,
    )
    assert (settings.batch_size, settings.lr, settings.weight_decay, options["dropout"]) == (32, 1e-3, 1e-4, 0.5)
    assert settings.freeze_encoder and preset.compose.encoder_options["size"] == 512  # 16 x 16 at stride 32
    assert preset.text_spec().min_count == 2
    assert load_preset("tienet-r").compose.encoder == "none"


def test_figures_are_those_of_table_1():
    open_i = {
        n: load_preset(n).numbers[2].values["findings mean auc"]
        for n in ("tienet-r", "tienet-ir", "tienet-i", "tienet-igr")
    }
    assert open_i == {"tienet-r": 0.960, "tienet-ir": 0.965, "tienet-i": 0.719, "tienet-igr": 0.779}


@pytest.mark.parametrize("name", ["tienet-r", "tienet-ir", "tienet-i", "tienet-igr"])
def test_a_preset_trains_by_its_settings_and_annotates(name, tmp_path):
    preset = load_preset(name)
    parts = preset.compose
    options = {**parts.decoder_options, **{k: v for k, v in TINY.items() if k in parts.decoder_options}}
    model = compose(
        encoder=parts.encoder, encoder_options=encoders[parts.encoder].tiny, decoder=parts.decoder,
        decoder_options=options, text=replace(preset.text_spec(), min_count=1),
    )  # fmt: skip
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64), dtype=np.uint8)).save(tmp_path / "a.png")
    views = () if name == "tienet-r" else (View(tmp_path / "a.png", "frontal"),)
    labels = ({"Nodule": 1.0}, {"No Finding": 1.0}, {"Nodule": 0.0}, {"Nodule": 1.0})
    studies = [
        Study(str(i), views, {"findings": t}, labels=y) for i, (t, y) in enumerate(zip(TEXTS, labels, strict=True))
    ]
    seen = []
    settings = TrainSettings.of({**preset.train, "epochs": 1, "batch_size": 4})
    best = train(model, studies, studies, out=tmp_path / "run", settings=settings, watch=seen.append)
    losses = next(r for r in seen if r["kind"] == "step")["losses"]
    assert set(settings.weights) <= set(losses) and ("word" in losses) == (name == "tienet-igr")
    annotations = list(annotate(best, (ReportRow(i, s) for i, s in enumerate(studies))))
    assert all(isinstance(a, Annotated) and set(a.findings) == {"Nodule", "No Finding"} for a in annotations)
