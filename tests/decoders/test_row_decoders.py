"""What holds for every decoder that writes a report as one row: lengths, limits, batches, beams, attention, overfitting."""

from __future__ import annotations

import pytest
import torch
from row_case import LIMIT, K, features, make, one, overfit, reports, targets

from reportgen_core import GenerationSettings, OptionError, ShapeError, Targets
from reportgen_core.testing.parts import check_decoder
from reportgen_core.text.spec import BOS, EOS

SIZES = {"hidden": 12, "embedding": 8}
BODY = {"hidden": 12, "heads": 2, "layers": 2, "feed_forward": 10}
NAMES = {
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
OVERFITS = {"std": 0.2, "hidden": 24, "dropout": 0.0, "image_dropout": 0.0}
LARGER = {
    "gpt2": {"config": {"n_layer": 2, "n_head": 2, "n_embd": 32, "resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}},
    "transformer": OVERFITS,
    "r2gen": OVERFITS,
    "r2gen-cmn": OVERFITS,
}
TRANSFORMERS = ("gpt2", "transformer", "r2gen", "r2gen-cmn")
every = pytest.mark.parametrize("name", NAMES)
LOOKING = {
    "soft-att": "regions", "densenet-lstm": "regions", "gpt2": "regions", "att-rk": "tags", "transformer": "regions",
    "r2gen": "regions", "r2gen-cmn": "regions",
}  # fmt: skip


def built(name, **options):
    return make(name, **(NAMES[name] | options))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((n, {}) for n in NAMES), ("lstm", {"layers": 2}), ("lrcn", {"layers": 2}), ("lstm", {"dropout": 0.3}),
        ("soft-att", {"dropout": 0.3}), ("att-rk", {"dropout": 0.3}), ("att-rk", {"tags_used": 99}),
    ],
)  # fmt: skip
def test_every_option_keeps_the_interface(name, options, tmp_path):
    check_decoder(name, tmp_path, NAMES[name] | options)


@every
def test_overfitting_gives_every_report_back_word_for_word(name):
    f, t = features(8, 2), targets()
    words = torch.cat([t.words, t.words.roll(1, 0)[:, [0, *range(1, 8)]]])
    words[4:][words[4:] > EOS] = 17 - words[4:][words[4:] > EOS]  # four more reports, of other words
    t = Targets(words=words, tags=torch.rand(8, K, generator=torch.Generator().manual_seed(1)).round())
    rate = 0.004 if name in TRANSFORMERS else 0.02  # a transformer jumps about at the rate that suits an LSTM
    decoder = overfit(
        built(name, **LARGER.get(name, {"hidden": 24})), f, t, steps=150 if name in TRANSFORMERS else 300, lr=rate
    )
    generated = decoder.generate(f, GenerationSettings())
    assert [[*g.candidates[0].sentences[0], EOS] for g in generated] == reports(t)
    assert decoder(f, t).losses["word"].item() < 0.3


@every
def test_a_report_alone_is_the_report_in_a_batch(name):
    decoder, f = built(name), features(6, 8)
    for settings in (GenerationSettings(), GenerationSettings(beams=3, n_best=3)):
        for b, together in enumerate(decoder.generate(f, settings)):
            alone = decoder.generate(one(f, b), settings)[0]
            assert [c.sentences for c in alone.candidates] == [c.sentences for c in together.candidates]
            assert [c.score for c in alone.candidates] == pytest.approx(
                [c.score for c in together.candidates], abs=1e-5
            )


@every
def test_generation_step_by_step_scores_as_teacher_forcing_does(name):
    decoder, f = built(name), features(5, 9)
    for b, g in enumerate(decoder.generate(f, GenerationSettings(beams=2, n_best=2))):
        for candidate in g.candidates:
            if not candidate.sentences[0]:
                continue  # a report without words is not taught
            words = [*candidate.sentences[0], EOS][:LIMIT]  # a report cut by the limit has no end mark to score
            row = torch.tensor([[BOS, *words]])
            with torch.no_grad():
                logits = decoder.decode(one(f, b), Targets(words=row, tags=torch.zeros(1, K))).logits
            nats = torch.nn.functional.cross_entropy(logits, row[0, 1:])
            assert candidate.score == pytest.approx(-float(nats), rel=1e-4)


@every
def test_padding_changes_no_loss_and_no_gradient_of_words(name):
    decoder, t = built(name), targets()
    wide = Targets(words=torch.nn.functional.pad(t.words, (0, 5)), tags=t.tags)
    few, many = (decoder(features(), x) for x in (t, wide))
    for loss in few.losses:
        torch.testing.assert_close(few.losses[loss], many.losses[loss])
    torch.testing.assert_close(few.logits, many.logits)


@every
def test_a_study_without_a_report_teaches_no_word(name):
    decoder, f, t = built(name), features(), targets()
    words = t.words.clone()
    words[3] = torch.tensor([BOS, EOS, 0, 0, 0, 0, 0, 0])
    out = decoder(f, Targets(words=words, tags=t.tags))
    assert len(out.logits) == sum(map(len, reports(t)[:3]))
    alone = decoder(one(f, 3), Targets(words=words[3:], tags=t.tags[3:]))
    assert alone.losses["word"].item() == 0
    alone.losses["word"].backward()  # a batch of such studies trains all the same


@every
def test_a_report_has_no_more_words_than_it_may(name):
    decoder, f = built(name), features(6, 8)
    longest = max(len(g.candidates[0].sentences[0]) for g in decoder.generate(f, GenerationSettings()))
    assert longest <= LIMIT
    short = decoder.generate(f, GenerationSettings(max_sentences=1, max_words=2))
    assert max(len(g.candidates[0].sentences[0]) for g in short) == 3, "two words and a sentence mark"


@every
def test_n_best_reports_are_distinct_and_ranked(name):
    for g in built(name).generate(features(), GenerationSettings(beams=4, n_best=3)):
        texts, scores = [c.sentences for c in g.candidates], [c.score for c in g.candidates]
        assert len(set(texts)) == len(texts) == 3
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("name", LOOKING)
@pytest.mark.parametrize("beams", [1, 3])
def test_attention_is_kept_per_word_and_sums_to_one_over_what_is_real(name, beams):
    generated = built(name).generate(features(), GenerationSettings(beams=beams))
    for g in generated:
        attention = g.candidates[0].attention
        assert attention.per == "word"
        rows = getattr(attention, LOOKING[name])
        assert len(rows) == len(g.candidates[0].sentences[0]) > 0
        torch.testing.assert_close(rows.sum(1), torch.ones(len(rows)))
    if LOOKING[name] == "regions":
        assert generated[0].candidates[0].attention.regions[:, 4:].abs().max() == 0
    else:
        assert generated[0].candidates[0].attention.tag_ids.shape == (3,)


@every
def test_attention_is_left_out_where_nobody_wants_it(name):
    generated = built(name).generate(features(), GenerationSettings(attention=False))
    assert all(g.candidates[0].attention is None for g in generated)


@every
def test_a_misspelt_option_says_what_there_is(name):
    with pytest.raises(OptionError, match=rf"{name}.*there are: .*(hidden|config)"):
        built(name, hiden=5)


@pytest.mark.parametrize(
    ("name", "option"),
    [("lstm", {"layers": 3}), ("lrcn", {"layers": 0}), ("att-rk", {"p": 1.0}), ("att-rk", {"q": 1.5})],
)
def test_a_value_that_cannot_be_says_what_can(name, option):
    with pytest.raises(OptionError, match=rf"{name} takes .*{next(iter(option))}"):
        built(name, **option)


@every
def test_training_without_a_report_says_so(name):
    with pytest.raises(ShapeError, match="cannot train without words"):
        built(name)(features(), Targets(tags=targets().tags))


@every
def test_more_beams_than_words_give_every_report_of_two_words(name):
    """Vocabularies are small in tests and in first tries; 100 beams are allowed."""
    decoder, f = built(name), features(2, 3)
    settings = GenerationSettings(beams=100, n_best=100, max_sentences=1, max_words=1)  # two words, marks counted
    for g in decoder.generate(f, settings):
        texts, scores = [c.sentences for c in g.candidates], [c.score for c in g.candidates]
        assert len(set(texts)) == len(texts) == 100
        assert scores == sorted(scores, reverse=True) and min(scores) > -100
