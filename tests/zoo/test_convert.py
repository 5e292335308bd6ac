"""Legacy checkpoints: what has a place in a model is put there bit by bit, the rest is named, and no code runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from reportgen_zoo.manifest.records import ZooError
from reportgen_zoo.publish.convert import convert, read_tensors
from torch import nn

from reportgen_core import OptionError, load
from reportgen_core.testing.parts import TAGS, WORDS, tiny_model

ENCODER = {"size": 64, "model_args": {"layers": [1, 1, 1, 1]}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ResNet of one block a stage, and hier-lstm."""
    made = tiny_model("timm/resnet50", encoder_options=ENCODER)
    return made.save(tmp_path_factory.mktemp("convert") / "model")


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    """The same network, whose names are torchvision's too, with other weights."""
    torch.manual_seed(7)
    return timm.create_model("resnet50", layers=[1, 1, 1, 1])


def unnamed(resnet: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """The state of a Sequential of the network's children, as R2Gen and others keep it."""
    parts = nn.Sequential(*list(resnet.children())[:-2])
    return {prefix + name: value for name, value in parts.state_dict().items()}


def in_encoder(folder: Path, name: str) -> torch.Tensor:
    return load(folder).state_dict()[f"encoder.net.{name}"]


@pytest.mark.parametrize("kind", ["timm", "torchvision"])
def test_an_encoders_state_dict_fills_the_encoder(model: Path, resnet: nn.Module, tmp_path: Path, kind: str) -> None:
    torch.save(resnet.state_dict(), tmp_path / "r.pth")
    done = convert(tmp_path / "r.pth", kind, model, tmp_path / "out")
    for name in ("conv1.weight", "layer4.0.conv3.weight", "bn1.running_var"):
        assert torch.equal(in_encoder(tmp_path / "out", name), resnet.state_dict()[name])
    assert all(name.startswith("encoder.") for name in done.filled)
    assert all(name.startswith("decoder.") for name in done.kept)
    before, after = load(model).state_dict(), load(tmp_path / "out").state_dict()
    assert all(torch.equal(before[name], after[name]) for name in done.kept)


def test_r2gen_fills_the_encoder_and_its_transformer_is_named(model: Path, resnet: nn.Module, tmp_path: Path) -> None:
    state = unnamed(resnet, "visual_extractor.model.") | {"encoder_decoder.model.rm.W.weight": torch.ones(2, 2)}
    torch.save({"state_dict": state, "epoch": 3, "optimizer": {"state": {}}}, tmp_path / "model_best.pth")
    done = convert(tmp_path / "model_best.pth", "r2gen", model, tmp_path / "out")
    assert done.left == ("encoder_decoder.model.rm.W.weight",)
    assert torch.equal(
        in_encoder(tmp_path / "out", "layer2.0.conv2.weight"), resnet.state_dict()["layer2.0.conv2.weight"]
    )


def legacy(model: Path, resnet: nn.Module) -> dict[str, object]:
    """A checkpoint in the format of 2018, of the sizes of the model, its words in another order."""
    state = load(model).state_dict()

    def like(name: str) -> torch.Tensor:
        return torch.randn_like(state[name])

    rows = len(WORDS) + 1
    return {
        "extractor": unnamed(resnet, "resnet."),
        "mlc": {"classifier.weight": like("decoder.tags.own.weight"), "classifier.bias": like("decoder.tags.own.bias"),
                "embed.weight": like("decoder.tags.embedding.weight")},
        "co_attention": {"linear.weight": torch.ones(3, 3), "bn.weight": torch.ones(3)},
        "sentence_model": {"lstm.weight_ih_l0": like("decoder.sentence.weight_ih"), "W_t_h.weight": like("decoder.topic_hidden.weight"),
                           "W_t_h.bias": torch.ones(16), "bn_t_h.weight": torch.ones(1)},
        "word_model": {"embed.weight": torch.randn(rows, 16), "lstm.weight_hh_l0": like("decoder.words.lstm.weight_hh_l0"),
                       "linear.weight": torch.randn(rows, 16), "linear.bias": torch.ones(rows)},
        "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}, "epoch": 9, "best_loss": 1.5,
    }  # fmt: skip


def test_the_format_of_2018_fills_what_is_the_same_layer(model: Path, resnet: nn.Module, tmp_path: Path) -> None:
    given = legacy(model, resnet)
    torch.save(given, tmp_path / "old.pth.tar")
    words = ["<start>", *reversed(WORDS)]
    (tmp_path / "words.json").write_text(json.dumps(words))
    (tmp_path / "tags.json").write_text(json.dumps(TAGS))
    names = {"vocabulary": tmp_path / "words.json", "tags": tmp_path / "tags.json"}
    done = convert(tmp_path / "old.pth.tar", "coattention-2018", model, tmp_path / "out", **names)
    made = load(tmp_path / "out")
    state, word_model, mlc = made.state_dict(), given["word_model"], given["mlc"]
    for id, word in enumerate(made.vocabulary.words):
        if word in WORDS:  # the row of the same word, wherever it stood
            assert torch.equal(state["decoder.words.out.weight"][id], word_model["linear.weight"][words.index(word)])
    assert torch.equal(state["decoder.tags.own.weight"], mlc["classifier.weight"])
    assert torch.equal(state["decoder.sentence.weight_ih"], given["sentence_model"]["lstm.weight_ih_l0"])
    assert set(done.left) == {
        "co_attention.linear.weight", "co_attention.bn.weight", "sentence_model.W_t_h.bias",
        "sentence_model.bn_t_h.weight", "word_model.linear.bias",
    }  # fmt: skip
    assert "decoder.visual.key.weight" in done.kept


def test_without_names_rows_are_left_out(model: Path, resnet: nn.Module, tmp_path: Path) -> None:
    torch.save(legacy(model, resnet), tmp_path / "old.pth")
    done = convert(tmp_path / "old.pth", "coattention-2018", model, tmp_path / "out")
    assert {"word_model.embed.weight", "mlc.embed.weight"} <= set(done.left)
    assert "decoder.words.embedding.weight" in done.kept


def test_names_that_are_not_as_many_as_the_rows_are_refused(model: Path, resnet: nn.Module, tmp_path: Path) -> None:
    torch.save(legacy(model, resnet), tmp_path / "old.pth")
    (tmp_path / "words.json").write_text('["one"]')
    with pytest.raises(ZooError, match=r"embed.weight has 21 rows, but 1 words are named"):
        convert(tmp_path / "old.pth", "coattention-2018", model, tmp_path / "out", tmp_path / "words.json")


def test_weights_that_do_not_fit_are_told(model: Path, tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.ones(2, 2)}, tmp_path / "x.pth")
    with pytest.raises(OptionError, match="tensors are missing"):
        convert(tmp_path / "x.pth", "timm", model, tmp_path / "out")
    torch.save({"a": torch.ones(1)}, tmp_path / "y.pth")
    with pytest.raises(ZooError, match=r"has nothing for .* in the format r2gen; its tensors begin with a"):
        convert(tmp_path / "y.pth", "r2gen", model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_card_says_where_the_weights_are_from(model: Path, resnet: nn.Module, tmp_path: Path) -> None:
    torch.save(resnet.state_dict(), tmp_path / "r.pth")
    convert(tmp_path / "r.pth", "timm", model, tmp_path / "out")
    assert "Weights from `r.pth`, format timm, sha256" in (tmp_path / "out" / "card.md").read_text()


def test_prefixes_of_data_parallel_are_dropped(tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.a.module.b": torch.ones(1)}}, tmp_path / "x.pth")
    assert list(read_tensors(tmp_path / "x.pth")) == ["a.b"]
