"""gpt2 and its like read the indication and the prior report before they write."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from row_case import features, make, one, reports, targets
from test_causal import BART, BERT, GPT2

from reportgen_core import GenerationSettings, OptionError, PluginError, Study, View, compose, load, train
from reportgen_core.data import Context
from reportgen_core.models import Takes
from reportgen_core.registries import encoders
from reportgen_core.testing import check_decoder, sample_batch, tiny_model
from reportgen_core.text import TextSpec
from reportgen_core.text.spec import BOS, EOS, PAD
from reportgen_core.training import TrainSettings
from reportgen_core.training.steps.self_critical import self_critical

ARCHITECTURES = {"gpt2": GPT2, "transformers/bert": BERT, "transformers/roberta": BERT, "transformers/bart": BART}
CONTEXTS = [
    Context("a", words={"indication": (4, 5)}),
    Context(prior_report="b", words={"prior_report": (6, 7, 8)}),
    Context("a", prior_report="b", words={"indication": (5,), "prior_report": (4, 4)}),
    Context(),
]
ROWS = [[4, 5, EOS, EOS], [EOS, 6, 7, 8, EOS], [5, EOS, 4, 4, EOS], []]


def decoder_with(name: str = "gpt2", **options):
    given = {"config": ARCHITECTURES[name], "context": True, "context_words": 12, **options}
    return make(name, std=0.3, **given)


def anew(decoder, f, b, row, prefix):
    """Return the logits of the next word of a study alone, without padding, at places that end where reports begin."""
    words = torch.tensor([[*row, BOS, *prefix]])
    start = decoder.columns - len(row)
    with torch.no_grad():
        return decoder.model(
            input_ids=words, position_ids=torch.arange(start, start + words.shape[1])[None],
            encoder_hidden_states=decoder.bridge(f.tokens[b : b + 1]),
            encoder_attention_mask=f.mask[b : b + 1].long(), use_cache=False,
        ).logits[0, -1]  # fmt: skip


def test_the_loss_is_of_the_report_alone_and_each_prefix_is_read_anew():
    decoder, f, t = decoder_with(), features(), targets()
    with torch.no_grad():
        out = decoder(f, t, CONTEXTS)
    nats = 0.0
    for b, report in enumerate(reports(t)):
        for i, word in enumerate(report):
            nats -= float(anew(decoder, f, b, ROWS[b], report[:i]).log_softmax(-1)[word]) / 4
    assert float(out.losses["word"]) == pytest.approx(nats, rel=1e-5)
    assert len(out.logits) == sum(map(len, reports(t)))


@pytest.mark.parametrize("beams", [1, 3])
def test_words_are_those_of_reading_the_context_and_the_report_anew(beams):
    decoder, f = decoder_with(), features(4, 8)
    settings = GenerationSettings(beams=beams)
    for b, generated in enumerate(decoder.generate(f, settings, CONTEXTS)):
        best = generated.candidates[0]
        alone = decoder.generate(one(f, b), settings, [CONTEXTS[b]])[0].candidates[0]
        assert alone.sentences == best.sentences and alone.score == pytest.approx(best.score, abs=1e-5)
        prefix: list[int] = []
        for word in best.sentences[0]:
            logits = anew(decoder, f, b, ROWS[b], prefix)
            logits[[PAD, BOS]] = -torch.inf
            assert beams > 1 or word == int(logits.argmax())
            prefix.append(word)
        if beams == 1:
            ended = [*best.sentences[0], EOS][: decoder.targets.max_length]
            nats = [float(anew(decoder, f, b, ROWS[b], ended[:i]).log_softmax(-1)[w]) for i, w in enumerate(ended)]
            assert best.score == pytest.approx(np.mean(nats), abs=1e-4)
        assert best.attention is not None and best.attention.regions.shape == (len(best.sentences[0]), f.mask.shape[1])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_passes_the_kit_with_context(name, tmp_path):
    check_decoder(name, tmp_path, {"config": ARCHITECTURES[name], "context": True, "context_words": 16})


def test_without_the_option_a_decoder_is_as_before():
    plain, reading = make("gpt2", std=0.3, config=GPT2), decoder_with()
    assert plain.takes_context == {} and plain.columns == 0
    assert list(plain.state_dict()) == list(reading.state_dict())


def test_a_context_that_is_too_long_is_cut_and_told():
    decoder, f = decoder_with(), features(1, 8)
    long = Context("x", words={"indication": tuple([4, 5] * 10), "prior_report": (6,)})
    cut = Context("x", words={"indication": (4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4)})
    assert decoder.context_note(long) == "the context is cut after 11 of its 22 words (context_words=12)"
    assert decoder.context_note(CONTEXTS[2]) == decoder.context_note(Context()) == ""
    words = [decoder.generate(f, GenerationSettings(), [c])[0].candidates[0].sentences for c in (long, cut)]
    assert decoder._read_words(long) == [*cut.words["indication"], EOS]
    assert words[0] is not None


def test_too_few_places_or_words_are_one_line():
    with pytest.raises(OptionError, match="after 30 words of context"):
        decoder_with(context_words=30, config={**GPT2, "n_positions": 40})
    with pytest.raises(OptionError, match="context_words=1 is too few"):
        decoder_with(context_words=1)


def chest(path: Path, number: int) -> View:
    draw = np.random.default_rng(number)
    Image.fromarray(draw.integers(0, 255, (32, 32), np.uint8)).save(path)
    return View(path, "frontal")


@pytest.fixture
def studies(tmp_path: Path) -> list[Study]:
    made = []
    for n in range(6):
        view = chest(tmp_path / f"{n}.png", n)
        prior = Study(f"p{n}", (), {"findings": "old effusion."}) if n % 2 else None
        sections = {"findings": f"the {'same' if n % 2 else 'clear'} lung.", "indication": "rule out pneumonia."}
        made.append(Study(f"s{n}", (view,), sections, prior=prior))
    return made


OPTIONS = {"config": GPT2, "context": True, "context_words": 8}


def test_a_model_learns_the_words_of_the_context_reads_them_and_keeps_the_option(studies, tmp_path):
    model = compose(
        "resnet18", "gpt2", decoder_options=OPTIONS, text=TextSpec(max_sentences=2, max_words=6),
        encoder_options=dict(encoders["resnet18"].tiny),
    )  # fmt: skip
    trained = train(model, studies, out=tmp_path / "run", settings=TrainSettings(epochs=1, batch_size=3, workers=0))
    assert {"pneumonia", "effusion", "same"} <= set(trained.vocabulary.words)
    assert trained.takes == Takes(most_views=1, indication="optional", prior_report="optional")
    config = json.loads((tmp_path / "run" / "best" / "config.json").read_text())
    assert config["decoder"]["options"] == OPTIONS
    again = load(tmp_path / "run" / "best")
    bare = [Study(s.id, s.views) for s in studies]
    read, unread = (again.report_studies(some, precision="fp32") for some in (studies, bare))
    assert [r.score for r in read] != [r.score for r in unread]
    alone = again.report(studies[1].views[0].path, indication="rule out pneumonia.", prior=studies[1].prior)
    assert alone.text == read[1].text and alone.note == read[1].note
    long = again.report(studies[0].views[0].path, indication="rule out " * 20)
    assert "the context is cut after 7 of its 42 words" in long.note


def test_self_critical_training_writes_with_the_context_that_it_learns_from(monkeypatch):
    model = tiny_model("resnet18", "gpt2", decoder_options=OPTIONS)
    studies = tuple(Study(f"study{n}", (), {"indication": f"word{n} word5."}) for n in range(3))
    batch = replace(sample_batch(model), studies=studies)
    seen = []
    generate = model.decoder.generate
    monkeypatch.setattr(model.decoder, "generate", lambda f, s, c=(): seen.append(c) or generate(f, s, c))
    reward = SimpleNamespace(of=lambda ids, texts: [0.5] * len(ids))
    self_critical(model, reward, batch, None, model, 0)
    assert len(seen) == 2 and all(
        [c.indication for c in own] == ["word0 word5.", "word1 word5.", "word2 word5."] for own in seen
    )


def test_a_decoder_that_names_an_unknown_context_is_refused(monkeypatch):
    from reportgen_core.models.owners import takes_of

    decoder = decoder_with()
    decoder.takes_context = {"indcation": "optional"}
    with pytest.raises(PluginError, match=r"indcation.*it names fields of Context"):
        takes_of(decoder, 1)
