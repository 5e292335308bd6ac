"""llm: image tokens before words, against a plain call of transformers, its own generation, and a folder's model."""

from __future__ import annotations

import builtins
import json
import shutil

import numpy as np
import pytest
import torch
from reportgen_plugins.decoders.transformers.llm import LanguageModel
from row_case import LIMIT, WORDS, features, make, one, reports, targets
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig

from reportgen_core import FeatureSpec, GenerationSettings, OptionError, TargetSpec, compose, load
from reportgen_core.registries import decoders as registered
from reportgen_core.testing.parts import check_decoder
from reportgen_core.text.spec import BOS, EOS, PAD, TextSpec, Vocabulary, build_vocabulary, given_recipe

GPT2 = {"n_layer": 2, "n_head": 2, "n_embd": 16}
LLAMA = {
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 16,
    "intermediate_size": 24, "max_position_embeddings": 64,
}  # fmt: skip
BOTH = [("gpt2", GPT2), ("llama", LLAMA)]


def llm(name="gpt2", config=GPT2, **options) -> LanguageModel:
    decoder = make("llm", std=0.3, architecture=name, config=config, **options)
    assert isinstance(decoder, LanguageModel)
    return decoder


def before(decoder, x):
    """What stands before BOS for one study, written out: mark, LN(W v), mark; absent tokens left out at their places."""
    image = torch.nn.functional.layer_norm(
        x.tokens @ decoder.mapper.weight.T + decoder.mapper.bias, (16,), decoder.norm.weight, decoder.norm.bias
    )
    prefix = torch.cat([decoder.marks[:1][None], image, decoder.marks[1:][None]], 1)
    seen = torch.cat([torch.tensor([[True]]), x.mask, torch.tensor([[True]])], 1)
    kept = seen[0].nonzero()[:, 0]
    return prefix[:, kept], kept


def anew(decoder, x, words):
    """Logits of the next word and the weights over image tokens, by one call without a cache or any padding."""
    with torch.no_grad():
        prefix, kept = before(decoder, x)
        ids = torch.tensor([[BOS, *words]])
        places = torch.cat([kept, torch.arange(len(x.mask[0]) + 2, len(x.mask[0]) + 2 + ids.shape[1])])[None]
        out = decoder.model(
            inputs_embeds=torch.cat([prefix, decoder.model.get_input_embeddings()(ids)], 1), position_ids=places,
            attention_mask=torch.ones_like(places), use_cache=False, output_attentions=True,
        )  # fmt: skip
    weights = torch.stack(out.attentions).mean((0, 2))[0, -1, 1 : len(kept) - 1]
    full = torch.zeros(len(x.mask[0]))
    full[x.mask[0]] = weights / weights.sum()
    return out.logits[0, -1], full


@pytest.mark.parametrize(("name", "config"), BOTH)
def test_the_loss_is_on_the_words_of_the_report_alone(name, config):
    decoder, f, t = llm(name, config), features(), targets()
    with torch.no_grad():
        out = decoder(f, t)
    nats = 0.0
    for b, report in enumerate(reports(t)):
        for i, word in enumerate(report):
            nats -= float(anew(decoder, one(f, b), report[:i])[0].log_softmax(-1)[word]) / 4
    assert float(out.losses["word"]) == pytest.approx(nats, rel=1e-5)


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize(("name", "config"), BOTH)
def test_words_and_attention_are_those_of_reading_everything_anew(name, config, beams):
    decoder, f = llm(name, config), features(6, 8)
    for b, generated in enumerate(decoder.generate(f, GenerationSettings(beams=beams))):
        best, prefix = generated.candidates[0], []
        for i, word in enumerate(best.sentences[0]):
            logits, attention = anew(decoder, one(f, b), prefix)
            np.testing.assert_allclose(best.attention.regions[i], attention, atol=1e-5)
            if beams == 1:
                logits[[PAD, BOS]] = -torch.inf
                assert word == int(logits.argmax())
            prefix.append(word)


