"""Every preset at tiny size: composed by its own options, trained one step by its own settings, writing a report."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from reportgen_zoo.reproduce.preset import load_preset

from reportgen_core import DataError, GenerationSettings, Study, View
from reportgen_core.models.composition import compose
from reportgen_core.registries import decoders, encoders, presets
from reportgen_core.training.loop import train
from reportgen_core.training.prepare import prepare_model
from reportgen_core.training.settings import TrainSettings

SMALL = {"hidden": 8, "embedding": 8, "tags_used": 2}
LLAMA = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "max_position_embeddings": 256,
}  # fmt: skip
SWIN = {"depths": (1, 1, 1, 1), "embed_dim": 16, "num_heads": (1, 1, 2, 2)}
OURS = [n for n in presets if presets.owner(n) == "reportgen:zoo" and load_preset(n).compose.decoder in decoders]
GENERATORS = [n for n in OURS if load_preset(n).compose.decoder_options.get("writes", True)]
CHINESE = (
    "双肺纹理增多。心影增大。",
    "双肺未见明显异常。",
    "右侧胸腔积液，心影增大。双肺纹理增多。",
    "心肺膈未见明显异常。",
)
ENGLISH = (
    "the heart is large. there is a nodule.",
    "the lungs are clear.",
    "effusion. 3 small nodules are seen.",
    "normal.",
)


def studies(folder: Path, texts: tuple[str, ...]) -> list[Study]:
    """Four studies of two views with all that any preset asks for."""
    draw, rows = np.random.default_rng(1), []
    for i, text in enumerate(texts):
        for side in ("frontal", "lateral"):
            Image.fromarray(draw.integers(0, 256, (48, 48), dtype=np.uint8)).save(folder / f"{i}{side}.png")
        views = tuple(View(folder / f"{i}{side}.png", side) for side in ("frontal", "lateral"))
        sections = {"findings": text, "impression": text, "abnormal": text}
        tags = ("normal",) if i % 2 else ("nodule", "opacity")
        flags = [not i % 2] * 4
        rows.append(
            Study(
                f"s{i}",
                views,
                sections,
                tags,
                {"Nodule": float(not i % 2)},
                "train",
                extra={"sentence_abnormal": flags},
            )
        )
    return rows


def small(options: Mapping[str, Any], tiny: Mapping[str, Any]) -> dict[str, Any]:
    """The preset's options with the sizes of the tiny variant and no weights from anywhere."""
    others = {k: v for k, v in options.items() if k not in ("pretrained", "size")}
    return {**others, **tiny}


