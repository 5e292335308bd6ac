"""Whole checkpoints of R2Gen and R2GenCMN: random weights in their layout write what a numpy reading of them writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from click.testing import CliRunner
from r2gen_reading import Reading
from reportgen_cli.main import rg
from reportgen_zoo.manifest.records import ZooError
from reportgen_zoo.publish import convert as converting
from reportgen_zoo.publish.convert import convert
from torch import Tensor, nn

from reportgen_core import Features, GenerationSettings, Model, compose, load
from reportgen_core.text.spec import TextSpec

H, HEADS, LAYERS, INNER, SLOTS, MEMORY_HEADS, MEMORIES, KEPT, LENGTH = 12, 2, 2, 10, 3, 3, 9, 4, 12
BODY = {"hidden": H, "heads": HEADS, "layers": LAYERS, "feed_forward": INNER}
OPTIONS: dict[str, dict[str, Any]] = {
    "transformer": BODY,
    "r2gen": {**BODY, "slots": SLOTS, "memory_heads": MEMORY_HEADS},
    "r2gen-cmn": {**BODY, "memories": MEMORIES, "kept": KEPT},
}
RESNET = {"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}
ENCODER = {"size": 64, "views": 2, "model_args": RESNET}
D = 32  # of the last feature map
TEXT = TextSpec(recipe="r2gen-iu", min_count=2, max_length=LENGTH)
REPORTS = {
    "train": ["The heart is normal. No pneumothorax.", "Heart size is normal. No effusion..", "1. Lungs clear. 2. no pneumothorax.", "Zebra."],
    "val": ["Zebra zebra zebra."], "test": ["Zebra zebra."],
}  # fmt: skip
WORDS = [".", "<unk>", "heart", "is", "no", "normal", "pneumothorax"]  # twice in train, by the alphabet; ids from 1
every = pytest.mark.parametrize("name", OPTIONS)


@pytest.fixture
def annotation(tmp_path: Path) -> Path:
    rows = {s: [{"id": f"{s}{i}", "report": r, "image_path": []} for i, r in enumerate(t)] for s, t in REPORTS.items()}
    (tmp_path / "annotation.json").write_text(json.dumps(rows))
    return tmp_path / "annotation.json"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give the folder of a model without words, as `rg compose` makes it, by the name of its decoder."""

    @cache
    def make(name: str) -> Path:
        model = compose("timm/resnet50", name, encoder_options=ENCODER, decoder_options=OPTIONS[name], text=TEXT)
        return model.save(tmp_path_factory.mktemp("empty") / name)

    return make


