"""Chinese end to end: densenet-lstm learns Chinese reports through jieba and is scored by word and by character."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from reportgen_zoo.reproduce.preset import load_preset

from reportgen_core import GenerationSettings, Study, View
from reportgen_core.data.batches import StudyReader, batches
from reportgen_core.models.composition import compose
from reportgen_core.registries import encoders, metrics, protocols
from reportgen_core.training.prepare import prepare_model

TEXTS = ("双肺纹理增多。心影增大。", "双肺未见明显异常。", "右侧胸腔积液，心影增大。", "心肺膈未见明显异常。")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory):
    folder, draw = tmp_path_factory.mktemp("chinese"), np.random.default_rng(3)
    studies = []
    for i, text in enumerate(TEXTS):
        image = draw.integers(0, 60, (64, 64), dtype=np.uint8)
        image[32 * (i // 2) :, 32 * (i % 2) :] += 180  # a bright part of its own size and place
        Image.fromarray(image).save(folder / f"{i}.png")
        studies.append(Study(f"s{i}", (View(folder / f"{i}.png"),), {"impression": text}, split="train"))
    preset = load_preset("densenet-lstm")
    tiny = {**encoders["densenet121"].tiny, "equalize": True, "frozen": 3}
    text = type(preset.text_spec())(recipe="chinese", sections=("impression",))
    model = compose(
        encoder="densenet121", encoder_options=tiny, decoder="densenet-lstm",
        decoder_options={"hidden": 32, "embedding": 16}, text=text,
    )  # fmt: skip
    model = prepare_model(model, studies)
    reader = StudyReader(model.encoder.image, model.text, model.targets)
    batch = next(iter(batches(studies, reader, [range(4)])))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.02)
    model.train()
    for part in model.encoder.modules():  # four images have no statistics worth keeping
        if isinstance(part, torch.nn.BatchNorm2d):
            part.eval()
    for _ in range(80):
        optimizer.zero_grad()
        model(batch).losses["word"].backward()
        optimizer.step()
    reports = model.report_studies(studies, settings=GenerationSettings(**preset.generation), precision="fp32")
    return model, reports


def test_chinese_reports_come_back_word_for_word(trained: tuple) -> None:
    model, reports = trained
    assert [r.text for r in reports] == list(TEXTS)
    assert "纹理" in model.vocabulary.words, "jieba's words, not characters"
    assert all(len(r.alternatives) == 2 for r in reports), "the best three of a beam of three"


def test_scores_by_word_and_by_character_are_named_and_differ(trained: tuple) -> None:
    _, reports = trained
    texts, want = [r.text for r in reports], list(TEXTS)
    texts[0] = "双肺纹理增粗。心影增大。"  # one character is wrong, and with it one word
    bleu = metrics.create("bleu")
    scores = {}
    for name in ("chinese-words", "chinese-characters"):
        protocol = protocols.create(name)
        scores[name] = bleu.compute(protocol.reports(texts), [[r] for r in protocol.references(want)]).parts["bleu-1"]
    characters = sum(len(t.replace("。", "").replace("，", "")) for t in TEXTS)
    assert scores["chinese-characters"] == pytest.approx((characters - 1) / characters, abs=1e-6)
    assert scores["chinese-words"] < scores["chinese-characters"] < 1


def test_a_rare_word_is_written_nou() -> None:
    preset = load_preset("densenet-lstm")
    from reportgen_core.text.spec import build_vocabulary, join

    spec = preset.text_spec()
    words = build_vocabulary([*TEXTS, TEXTS[0], TEXTS[0]], spec)
    assert "纹理" in words.words, "seen three times"
    assert "胸腔" not in words.words, "seen once"
    assert join([words.decode(words.encode(["胸腔", "纹理"]))], spec) == "<nou>纹理。"
