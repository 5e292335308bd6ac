"""gpt2 and its like against transformers' own generation, and against reading every prefix anew."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from reportgen_plugins.decoders import causal
from reportgen_plugins.decoders.causal import CausalDecoder, build_transformer
from row_case import LIMIT, WORDS, features, make, one, reports, targets
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.activations import ACT2FN

from reportgen_core import FeatureSpec, GenerationSettings, OptionError, TargetSpec, load
from reportgen_core.models.composition import check_composition, compose
from reportgen_core.registries import decoders
from reportgen_core.testing.parts import check_decoder
from reportgen_core.text.spec import BOS, EOS, PAD, TextSpec, Vocabulary

GPT2 = {"n_layer": 2, "n_head": 2, "n_embd": 16}
BERT = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 16, "intermediate_size": 24}
BART = {"decoder_layers": 2, "decoder_attention_heads": 2, "d_model": 16, "decoder_ffn_dim": 24}
OTHERS = {"transformers/bert": BERT, "transformers/roberta": BERT, "transformers/bart": BART}


def gpt2() -> CausalDecoder:
    decoder = make("gpt2", std=0.3, config=GPT2)
    assert isinstance(decoder, CausalDecoder)
    return decoder


def anew(decoder, f, b, prefix):
    """Logits of the next word and the mean attention, reading the whole prefix without a cache."""
    with torch.no_grad():
        out = decoder.model(
            input_ids=torch.tensor([[BOS, *prefix]]), encoder_hidden_states=decoder.bridge(f.tokens[b : b + 1]),
            encoder_attention_mask=f.mask[b : b + 1].long(), use_cache=False, output_attentions=True,
        )  # fmt: skip
    return out.logits[0, -1], torch.stack(out.cross_attentions).mean((0, 2))[0, -1]


def test_the_loss_is_that_of_reading_each_prefix_anew():
    decoder, f, t = gpt2(), features(), targets()
    with torch.no_grad():
        out = decoder(f, t)
    nats = 0.0
    for b, report in enumerate(reports(t)):
        for i, word in enumerate(report):
            nats -= float(anew(decoder, f, b, report[:i])[0].log_softmax(-1)[word]) / 4
    assert float(out.losses["word"]) == pytest.approx(nats, rel=1e-5)


@pytest.mark.parametrize("room", [2, 16])
@pytest.mark.parametrize("beams", [1, 3])
def test_words_and_attention_are_those_of_reading_each_prefix_anew(beams, room, monkeypatch):
    monkeypatch.setattr(causal.GrowingLayer, "BLOCK", room)  # 9 words outgrow a room of 2
    decoder, f = gpt2(), features(6, 8)
    for b, generated in enumerate(decoder.generate(f, GenerationSettings(beams=beams))):
        best, prefix = generated.candidates[0], []
        for i, word in enumerate(best.sentences[0]):
            logits, attention = anew(decoder, f, b, prefix)
            np.testing.assert_allclose(best.attention.regions[i], attention, atol=1e-5)
            if beams == 1:
                logits[[PAD, BOS]] = -torch.inf
                assert word == int(logits.argmax())
            prefix.append(word)


@pytest.mark.parametrize("beams", [1, 3])
def test_reports_are_those_of_transformers_own_generation(beams):
    decoder, f = gpt2(), features(6, 8)
    generated = decoder.generate(f, GenerationSettings(beams=beams))
    for b in range(6):
        x = one(f, b)
        ids = decoder.model.generate(
            input_ids=torch.tensor([[BOS]]), encoder_hidden_states=decoder.bridge(x.tokens),
            encoder_attention_mask=x.mask.long(), num_beams=beams, do_sample=False, max_new_tokens=LIMIT,
            suppress_tokens=[PAD, BOS], early_stopping="never", length_penalty=1.0,
        )[0, 1:].tolist()  # fmt: skip
        want = tuple(i for i in ids if i not in (EOS, PAD))
        if beams == 1:
            assert generated[b].candidates[0].sentences == (want,)
        else:  # theirs keeps finished beams aside, ours among the others: ours may be better, never much worse
            text = [*want, EOS][:LIMIT]
            nats = [float(anew(decoder, f, b, text[:i])[0].log_softmax(-1)[w]) for i, w in enumerate(text)]
            assert generated[b].candidates[0].score >= np.mean(nats) - 0.15


def test_the_image_is_read_once_a_study_whatever_the_beams():
    decoder, f, seen = gpt2(), features(5, 2), []
    decoder.model.transformer.h[0].crossattention.c_attn.register_forward_hook(
        lambda _m, args, _o: seen.append(len(args[0]))
    )
    decoder.generate(f, GenerationSettings(beams=3))
    assert seen == [5]


def test_beams_of_the_one_study_left_look_at_its_image_even_when_they_are_as_many_as_the_studies_were():
    decoder, f = gpt2(), features(3, 2)
    image = decoder.bridge(f.tokens)
    logits = []
    with torch.no_grad():
        for studies, left in ((slice(0, 3), 2), (slice(2, 3), 0)):
            step = causal._Step(decoder.model, image[studies], f.mask[studies], False)
            rows = len(image[studies])
            _, state, _ = step(torch.full((rows,), BOS), (torch.arange(rows),))
            beams = tuple(s[[left] * 3] for s in state)
            logits.append(step(torch.tensor([5, 6, 7]), beams)[0])
    np.testing.assert_allclose(logits[0], logits[1], atol=1e-5)


@pytest.mark.parametrize("name", OTHERS)
def test_other_decoders_of_transformers_compose_as_well(name, tmp_path):
    check_decoder(name, tmp_path, {"config": OTHERS[name]})


@pytest.mark.parametrize(("name", "config", "says"), [
    ("transformers/llama", {}, "llama has no cross-attention"), ("transformers/nosuch", {}, "builds no causal decoder 'nosuch'"),
    ("gpt2", {"n_leyer": 2}, "gpt2 has no setting 'n_leyer'"), ("gpt2", {"vocab_size": 9}, "cannot set 'vocab_size'"),
    ("gpt2", {**GPT2, "n_positions": 8}, r"6 places, and a report here up to 248 words"),
])  # fmt: skip
def test_what_cannot_be_says_why(name, config, says):
    small = {"num_hidden_layers": 1, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 16}
    with pytest.raises(OptionError, match=says):
        decoders.create(name, FeatureSpec(4, 4), TargetSpec(WORDS), config=small if "llama" in name else config)


def saved(folder: Path, model, words: dict[str, int]) -> Path:
    """A folder as transformers saves it: weights, config and a tokenizer of whole words."""
    model.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>").save_pretrained(folder)
    return folder


def plain_gpt2(**config):
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    return GPT2LMHeadModel(GPT2Config(vocab_size=4, **(GPT2 | config)))


def test_local_weights_start_the_body_and_the_words(tmp_path):
    source = plain_gpt2()
    folder = saved(tmp_path / "gpt2", source, {"<unk>": 0, "lungs": 1, "heart": 2, "clear": 3})
    spec = TargetSpec(Vocabulary(["clear", "lungs", "heart"]).words)
    decoder = decoders.create("gpt2", FeatureSpec(4, 4), spec, config=GPT2, pretrained=str(folder))
    theirs, ours = source.state_dict(), decoder.model.state_dict()
    for key, value in theirs.items():
        if "wte" not in key and "lm_head" not in key:
            torch.testing.assert_close(ours[key], value)
    words = theirs["transformer.wte.weight"]
    torch.testing.assert_close(ours["transformer.wte.weight"][4:], words[[3, 1, 2]])
    torch.testing.assert_close(ours["lm_head.weight"][4:], words[[3, 1, 2]])


def test_a_checkpoint_does_not_need_the_folder_its_weights_came_from(tmp_path):
    folder = saved(tmp_path / "gpt2", plain_gpt2(), {"<unk>": 0, "clear": 1})
    model = compose(
        encoder="resnet50", encoder_options={"size": 32, "model_args": {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}},
        decoder="gpt2", decoder_options={"config": GPT2, "pretrained": str(folder)}, vocabulary=Vocabulary(["clear"]),
    )  # fmt: skip
    model.save(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    again = load(tmp_path / "model")
    torch.testing.assert_close(again.decoder.model.state_dict(), model.decoder.model.state_dict())
    options = json.loads((tmp_path / "model" / "config.json").read_text())["decoder"]["options"]
    assert again.decoder.part_config["options"] == options == {"config": GPT2, "pretrained": str(folder)}


def test_weights_of_another_size_say_what_differs(tmp_path):
    folder = saved(tmp_path / "gpt2", plain_gpt2(n_embd=8), {"<unk>": 0})
    with pytest.raises(
        OptionError, match=r"does not fit gpt2: transformer\.wpe\.weight is \(1024, 8\) and should be \(1024, 16\)"
    ):
        decoders.create("gpt2", FeatureSpec(4, 4), TargetSpec(WORDS), config=GPT2, pretrained=str(folder))
    with pytest.raises(OptionError, match=r"give a local folder with config\.json, model\.safetensors and"):
        decoders.create("gpt2", FeatureSpec(4, 4), TargetSpec(WORDS), config=GPT2, pretrained=str(tmp_path))


def test_densenet121_with_gpt2_as_published_composes_without_memory():
    plan = check_composition(encoder="densenet121", decoder="gpt2", text=TextSpec())
    assert plan.rows[1].parameters > 100_000_000


def test_gelu_in_one_call_is_the_published_one():
    ours = build_transformer("gpt2", {"n_layer": 1, "n_head": 2, "n_embd": 8}, 20)
    x = torch.linspace(-6, 6, 101)
    published = 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))
    assert not isinstance(ours.transformer.h[0].mlp.act, type(ACT2FN["gelu_new"]))
    assert torch.allclose(ours.transformer.h[0].mlp.act(x), published, atol=1e-6)