def test_reports_are_those_of_transformers_own_generation():
    decoder, f = llm(), features(6, 8)
    for b, generated in enumerate(decoder.generate(f, GenerationSettings())):
        x = one(f, b)
        if not bool(x.mask.all()):
            continue  # its generation counts places without gaps
        with torch.no_grad():
            prefix, _ = before(decoder, x)
            start = decoder.model.get_input_embeddings()(torch.tensor([[BOS]]))
            ids = decoder.model.generate(
                inputs_embeds=torch.cat([prefix, start], 1), max_new_tokens=LIMIT, do_sample=False, eos_token_id=EOS,
                pad_token_id=PAD, suppress_tokens=[PAD, BOS],
            )[0].tolist()  # fmt: skip
        assert generated.candidates[0].sentences[0] == tuple(i for i in ids if i not in (PAD, EOS))


@pytest.mark.parametrize(("name", "config"), BOTH)
def test_it_keeps_every_promise_of_a_decoder(name, config, tmp_path):
    check_decoder("llm", tmp_path, options={"architecture": name, "config": config})


# A folder with a language model, as transformers saves one.

TEXTS = ("The heart is large. No effusion.", "Clear lungs.", "A nodule.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A random Llama with a byte-level tokenizer that has 300 pieces."""
    from tokenizers import trainers

    where = tmp_path_factory.mktemp("llama")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=298, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator([*TEXTS] * 5, trainer)
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.save(str(where / "tokenizer.json"))
    ids = {word: tokenizer.token_to_id(word) for word in ("<s>", "</s>")}
    torch.manual_seed(3)
    config = LlamaConfig(
        **LLAMA, vocab_size=tokenizer.get_vocab_size(), bos_token_id=ids["<s>"], eos_token_id=ids["</s>"],
        initializer_range=0.3, tie_word_embeddings=False,
    )  # fmt: skip
    AutoModelForCausalLM.from_config(config).save_pretrained(where)
    return where


def from_folder(folder, **options):
    text = given_recipe(TextSpec("subwords", recipe_options={"tokenizer": str(folder)}, max_length=30))
    return compose(
        encoder="timm/resnet18", encoder_options={"size": 32, "depth": -2, "model_args": {"channels": [8, 8, 8, 8]}},
        decoder="llm", decoder_options={"pretrained": str(folder), **options}, text=text,
        vocabulary=build_vocabulary(TEXTS, text),
    )  # fmt: skip


def test_a_folders_model_keeps_its_weights_and_the_vectors_of_its_pieces(folder):
    ours = from_folder(folder).decoder
    theirs = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    pieces = tokenizer.encode("The heart is clear", add_special_tokens=False)
    words = [ours.targets.words.index(piece) for piece in pieces.tokens]
    bos = theirs.config.bos_token_id
    with torch.no_grad():
        want = theirs(input_ids=torch.tensor([[bos, *pieces.ids]])).logits[0]
        got = ours.model.eval()(input_ids=torch.tensor([[BOS, *words]])).logits[0]
    column = {word: i for word, i in tokenizer.get_vocab().items() if word in ours.targets.words}
    assert len(column) > 250
    mine = torch.tensor([ours.targets.words.index(word) for word in column])
    torch.testing.assert_close(got[:, mine], want[:, torch.tensor(list(column.values()))], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got[:, EOS], want[:, theirs.config.eos_token_id], rtol=1e-4, atol=1e-5)


def test_a_saved_model_needs_the_folder_no_more(folder, tmp_path):
    moved = shutil.copytree(folder, tmp_path / "llama")
    given = from_folder(moved, learn="mapper")
    given.save(tmp_path / "model")
    shutil.rmtree(moved)
    config = json.loads((tmp_path / "model" / "config.json").read_text())["decoder"]["options"]
    assert config["architecture"] == "llama"
    again = load(tmp_path / "model")
    for key, value in given.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key


def test_with_mapper_only_what_reads_the_image_learns_and_with_lora_the_adapters_too(folder):
    def learning(decoder):
        return {key for key, value in decoder.named_parameters() if value.requires_grad}

    mapper = {"mapper.weight", "mapper.bias", "norm.weight", "norm.bias", "marks"}
    assert learning(from_folder(folder, learn="mapper").decoder) == mapper
    adapted = learning(from_folder(folder, lora=2, lora_targets=["q_proj", "v_proj"]).decoder) - mapper
    assert adapted and all("lora_" in key for key in adapted)
    assert len(adapted) == 2 * 2 * 2  # layers, targets, two matrices
    assert learning(llm()) > mapper


def test_fresh_adapters_change_nothing_and_are_saved_with_the_model(folder, tmp_path):
    plain, adapted = (from_folder(folder, lora=rank, lora_targets=["q_proj"]) for rank in (0, 2))
    ids = torch.tensor([[BOS, 9, 8, 7]])
    with torch.no_grad():
        want, got = (m.decoder.model.eval()(input_ids=ids).logits for m in (plain, adapted))
        torch.testing.assert_close(got, want)
        for key, value in adapted.decoder.named_parameters():
            if "lora_B" in key:
                value.fill_(0.3)
        changed = adapted.decoder.model(input_ids=ids).logits
    assert (changed - want).abs().max() > 1e-3
    adapted.save(tmp_path / "model")
    with torch.no_grad():
        torch.testing.assert_close(load(tmp_path / "model").decoder.model(input_ids=ids).logits, changed)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"learn": "some"}, "no learn='some'; there are: all, mapper"),
        ({"lora": -1}, "a whole number of at least 1"),
        ({"lora": 2, "lora_targets": ["q_prj"]}, r"gpt2 has no layers q_prj; lora_targets may be: .*c_attn"),
        ({"config": {**GPT2, "n_positions": 8}}, r"8 places; \d+ image tokens, two marks, the start and a report"),
        ({"pretrained": True}, "give a local folder with config.json, model.safetensors and tokenizer.json"),
        ({"architecture": "gpt3"}, "transformers builds no causal decoder 'gpt3'"),
    ],
)
def test_a_wrong_option_is_one_line(options, words):
    with pytest.raises(OptionError, match=words) as caught:
        registered.create("llm", FeatureSpec(4, 4, count=3), TargetSpec(WORDS), **{"config": GPT2, **options})
    assert "\n" not in str(caught.value)