def shapes(name: str, words: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors of `encoder_decoder` in a checkpoint, except the tables of sines, with their shapes."""

    def linear(at: str, inputs: int, outputs: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from ((f"{at}.weight", (outputs, inputs)), (f"{at}.bias", (outputs,)))

    def norm(at: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from ((f"{at}.{n}", (H,)) for n in (("a_2", "b_2") if name == "r2gen-cmn" else ("gamma", "beta")))

    def attention(at: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        for i in range(4):
            yield from linear(f"{at}.linears.{i}", H, H)

    yield from linear("att_embed.0", D, H)
    for side, attentions, norms in (("encoder", ("self_attn",), 2), ("decoder", ("self_attn", "src_attn"), 3)):
        for i in range(LAYERS):
            at = f"model.{side}.layers.{i}"
            for part in attentions:
                yield from attention(f"{at}.{part}")
            yield from linear(f"{at}.feed_forward.w_1", H, INNER)
            yield from linear(f"{at}.feed_forward.w_2", INNER, H)
            for j in range(norms):
                yield from norm(f"{at}.sublayer.{j}.norm")
                if (side, name) == ("decoder", "r2gen"):
                    for mlp in ("mlp_gamma", "mlp_beta"):
                        yield from linear(f"{at}.sublayer.{j}.norm.{mlp}.0", SLOTS * H, H)
                        yield from linear(f"{at}.sublayer.{j}.norm.{mlp}.2", H, H)
        yield from norm(f"model.{side}.norm")
    yield "model.tgt_embed.0.lut.weight", (words, H)
    yield from linear("logit", H, words)
    if name == "r2gen":
        yield from attention("model.rm.attn")
        for part in ("mlp.0", "mlp.2"):
            yield from linear(f"model.rm.{part}", H, H)
        for part in ("W", "U"):
            yield from linear(f"model.rm.{part}", H, 2 * H)
    if name == "r2gen-cmn":
        yield "memory_matrix", (MEMORIES, H)
        yield from attention("cmn")
        yield from attention("model.cmn")


def checkpoint(name: str, file: Path, words: int = len(WORDS) + 1) -> dict[str, Tensor]:
    """Write a checkpoint of random weights, and return its tensors."""
    draw = torch.Generator().manual_seed(4)
    torch.manual_seed(7)
    resnet = timm.create_model("resnet50", **RESNET)
    state = {f"visual_extractor.{k}": v for k, v in _unnamed(resnet).items()}
    for key, shape in shapes(name, words):
        scale = 0.1 if len(shape) == 1 or ".mlp_" in key else 0.6  # so that the image decides on the report
        state[f"encoder_decoder.{key}"] = scale * torch.randn(*shape, generator=draw)
        if key.startswith("model.cmn."):  # one module under two names
            state[f"encoder_decoder.{key}"] = state[f"encoder_decoder.{key.removeprefix('model.')}"]
    state["encoder_decoder.logit.bias"][0] -= 4.0  # the mark comes late, so that reports have words
    state["encoder_decoder.model.tgt_embed.1.pe"] = torch.zeros(1, 5000, H)
    torch.save({"state_dict": state, "epoch": 3, "optimizer": {"state": {}}, "monitor_best": 0.1}, file)
    return state


def _unnamed(resnet: nn.Module) -> dict[str, Tensor]:
    return {f"model.{k}": v for k, v in nn.Sequential(*list(resnet.children())[:-2]).state_dict().items()}


def noise(model: Model, studies: int = 6) -> Features:
    """Tokens of noise, as many as the encoder gives of two images; the last study has one image."""
    draw, spec = torch.Generator().manual_seed(2), model.encoder.features
    tokens = torch.randn(studies, spec.tokens, spec.dim, generator=draw)
    mask = torch.ones(studies, spec.tokens, dtype=torch.bool)
    mask[-1, spec.tokens // 2 :] = False
    return Features(tokens, torch.zeros(studies, spec.pooled), mask)


def greedy(run: Any) -> tuple[list[int], float]:
    """The report by ids of the checkpoint, whose 0 ends it, and its mean log-probability."""
    ids: list[int] = []
    nats: list[float] = []
    while len(ids) < LENGTH:
        distribution = run(ids)[0][-1]
        word = int(distribution.argmax())
        nats.append(float(np.log(distribution[word])))
        if word == 0:
            break
        ids.append(word)
    return ids, float(np.mean(nats))


@every
def test_a_checkpoint_writes_the_words_of_the_numpy_reading(
    name: str, empty: Callable[[str], Path], tmp_path: Path, annotation: Path
) -> None:
    state = checkpoint(name, tmp_path / "model_best.pth")
    done = convert(tmp_path / "model_best.pth", "r2gen", empty(name), tmp_path / "out", annotation)
    model = load(tmp_path / "out")
    assert model.decoder is not None
    assert model.vocabulary.words[4:] == tuple(w for w in WORDS if w != "<unk>")
    assert not done.kept and done.left == ("encoder_decoder.model.tgt_embed.1.pe",)
    decoder = {k: v.numpy() for k, v in state.items() if k.startswith("encoder_decoder.")}
    options = OPTIONS[name]
    reading = Reading(decoder, HEADS, options.get("memory_heads", 0), options.get("kept", 0))
    features = noise(model)
    reports = set()
    for b, generated in enumerate(model.decoder.generate(features, GenerationSettings())):
        ids, score = greedy(reading.of(features.tokens[b][features.mask[b]].double().numpy()))
        best = generated.candidates[0]
        assert [model.vocabulary.words[i] for i in best.sentences[0]] == [WORDS[i - 1] for i in ids]
        assert best.score == pytest.approx(score, rel=1e-4)
        reports.add(best.sentences)
    assert len(reports) > 1, "all studies have one report, so that the image may be ignored"


def test_the_encoder_is_the_visual_extractor(empty: Callable[[str], Path], tmp_path: Path, annotation: Path) -> None:
    state = checkpoint("r2gen", tmp_path / "x.pth")
    convert(tmp_path / "x.pth", "r2gen", empty("r2gen"), tmp_path / "out", annotation)
    ours = load(tmp_path / "out").state_dict()
    for theirs, name in (("0.weight", "conv1.weight"), ("7.0.conv3.weight", "layer4.0.conv3.weight")):
        assert torch.equal(ours[f"encoder.net.{name}"], state[f"visual_extractor.model.{theirs}"])


def test_the_words_may_be_a_list_in_the_order_of_their_ids(
    empty: Callable[[str], Path], tmp_path: Path, annotation: Path
) -> None:
    checkpoint("r2gen", tmp_path / "x.pth")
    folder = empty("r2gen")
    (tmp_path / "words.json").write_text(json.dumps(["<pad>", *WORDS]))
    for out, words in (("a", annotation), ("b", tmp_path / "words.json")):
        convert(tmp_path / "x.pth", "r2gen", folder, tmp_path / out, words)
    one, other = (load(tmp_path / out).state_dict() for out in ("a", "b"))
    assert all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("r2gen", {"rm.W.weight": None}, r"is no checkpoint of r2gen; missing: decoder\.memory\.word_gates\.weight$"),
        ("r2gen", {"fusion.weight": torch.ones(2)}, r"is no checkpoint of r2gen; unexpected: encoder_decoder\.model\.fusion\.weight$"),
        ("r2gen-cmn", {"cmn.linears.0.bias": None, "gate.bias": torch.ones(2), "decoder.layers.2.self_attn.linears.0.bias": torch.ones(H)},
         r"unexpected: encoder_decoder\.model\.decoder\.layers\.2\.self_attn\.linears\.0\.bias, encoder_decoder\.model\.gate\.bias$"),
        ("r2gen", {"rm.U.bias": torch.ones(H)}, r"rm\.U\.bias is \(12,\), but decoder\.memory\.memory_gates\.bias of the model is \(24,\)"),
    ],
)  # fmt: skip
def test_another_layout_is_named_key_by_key(
    name: str,
    change: dict[str, Tensor | None],
    says: str,
    empty: Callable[[str], Path],
    tmp_path: Path,
    annotation: Path,
) -> None:
    state = checkpoint(name, tmp_path / "x.pth")
    for key, value in change.items():
        state.pop(f"encoder_decoder.model.{key}", None)
        if value is not None:
            state[f"encoder_decoder.model.{key}"] = value
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    with pytest.raises(ZooError, match=says):
        convert(tmp_path / "x.pth", "r2gen", empty(name), tmp_path / "out", annotation)
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_the_other_system_names_what_differs_and_counts_the_rest(
    empty: Callable[[str], Path], tmp_path: Path, annotation: Path
) -> None:
    checkpoint("r2gen-cmn", tmp_path / "x.pth")
    with pytest.raises(ZooError) as caught:
        convert(tmp_path / "x.pth", "r2gen", empty("r2gen"), tmp_path / "out", annotation)
    text = str(caught.value)
    assert "missing: decoder.memory.memory_gates.bias" in text and "unexpected: encoder_decoder.memory_matrix" in text
    assert " more" in text and "\n" not in text


@pytest.mark.parametrize("count", [5, 20])
def test_a_vocabulary_of_another_size_is_one_line(
    count: int, empty: Callable[[str], Path], tmp_path: Path, annotation: Path
) -> None:
    checkpoint("r2gen", tmp_path / "x.pth", words=count + 1)
    with pytest.raises(
        ZooError, match=rf"is for {count} words, but .*annotation\.json has 7 by .*r2gen-iu with min_count 2; [^\n]*$"
    ):
        convert(tmp_path / "x.pth", "r2gen", empty("r2gen"), tmp_path / "out", annotation)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"training": []}', "is no annotation.json, which has the reports of train"),
        ('{"train": [{"id": "a"}]}', "a row of train has no report"),
        ('["<pad>", "a"]', "the words need <unk>"),
        ('["<pad>", "a", "<unk>", "a"]', "each word once"),
    ],
)
def test_words_that_cannot_be_are_told(body: str, says: str, empty: Callable[[str], Path], tmp_path: Path) -> None:
    checkpoint("r2gen", tmp_path / "x.pth")
    (tmp_path / "words.json").write_text(body)
    with pytest.raises(ZooError, match=says):
        convert(tmp_path / "x.pth", "r2gen", empty("r2gen"), tmp_path / "out", tmp_path / "words.json")


def test_without_an_annotation_the_words_have_no_names(empty: Callable[[str], Path], tmp_path: Path) -> None:
    checkpoint("r2gen", tmp_path / "x.pth")
    with pytest.raises(
        ZooError, match=r"has 7 words without their names: the annotation\.json of its training has them"
    ):
        convert(tmp_path / "x.pth", "r2gen", empty("r2gen"), tmp_path / "out")


def test_the_command_takes_a_preset_in_place_of_a_folder(
    empty: Callable[[str], Path], tmp_path: Path, annotation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The preset names the parts; the model is the one that a folder of the same parts gives."""
    checkpoint("r2gen", tmp_path / "x.pth")
    preset = converting.load_preset("r2gen")
    parts = type(preset.compose)("timm/resnet50", "r2gen", None, {**ENCODER, "pretrained": True}, OPTIONS["r2gen"])
    small = {f: getattr(preset, f) for f in ("name", "summary", "paper")}
    monkeypatch.setattr(
        converting, "load_preset", lambda name: type(preset)(**small, compose=parts, text=TEXT.to_json())
    )
    monkeypatch.chdir(tmp_path)
    arguments = ["zoo", "convert", "x.pth", "--format", "r2gen", "--into", "r2gen", "--vocabulary", "annotation.json"]
    result = CliRunner().invoke(rg, [*arguments, "--out", "out"])
    assert result.exit_code == 0, result.output
    assert "0 tensors kept as they were in the model" in result.output
    convert(tmp_path / "x.pth", "r2gen", empty("r2gen"), tmp_path / "b", annotation)
    one, other = (load(tmp_path / out).state_dict() for out in ("out", "b"))
    assert all(torch.equal(one[k], other[k]) for k in one)


def test_a_checkpoint_with_code_is_refused(empty: Callable[[str], Path], tmp_path: Path, annotation: Path) -> None:
    state: dict[str, Any] = dict(checkpoint("r2gen", tmp_path / "x.pth"))
    torch.save({"state_dict": state, "args": nn.ReLU()}, tmp_path / "x.pth")
    with pytest.raises(ZooError, match="only tensors in plain containers are read"):
        convert(tmp_path / "x.pth", "r2gen", empty("r2gen"), tmp_path / "out", annotation)
