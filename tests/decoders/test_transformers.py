"""transformer, r2gen and r2gen-cmn against a plain numpy reading of the two papers and of the released models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from r2gen_reading import Reading, theirs
from reportgen_plugins.decoders.blocks import transformer as blocks
from reportgen_plugins.decoders.transformers.r2gen import MemoryNorm, RelationalMemory
from row_case import LIMIT, WORDS, best_of_all, features, greedy, make, nats, numbers, one, reports, targets, weights

from reportgen_core import FeatureSpec, GenerationSettings, OptionError, Targets, TargetSpec
from reportgen_core.registries import decoders
from reportgen_core.testing.parts import check_decoder
from reportgen_core.text.spec import BOS, EOS

SIZES = {"hidden": 12, "heads": 2, "layers": 2, "feed_forward": 10}
OPTIONS = {
    "transformer": SIZES,
    "r2gen": {**SIZES, "slots": 3, "memory_heads": 3},
    "r2gen-cmn": {**SIZES, "memories": 9, "kept": 4},
}
every = pytest.mark.parametrize("name", OPTIONS)


def decoder_of(name, **options):
    return make(name, std=0.4, **(OPTIONS[name] | options))


def reading(name, decoder):
    state = {theirs(k, name): v for k, v in weights(decoder).items()}
    options = decoder.part_config["options"]
    kept = options.get("kept", 0)
    return Reading(state, options["heads"], options.get("memory_heads", 0), kept, start=BOS)


def paper(name, decoder, f, b):
    """The distributions after each word of study b, and the attention of each."""
    return reading(name, decoder).of(numbers(f, b)[0])


@every
def test_teacher_forcing_is_the_papers(name):
    decoder, f, t = decoder_of(name), features(), targets()
    with torch.no_grad():
        out = decoder(f, t)
    rows, word = [], 0.0
    for b, report in enumerate(reports(t)):
        run = paper(name, decoder, f, b)
        word += sum(nats(lambda prefix, run=run: run(prefix)[0], report)) / 4
        rows.append(run(report[:-1])[0])
    np.testing.assert_allclose(out.logits.softmax(-1), np.concatenate(rows), rtol=1e-5, atol=1e-6)
    assert float(out.losses["word"]) == pytest.approx(word, rel=1e-5)


@pytest.mark.parametrize("room", [2, 16])
@pytest.mark.parametrize("beams", [1, 3])
@every
def test_reports_and_attention_are_those_of_a_reading_that_starts_anew_for_each_word(name, beams, room, monkeypatch):
    monkeypatch.setattr(blocks.WordStep, "BLOCK", room)  # 9 words outgrow a room of 2
    decoder, f = decoder_of(name), features(8, 11)
    lengths = set()
    for b, g in enumerate(decoder.generate(f, GenerationSettings(beams=beams))):
        run, best = paper(name, decoder, f, b), g.candidates[0]
        words = best.sentences[0]
        lengths.add(len(words))
        if beams == 1:
            assert words == greedy(lambda prefix, run=run: run(prefix)[0])
        if words:
            attention = run(words)[1][: len(words)]
            np.testing.assert_allclose(best.attention.regions[:, f.mask[b]], attention, atol=1e-5)
        report = [*words, EOS][:LIMIT]
        mean = -np.mean(nats(lambda prefix, run=run: run(prefix)[0], report))
        assert best.score == pytest.approx(mean, rel=1e-5)
    assert max(lengths) > 2, "no report outgrows the room"


@every
def test_a_beam_as_wide_as_the_vocabulary_finds_the_best_report_of_two_words(name):
    decoder, f = decoder_of(name), features(3, 4)
    decoder.targets = type(decoder.targets)(decoder.targets.words, max_length=2)
    for b, g in enumerate(decoder.generate(f, GenerationSettings(beams=14))):
        run = paper(name, decoder, f, b)
        best, score = best_of_all(lambda prefix, run=run: run(prefix)[0])
        assert g.candidates[0].sentences == (best,)
        assert g.candidates[0].score == pytest.approx(score, rel=1e-4)


@every
def test_the_logits_of_each_step_of_a_search_are_those_of_teacher_forcing(name):
    """A step holds the keys and values of its row; rows are reordered in between, as beams are."""
    decoder, f = decoder_of(name), features(3, 7)
    seen, words = [], torch.tensor([[5, 6, 7, 8], [9, 4, 12, 13], [6, 6, 5, 10]])
    step_logits = blocks.WordStep.__call__

    def forced(self, word, state):
        t = self.count
        logits, state, looks = step_logits(self, word, state)
        studies = state[0]
        seen.append((t, studies.clone(), logits.clone()))
        forcing = torch.full_like(logits, -1e4)
        forcing.scatter_(1, (words[studies, t] if t < 4 else torch.full_like(studies, EOS))[:, None], 0.0)
        return forcing, state, looks

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks.WordStep, "__call__", forced)
        decoder.generate(f, GenerationSettings())
    rows = torch.cat([torch.full((3, 1), BOS), words, torch.full((3, 1), EOS)], 1)
    with torch.no_grad():
        logits = decoder.decode(f, Targets(words=rows)).logits.view(3, 5, -1)
    assert [t for t, _, _ in seen] == [0, 1, 2, 3, 4]
    for t, studies, found in seen:
        torch.testing.assert_close(found, logits[studies, t], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("transformer", {"layers": 1}), ("r2gen", {"slots": 1}), ("r2gen", {"slots": 20}), ("r2gen", {"memory_heads": 1}),
        ("r2gen-cmn", {"kept": 9}), ("r2gen-cmn", {"kept": 1}), ("r2gen", {"dropout": 0.0, "image_dropout": 0.0}),
    ],
)  # fmt: skip
def test_every_option_keeps_the_interface(name, options, tmp_path):
    check_decoder(name, tmp_path, OPTIONS[name] | options)


@every
def test_the_image_is_encoded_once_a_study_whatever_the_beams(name):
    decoder, f, seen = decoder_of(name), features(5, 2), []
    decoder.words.layers[0].image.key.register_forward_hook(lambda _m, args, _o: seen.append(len(args[0])))
    decoder.generate(f, GenerationSettings(beams=3))
    assert seen == [5]


@every
def test_a_word_is_embedded_once_for_each_step_of_its_row(name):
    """Nothing of a prefix is read again: the keys and values of its words are held."""
    decoder, f, seen = decoder_of(name), features(5, 2), []
    decoder.words.layers[1].words.key.register_forward_hook(lambda _m, args, _o: seen.append(args[0].shape[1]))
    decoder.generate(f, GenerationSettings(beams=3))
    assert set(seen) == {1} and len(seen) <= LIMIT


def test_memory_starts_as_a_padded_identity_and_no_row_changes_that_of_another():
    memory = RelationalMemory(6, 3, 2, 0.0).eval()
    first = memory.start(2, torch.device("cpu"))
    np.testing.assert_array_equal(first[1], np.eye(3, 6))
    with torch.no_grad():
        one_word = memory(first, torch.stack([torch.ones(6), torch.zeros(6)]))
        other = memory(first, torch.stack([torch.ones(6), torch.full((6,), 3.0)]))
    torch.testing.assert_close(one_word[0], other[0])
    assert (one_word[1] - other[1]).abs().max() > 1e-3
    np.testing.assert_array_equal(first[0], np.eye(3, 6))


def test_weights_start_as_the_released_programs_do():
    """Matrices by Xavier, with a bound of √(6 / (in + out)); biases of the conditional norms .1; CMN's memory 1 / width."""
    torch.manual_seed(0)
    spec = TargetSpec(WORDS, max_length=LIMIT)
    norm = MemoryNorm(64, 3)
    for biases in (p for n, p in norm.named_parameters() if n.endswith("bias")):
        torch.testing.assert_close(biases.detach(), torch.full((64,), 0.1))
    made = decoders.create("r2gen", FeatureSpec(8, 8), spec, hidden=64)
    for name, parameter in made.named_parameters():
        if parameter.dim() > 1 and "project" not in name and "words.out" not in name:
            bound = (6 / sum(parameter.shape)) ** 0.5
            assert 0.9 * bound < parameter.abs().max() <= bound, name
    cmn = decoders.create("r2gen-cmn", FeatureSpec(8, 8), spec, hidden=64, memories=500)
    assert float(cmn.memory.vectors.detach().std()) == pytest.approx(1 / 64, rel=0.05)


