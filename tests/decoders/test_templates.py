"""templates against a plain reading of its equations in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from reportgen_plugins.decoders.templates import Templates

from reportgen_core import CompositionError, Features, FeatureSpec, GenerationSettings, OptionError, Study, TargetSpec
from reportgen_core.models.abilities import HasOwnTexts
from reportgen_core.text.recipes import RECIPES
from reportgen_core.text.spec import SPECIAL, TextSpec, Vocabulary
from reportgen_core.training.prepare import targets_of_studies

FINDINGS = ("Effusion", "Mass", "No Finding", "Pleural_Thickening")
PHRASES = {"Mass": ("A mass is seen.", "There may be a mass."), "Effusion": ("An effusion.", "Perhaps an effusion.")}
SPEC = FeatureSpec(dim=5, pooled=5, grid=(1, 2, 3))


def make(**options: object) -> Templates:
    texts = Templates(SPEC, TargetSpec(tuple(SPECIAL), (), FINDINGS), phrases=PHRASES).own_texts(FINDINGS)
    words = sorted({w for t in texts for s in RECIPES["plain"].split(t) for w in s})
    torch.manual_seed(0)
    return Templates(SPEC, TargetSpec((*SPECIAL, ".", *words), (), FINDINGS), phrases=PHRASES, **options).eval()


def features(studies: int = 3) -> Features:
    draw = torch.Generator().manual_seed(1)
    mask = torch.ones(studies, 6, dtype=torch.bool)
    mask[0, 4:] = False
    return Features(torch.randn(studies, 6, 5, generator=draw), torch.zeros(studies, 5), mask)


def text(decoder: Templates, rows: tuple[tuple[int, ...], ...]) -> list[str]:
    return [" ".join(Vocabulary(decoder.targets.words[len(SPECIAL) :]).decode(row)) for row in rows]


def test_probabilities_and_attention_are_those_of_the_equations() -> None:
    decoder, x, r = make(sharpness=3.0), features(), 3.0
    decoder.speak_by(scale=[0.5, 2, 1, 1], shift=[0.1, -1, 0, 0], possible=[0.0] * 4, stated=[0.0] * 4)
    W, b = decoder.findings.weight.detach().numpy(), decoder.findings.bias.detach().numpy()
    for i, generated in enumerate(decoder.generate(x, GenerationSettings())):
        s = x.tokens[i][x.mask[i]].numpy() @ W.T + b  # (N, L)
        z = np.log(np.exp(r * s).mean(0)) / r
        p = 1 / (1 + np.exp(-(np.array([0.5, 2, 1, 1]) * z + np.array([0.1, -1, 0, 0]))))
        assert generated.findings is not None
        np.testing.assert_allclose(generated.findings, p, rtol=1e-5)
        a = np.exp(r * s) / np.exp(r * s).sum(0)
        attention = generated.candidates[0].attention
        assert attention is not None and attention.regions is not None
        for row, k in zip(attention.regions, (1, 0, 3), strict=True):  # Mass, Effusion, Pleural_Thickening
            np.testing.assert_allclose(row[x.mask[i]], a[:, k], rtol=1e-4)
            assert float(row[~x.mask[i]].abs().sum()) == 0


def test_between_two_thresholds_the_words_are_uncertain_and_below_both_the_report_is_silent() -> None:
    decoder = make()
    decoder.speak_by(scale=[0.0] * 4, shift=[-1.0, 0.0, 9.0, 1.0], possible=[0.3] * 4, stated=[0.6] * 4)
    (candidate,) = decoder.generate(features(1), GenerationSettings())[0].candidates
    assert text(decoder, candidate.sentences) == ["there may be a mass", "there is pleural thickening"]
    decoder.speak_by(stated=[2.0] * 4, possible=[2.0] * 4)
    (candidate,) = decoder.generate(features(1), GenerationSettings())[0].candidates
    assert text(decoder, candidate.sentences) == ["this model is silent about this image"]
    assert candidate.attention is not None and candidate.attention.regions is not None
    assert candidate.attention.regions[0].tolist() == [0.25] * 4 + [0.0] * 2  # no place is preferred


def test_a_limit_of_sentences_keeps_the_likeliest_findings_in_the_order_of_the_report() -> None:
    decoder = make()
    decoder.speak_by(scale=[0.0] * 4, shift=[3.0, 1.0, 0.0, 2.0], possible=[0.0] * 4, stated=[0.0] * 4)
    (candidate,) = decoder.generate(features(1), GenerationSettings(max_sentences=2, max_words=2))[0].candidates
    assert text(decoder, candidate.sentences) == ["an effusion", "there is"]


def test_training_forgets_the_calibration_of_the_old_weights() -> None:
    decoder = make()
    decoder.speak_by(scale=[3.0] * 4, stated=[0.2] * 4)
    decoder.drop_files()
    assert decoder.scale.tolist() == [1.0] * 4 and decoder.stated.tolist() == [0.5] * 4


def test_the_words_of_its_sentences_join_the_vocabulary_whatever_the_limit_of_rare_words() -> None:
    decoder = make()
    assert isinstance(decoder, HasOwnTexts)
    studies = [Study(str(i), sections={"findings": "Clear lungs."}, labels={"Hernia": i % 2}) for i in range(9)]
    words = targets_of_studies(studies, TextSpec(min_count=4), decoder).words
    assert {"hernia", "cannot", "excluded", "silent", "clear"} <= set(words)


@pytest.mark.parametrize("phrases", [{"Mass": "A mass."}, {"Mass": ["A mass."]}, {"Mass": ["", "x."]}])
def test_phrases_that_are_no_two_sentences_are_refused(phrases: dict[str, list[str]]) -> None:
    with pytest.raises(OptionError, match="give two sentences"):
        Templates(SPEC, TargetSpec(tuple(SPECIAL), (), FINDINGS), phrases=phrases)


def test_words_that_the_model_lacks_are_named() -> None:
    with pytest.raises(CompositionError, match="does not have: be, cannot, excluded;"):
        Templates(
            SPEC,
            TargetSpec(
                (*SPECIAL, ".", "there", "is", "mass", *["this", "model", "silent", "about", "image"]), (), ("Mass",)
            ),
        )


def test_a_trained_model_is_saved_with_its_calibration(tmp_path: Path) -> None:
    from reportgen_core import compose, load

    options = {"size": 64, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}}
    words = Vocabulary(["."])
    model = compose("resnet50", "templates", encoder_options=options, vocabulary=words, findings=["Mass"])
    assert isinstance(model.decoder, Templates)
    model.decoder.speak_by(scale=[1.5], shift=[-0.5], possible=[0.1], stated=[0.7])
    model.save(tmp_path / "m")
    other = load(tmp_path / "m").decoder
    assert isinstance(other, Templates)
    assert [round(float(getattr(other, n)), 4) for n in ("scale", "shift", "possible", "stated")] == [
        1.5,
        -0.5,
        0.1,
        0.7,
    ]
