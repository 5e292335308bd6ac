"""The presets of CVSE: the paper's settings, and at tiny size they learn, hold groups and report them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from reportgen_zoo.reproduce.preset import load_preset
from test_cvse import SMALL, studies

from reportgen_core import TrainSettings, compose, train


@pytest.mark.parametrize("name", ["cvse", "cvse-exclusive"])
def test_a_preset_trains_and_reports_at_tiny_size(name: str, reader: dict[str, Any], tmp_path: Path) -> None:
    preset = load_preset(name)
    assert preset.compose.retriever == "cvse"
    options = {**preset.compose.decoder_options, **reader, "grouper_options": {"k": 3}}
    model = compose(
        encoder=preset.compose.encoder, encoder_options={**SMALL, "views": 2}, retriever="cvse",
        decoder_options=options, text=preset.text_spec(),
    )  # fmt: skip
    settings = TrainSettings.of({**preset.train, "epochs": 1, "batch_size": 4})
    trained = train(
        model, studies(tmp_path, 9), studies(tmp_path, 5, "val", 1), out=tmp_path / "run", settings=settings
    )
    groups = {"cvse": 3, "cvse-exclusive": 4}[name]  # left and right effusion part
    assert len(trained.head.stored_texts()) in (3, groups)
    assert len(trained.report_studies(studies(tmp_path, 1))[0].sentences) == 3


def test_settings_are_those_of_the_paper() -> None:
    for name in ("cvse", "cvse-exclusive"):
        preset = load_preset(name)
        options, settings = preset.compose.decoder_options, TrainSettings.of(preset.train)
        assert (preset.compose.encoder, preset.compose.encoder_options["size"]) == ("densenet121", 512)
        assert (options["joint"], options["margin"], options["negatives"], options["top"]) == (512, 0.2, 8, 3)
        assert (settings.epochs, settings.lr, settings.optimizer) == (40, 1e-3, "adam")
        assert options["grouper_options"] == {"k": 500} and settings.select.startswith("recall@")