def tiny_parts(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = load_preset(name).compose
    assert parts.decoder is not None
    encoder = small(parts.encoder_options, encoders[parts.encoder].tiny)
    if parts.encoder == "ditag":
        encoder["width"] = 8
    if "swin" in parts.encoder:
        encoder = {**small(parts.encoder_options, {}), "model_args": SWIN}
    options = decoders.options(parts.decoder)
    return encoder, {
        **parts.decoder_options,
        **{k: v for k, v in SMALL.items() if k in parts.decoder_options and k in options},
        **({"config": LLAMA} if parts.decoder == "llm" else {}),
    }


@pytest.mark.parametrize("name", GENERATORS)
def test_a_preset_trains_and_writes_at_tiny_size(name: str, tmp_path: Path) -> None:
    preset = load_preset(name)
    encoder, decoder = tiny_parts(name)
    spec = preset.text_spec()
    model = compose(
        encoder=preset.compose.encoder, encoder_options=encoder, decoder=preset.compose.decoder, decoder_options=decoder,
        text=replace(spec, min_count=1),
    )  # fmt: skip
    data = studies(tmp_path, CHINESE if spec.recipe == "chinese" else ENGLISH)
    seen: list[Mapping[str, Any]] = []
    settings = TrainSettings.of({**preset.train, "epochs": 1, "batch_size": 4})
    settings = replace(settings, select="loss" if settings.select not in ("loss", "perplexity") else settings.select)
    trained = train(model, data, data, out=tmp_path / "run", settings=settings, watch=seen.append)
    losses = next(r for r in seen if r["kind"] == "step")["losses"]
    assert set(settings.weights) <= set(losses), "a λ of the preset belongs to no loss"
    assert {name for step in settings.steps for name in step} <= set(losses)
    assert next(r for r in seen if r["kind"] == "epoch")["score"] > 0
    reports = trained.report_studies(data, settings=GenerationSettings(**preset.generation))
    assert [r.study for r in reports] == [s.id for s in data]
    assert not any(r.problem for r in reports)
    assert os.path.exists(tmp_path / "run" / "best" / "config.json")


LACKS = {
    "tags": lambda s: replace(s, tags=()),
    "lateral": lambda s: replace(s, views=s.views[:1]),
    "abnormal": lambda s: replace(s, sections={k: v for k, v in s.sections.items() if k != "abnormal"}),
    "labels": lambda s: replace(s, extra={}),
    "normal": lambda s: replace(s, tags=("nodule",)),
}


@pytest.mark.parametrize(("name", "lacks", "says"), [
    ("jing-coattention", "tags", r"needs tags.*a column tags"),
    ("att-rk", "tags", r"needs tags.*a column tags"),
    ("mditag-plus", "tags", r"tag classifiers need tags \(a column of tags"),
    ("ditag", "normal", r"compares with 1 normal studies, and 0 .*tag them normal"),
    ("hier-cnn-rnn", "lateral", r"a frontal and a lateral image, and no study has two \(a row an image .*a column view"),
    ("hier-cnn-rnn", "abnormal", r"in section abnormal \(a column of that name; rg data abnormal makes .*only in: findings, impression"),
    ("hier-cnn-rnn-dual", "labels", r"sentence labels, normal or abnormal \(rg data abnormal"),
])  # fmt: skip
def test_a_preset_says_which_column_its_data_lack_and_how_to_make_it(
    name: str, lacks: str, says: str, tmp_path: Path
) -> None:
    encoder, decoder = tiny_parts(name)
    parts = load_preset(name).compose
    model = compose(
        encoder=parts.encoder, encoder_options=encoder, decoder=parts.decoder, decoder_options=decoder,
        text=replace(load_preset(name).text_spec(), min_count=1),
    )  # fmt: skip
    with pytest.raises(DataError, match=says):
        prepare_model(model, [LACKS[lacks](s) for s in studies(tmp_path, ENGLISH)])


def test_every_generator_of_the_papers_has_a_preset() -> None:
    listed = """jing-coattention jing-no-attention jing-visual-only jing-semantic-only cnn-rnn lrcn soft-att att-rk
        ditag-baseline ditag cditag mditag-minus mditag-plus mditag-s hier-cnn-rnn hier-cnn-rnn-shuffle
        hier-cnn-rnn-complete hier-cnn-rnn-coattention hier-cnn-rnn-dual densenet-lstm"""
    assert set(listed.split()) <= set(presets)


@pytest.mark.parametrize(("name", "wants"), [
    ("jing-coattention", {"hidden": 512, "embedding": 512, "tags_used": 10}),
    ("ditag", {"hidden": 512, "embedding": 512, "tags_used": 10, "topic": "every"}),
    ("hier-cnn-rnn", {"hidden": 512, "embedding": 512, "word_layers": 2}),
    ("densenet-lstm", {"hidden": 512, "embedding": 256}),
])  # fmt: skip
def test_sizes_are_those_of_the_paper(name: str, wants: dict[str, Any]) -> None:
    options = load_preset(name).compose.decoder_options
    assert {k: options[k] for k in wants} == wants


def test_schedules_are_those_of_the_papers() -> None:
    ditag, cvse, dense = (
        TrainSettings.of(load_preset(n).train) for n in ("mditag-plus", "hier-cnn-rnn", "densenet-lstm")
    )
    assert (ditag.epochs, ditag.lr, ditag.select) == (1000, 1e-4, "loss")
    assert ditag.steps == [["tag_1", "tag_2", "tag_3", "tag_4"], []]
    assert (cvse.epochs, cvse.lr, cvse.encoder_lr, cvse.select) == (100, 2e-4, 5e-6, "perplexity")
    assert (dense.epochs, dense.lr, dense.encoder_lr) == (10, 5e-4, 1e-4)
    assert load_preset("densenet-lstm").generation == {"beams": 3, "n_best": 3}
    text = load_preset("mditag-s").text_spec()
    assert (text.max_sentences, text.max_words, text.sections) == (6, 30, ("impression", "findings"))
