"""A limit of sentences holds for every decoder, also for those that write a whole report as one row of words."""

import numpy as np
import pytest
import torch
from PIL import Image

from reportgen_core import GenerationSettings, Study, View, compose
from reportgen_core.registries import decoders, encoders
from reportgen_core.testing.parts import FINDINGS, TAGS, tiny
from reportgen_core.text.spec import TextSpec, Vocabulary

GENERATORS = [n for n in decoders if not n.endswith("*") and decoders.owner(n).startswith("reportgen:")]
WORDS = (".", "heart", "lungs", "clear")


@pytest.mark.parametrize("name", GENERATORS)
def test_a_report_of_one_sentence_has_one(name: str, tmp_path) -> None:
    torch.manual_seed(0)
    model = compose(
        encoder="densenet121", decoder=name, encoder_options=tiny(encoders, "densenet121", None),
        decoder_options=tiny(decoders, name, None), text=TextSpec(max_sentences=6, max_words=5), vocabulary=Vocabulary(WORDS),
        tags=TAGS, findings=FINDINGS, positives=(0.5, 0.25, 0.25),
    )  # fmt: skip
    for i in range(4):
        noise = np.random.default_rng(i).integers(0, 255, (64, 64), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i}.png")
    report = "The heart is big. The lungs are clear."
    studies = [Study(str(i), (View(tmp_path / f"{i}.png"),), {"findings": report}) for i in range(4)]
    for settings in (GenerationSettings(max_sentences=1), GenerationSettings(max_sentences=1, beams=3, n_best=2)):
        for written in model.report_studies(studies, settings=settings, precision="fp32"):
            assert len(written.sentences) <= 1
            for text in (written.text, *written.alternatives):
                assert sum(bool(sentence.strip()) for sentence in text.split(".")) <= 1, text