def test_each_slot_of_the_memory_has_as_many_weights_as_in_the_paper():
    """Table 4: 76.6, 81.4, 86.1 and 90.8 million with 1 to 4 slots."""
    spec = TargetSpec(WORDS, max_length=LIMIT)
    with torch.device("meta"):
        sizes = [
            sum(p.numel() for p in decoders.create("r2gen", FeatureSpec(8, 8), spec, slots=n).parameters())
            for n in (1, 2, 3, 4)
        ]
    assert np.diff(sizes) / 1e6 == pytest.approx([4.7, 4.7, 4.7], abs=0.05)


@every
def test_training_drops_and_writing_does_not(name):
    decoder, f, t = decoder_of(name).train(), features(), targets()
    with torch.no_grad():
        losses = {round(float(decoder(f, t).losses["word"]), 4) for _ in range(3)}
        assert len(losses) == 3
        decoder.eval()
        assert len({float(decoder(f, t).losses["word"]) for _ in range(3)}) == 1


@every
def test_a_study_without_an_image_token_is_written_all_the_same(name):
    """The encoder `none` gives no token: the decoder is a model of language then."""
    spec = TargetSpec(WORDS, max_length=LIMIT)
    decoder = decoders.create(name, FeatureSpec(1, 1, count=0), spec, **OPTIONS[name]).eval()
    f = one(features(1), 0)
    nothing = type(f)(torch.zeros(1, 0, 1), torch.zeros(1, 1), torch.zeros(1, 0, dtype=torch.bool))
    assert bool(decoder(nothing, Targets(words=targets().words[:1])).losses["word"].isfinite())
    assert decoder.generate(nothing, GenerationSettings(beams=2))[0].candidates


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("transformer", {"hidden": 10, "heads": 4}, "transformer takes an even hidden that is a multiple of heads, got 10 and 4"),
        ("transformer", {"hidden": 9, "heads": 3}, "takes an even hidden"),
        ("transformer", {"layers": 0}, "transformer takes layers of at least 1, got 0"),
        ("r2gen", {"memory_heads": 5}, "r2gen takes an even hidden that is a multiple of memory_heads, got 12 and 5"),
        ("r2gen", {"slots": 0}, "r2gen takes slots of at least 1, got 0"),
        ("r2gen-cmn", {"kept": 10}, "r2gen-cmn takes kept from 1 to the number of memories, 9, got 10"),
        ("r2gen-cmn", {"heads": 0}, "multiple of heads, got 12 and 0"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_says_what_can(name, options, says):
    with pytest.raises(OptionError, match=says):
        decoder_of(name, **options)
