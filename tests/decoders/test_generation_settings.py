"""Sampling, penalties and the options of a decoder's own, for every decoder that searches for words."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from row_case import K, features, make, one
from test_hier_lstm import features as hier_features
from test_hier_lstm import make as make_hier
from test_hier_lstm_dual import make as make_dual

from reportgen_core import Decoder, GenerationSettings, OptionError, Targets
from reportgen_core.testing import tiny_model
from reportgen_core.text import BOS, EOS, PAD
from reportgen_core.writing import search

SIZES = {"hidden": 12, "embedding": 8}
BODY = {"hidden": 12, "heads": 2, "layers": 2, "feed_forward": 10}
ROWS = {
    "lstm": SIZES,
    "lrcn": SIZES,
    "soft-att": SIZES,
    "att-rk": {"hidden": 12, "tags_used": 3},
    "densenet-lstm": SIZES,
    "gpt2": {"config": {"n_layer": 2, "n_head": 2, "n_embd": 16}},
    "transformer": BODY,
    "r2gen": {**BODY, "slots": 2, "memory_heads": 3},
    "r2gen-cmn": {**BODY, "memories": 9, "kept": 4},
}
DRAWN = GenerationSettings(sample=True, seed=3, beams=3, n_best=3, attention=False)


def case(name):
    if name in ROWS:
        return make(name, **ROWS[name]), features(6, 8)
    return (make_hier if name == "hier-lstm" else make_dual)(), hier_features(6, 8)


every = pytest.mark.parametrize("name", [*ROWS, "hier-lstm", "hier-lstm-dual"])


def texts(generated):
    return [[c.sentences for c in g.candidates] for g in generated]


@every
def test_the_same_seed_draws_the_same_reports_alone_and_in_any_batch_and_another_seed_draws_others(name):
    decoder, f = case(name)
    drawn = decoder.generate(f, DRAWN)
    assert texts(drawn) == texts(decoder.generate(f, DRAWN))
    assert texts(drawn) != texts(decoder.generate(f, replace(DRAWN, seed=4)))
    for b in range(6):
        assert texts(decoder.generate(one(f, b), DRAWN))[0] == texts(drawn)[b]


@every
def test_drawn_reports_differ_and_are_best_first_by_their_own_scores(name):
    decoder, f = case(name)
    for g in decoder.generate(f, replace(DRAWN, beams=5, n_best=5)):
        scores = [c.score for c in g.candidates]
        assert scores == sorted(scores, reverse=True) and all(math.isfinite(s) for s in scores)
        assert len({c.sentences for c in g.candidates}) == len(g.candidates)


@every
def test_one_word_to_draw_from_is_greedy_search(name):
    decoder, f = case(name)
    greedy = decoder.generate(f, GenerationSettings())
    for settings in ({"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-6}):
        drawn = decoder.generate(f, GenerationSettings(sample=True, **settings))
        assert texts(drawn) == texts(greedy)
        assert [g.candidates[0].score for g in drawn] == pytest.approx(
            [g.candidates[0].score for g in greedy], rel=1e-5
        )


@every
@pytest.mark.parametrize("penalty", [0.0, 0.5, 2.0])
def test_reports_are_ranked_by_their_score_at_every_length_penalty(name, penalty):
    decoder, f = case(name)
    settings = GenerationSettings(beams=4, n_best=3, length_penalty=penalty)
    for g in decoder.generate(f, settings):
        scores = [c.score for c in g.candidates]
        assert scores == sorted(scores, reverse=True)


def test_a_larger_length_penalty_never_gives_shorter_reports_among_the_same_beams():
    decoder, f = case("lstm")
    lengths = []
    for penalty in (0.0, 1.0, 3.0):
        generated = decoder.generate(f, GenerationSettings(beams=4, length_penalty=penalty, n_best=1))
        lengths.append([len(g.candidates[0].sentences[0]) for g in generated])
    assert lengths == sorted(lengths) and lengths[0] != lengths[2]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize(
    "changed",
    [
        {"repetition_penalty": 5.0, "beams": 2},
        {"repetition_penalty": 3.0},
        {"sample": True, "temperature": 0.5, "beams": 3},
    ],
)
def test_a_score_is_the_models_own_whatever_the_words_were_chosen_by(name, changed):
    decoder, f = case(name)
    for b, g in enumerate(decoder.generate(f, GenerationSettings(n_best=2, **changed))):
        for c in g.candidates:
            if not c.sentences[0]:
                continue
            words = [*c.sentences[0], EOS][: decoder.targets.max_length]
            row = torch.tensor([[BOS, *words]])
            with torch.no_grad():
                logits = decoder.decode(one(f, b), Targets(words=row, tags=torch.zeros(1, K))).logits
            assert c.score == pytest.approx(-float(torch.nn.functional.cross_entropy(logits, row[0, 1:])), rel=1e-4)


@every
def test_a_repetition_penalty_makes_reports_repeat_less(name):
    decoder, f = case(name)

    def repeats(penalty):
        generated = decoder.generate(f, GenerationSettings(repetition_penalty=penalty, beams=2))
        rows = [s for g in generated for s in g.candidates[0].sentences]
        return sum(n - 1 for row in rows for n in Counter(row).values())

    assert repeats(1.0) > repeats(20.0)


def chain(logits):
    """The step of a model whose next word depends on the present word alone: logits (V, V)."""
    return lambda words, state: (logits[words], state, None)


def test_words_are_drawn_as_often_as_their_probability_says():
    torch.manual_seed(0)
    logits = torch.randn(6, 6)
    logits[:, [PAD, BOS]] = -math.inf
    settings = GenerationSettings(sample=True, temperature=0.7, top_k=3)
    counts = Counter(
        int(search(chain(logits), (torch.zeros(1),), replace(settings, seed=seed), rows=1, max_words=1).words[0, 0, 0])
        for seed in range(2000)
    )
    weights = {i: math.exp(x / 0.7) for i, x in enumerate(logits[BOS].tolist())}  # by hand
    best = sorted(weights, key=lambda i: -weights[i])[:3]
    assert set(counts) == set(best)
    for i in best:
        p = weights[i] / sum(weights[j] for j in best)
        assert counts[i] / 2000 == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 2000))


def test_top_p_keeps_the_likeliest_words_that_reach_it():
    probabilities = np.array([0, 0, 0.1, 0.05, 0.5, 0.35])
    logits = torch.from_numpy(np.log(np.maximum(probabilities, 1e-30))).float().expand(6, -1)
    settings = GenerationSettings(sample=True, top_p=0.6)
    seen = {
        int(search(chain(logits), (torch.zeros(1),), replace(settings, seed=s), rows=1, max_words=1).words[0, 0, 0])
        for s in range(200)
    }
    assert seen == {4, 5}, "0.5 is below 0.6, 0.5 + 0.35 reaches it"


def test_rows_of_different_places_draw_different_numbers():
    logits = torch.zeros(40, 40)
    settings = GenerationSettings(sample=True)
    places = torch.tensor([0, 1, 0, 2])
    words = search(chain(logits), (torch.zeros(4),), settings, rows=4, max_words=6, places=places).words[:, 0].tolist()
    assert words[0] == words[2]
    assert words[0] != words[1] and words[1] != words[3]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"temperature": 0}, "temperature above 0"), ({"top_p": 1.5}, "top_p above 0"), ({"top_k": 0}, "top_k of at least 1"),
        ({"repetition_penalty": -1}, "repetition_penalty above 0"), ({"beams": True}, "beams of at least 1"),
        ({"length_penalty": math.inf}, "length_penalty that is finite"), ({"max_words": 0}, "max_words of at least 1"),
    ],
)  # fmt: skip
def test_a_setting_without_meaning_is_refused(values, says):
    decoder, _ = case("lstm")
    with pytest.raises(OptionError, match=says):
        decoder.own_options(GenerationSettings(**values))


def test_a_hierarchical_decoder_stops_by_the_threshold_of_the_settings():
    decoder, f = case("hier-lstm")
    few, many = (
        sum(
            len(g.candidates[0].sentences)
            for g in decoder.generate(f, GenerationSettings(options={"stop_threshold": x}))
        )
        for x in (0.0, 1.0)
    )
    assert few == 6 and many == 6 * decoder.targets.max_sentences
    default = GenerationSettings(options={"stop_threshold": decoder.options.stop_threshold})
    assert texts(decoder.generate(f, default)) == texts(decoder.generate(f, GenerationSettings()))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"stop_treshold": 0.5}, "did you mean 'stop_threshold'"),
        ({"stop_threshold": "high"}, "takes a float as generation option stop_threshold"),
        ({"stop_threshold": 2.0}, "from 0 to 1, not 2.0"),
    ],
)
def test_options_of_its_own_are_declared_and_checked(options, says):
    decoder, f = case("hier-lstm")
    with pytest.raises(OptionError, match=says):
        decoder.generate(f, GenerationSettings(options=options))


def test_a_setting_that_a_decoder_does_not_follow_is_refused():
    class Deaf(Decoder):
        decode = generate = None

    decoder = Deaf(None, None)
    with pytest.raises(OptionError, match="Deaf does not follow temperature; it follows beams, limits"):
        decoder.own_options(GenerationSettings(temperature=0.5))
    assert decoder.own_options(GenerationSettings(beams=3)) == {}


def test_a_model_refuses_options_that_its_decoder_does_not_read(tmp_path):
    from PIL import Image

    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    with pytest.raises(OptionError, match="has no generation option 'width'"):
        tiny_model("densenet121", "lstm").report([tmp_path / "x.png"], GenerationSettings(options={"width": 3}))