def test_a_tokenizer_that_does_not_fit_the_vectors_is_one_line(folder, tmp_path):
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    weights = load_file(folder / "model.safetensors")
    for key in ("model.embed_tokens.weight", "lm_head.weight"):
        weights[key] = weights[key][:100].clone()
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(OptionError, match=r"tokenizer.json has piece \d+, and the model has vectors for 100 pieces"):
        from_folder(tmp_path)


def test_weights_of_another_size_and_a_folder_without_a_model_are_one_line(folder, tmp_path):
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(OptionError, match=r"model.safetensors cannot be read"):
        from_folder(tmp_path)
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(OptionError, match=r"model.layers.1.mlp.up_proj.weight is missing and should be \(24, 16\)"):
        from_folder(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "nothing"}')
    with pytest.raises(OptionError, match="knows no architecture 'nothing'"):
        from_folder(tmp_path)


def test_adapters_without_peft_say_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "peft":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(OptionError, match=r"pip install 'reportgen\[peft\]'"):
        llm(lora=2)


def test_a_vocabulary_of_plain_words_starts_from_the_mean_of_their_pieces(folder):
    spec = TargetSpec(Vocabulary(["heart", "lungs"]).words, max_length=10)
    given = {"pretrained": str(folder), "architecture": "llama", "config": LLAMA}
    decoder = registered.create("llm", FeatureSpec(4, 4, count=3), spec, **given)
    vectors = load_file(folder / "model.safetensors")["model.embed_tokens.weight"]
    pieces = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(" heart", add_special_tokens=False).ids
    torch.testing.assert_close(decoder.model.get_input_embeddings().weight[4], vectors[pieces].mean(0))
