"""CheXbert from a folder and RadGraph through its package: scores under their own names, and no silent stand-in."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from reportgen_plugins.metrics.chexbert import CLASSES
from safetensors.torch import save_file
from transformers import BertConfig, BertModel

import reportgen_core
from reportgen_core import MetricError, OptionError

TEXTS = ["the lungs are clear", "there is   a small\neffusion", "heart big"]
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "lungs",
    "are",
    "clear",
    "there",
    "is",
    "a",
    "small",
    "effusion",
    "heart",
    "big",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CheXbert with random weights, named as the published file names them."""
    place = tmp_path_factory.mktemp("chexbert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    config.save_pretrained(place)
    (place / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    state = {f"module.bert.{k}": v * 20 for k, v in BertModel(config).state_dict().items()}
    for i, name in enumerate(CLASSES):
        state[f"module.linear_heads.{i}.weight"] = torch.randn(2 if name == "No Finding" else 4, 16)
        state[f"module.linear_heads.{i}.bias"] = torch.randn(2 if name == "No Finding" else 4)
    torch.save({"model_state_dict": state, "epoch": 3}, place / "chexbert.pth")
    return place


def by_hand(folder: Path, text: str) -> dict[str, float]:
    """The labels of one text with transformers alone."""
    state = {
        k.removeprefix("module."): v
        for k, v in torch.load(folder / "chexbert.pth", weights_only=True)["model_state_dict"].items()
    }
    bert = BertModel(BertConfig.from_pretrained(folder)).eval()
    bert.load_state_dict({k.removeprefix("bert."): v for k, v in state.items() if k.startswith("bert.")})
    ids = [WORDS.index("[CLS]"), *(WORDS.index(w) for w in text.split()), WORDS.index("[SEP]")]
    with torch.no_grad():
        first = bert(torch.tensor([ids])).last_hidden_state[0, 0]
    values = {0: None, 1: 1.0, 2: 0.0, 3: -1.0}
    chosen = {
        c: values[int((state[f"linear_heads.{i}.weight"] @ first + state[f"linear_heads.{i}.bias"]).argmax())]
        for i, c in enumerate(CLASSES)
    }
    return {c: v for c, v in chosen.items() if v is not None}


def test_chexbert_reads_what_transformers_reads(folder: Path) -> None:
    metric = reportgen_core.metrics.create("chexbert", folder=str(folder))
    assert metric.labels(TEXTS) == [by_hand(folder, t) for t in TEXTS]  # type: ignore[attr-defined]
    score = metric.compute(TEXTS, [[t] for t in TEXTS])
    assert all(name.startswith("chexbert ") for name in score.parts)


def test_chexbert_takes_safetensors_too(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "vocab.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    state = torch.load(folder / "chexbert.pth", weights_only=True)["model_state_dict"]
    save_file({k.removeprefix("module."): v.contiguous() for k, v in state.items()}, tmp_path / "model.safetensors")
    metrics = [reportgen_core.metrics.create("chexbert", folder=str(f)) for f in (folder, tmp_path)]
    assert metrics[0].labels(TEXTS) == metrics[1].labels(TEXTS)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("missing", "said"),
    [("chexbert.pth", "has no weights"), ("vocab.txt", "has no vocab.txt"), ("", "chexbert needs a folder")],
)
def test_chexbert_says_what_is_missing(folder: Path, tmp_path: Path, missing: str, said: str) -> None:
    for file in folder.iterdir():
        if file.name != missing and missing:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    metric = reportgen_core.metrics.create("chexbert", folder=str(tmp_path) if missing else "")
    with pytest.raises(MetricError, match=said):
        metric.compute(TEXTS, [[t] for t in TEXTS])


def test_weights_of_something_else_are_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "vocab.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    torch.save({"a": torch.zeros(3)}, tmp_path / "chexbert.pth")
    with pytest.raises(MetricError, match="these weights are not CheXbert's"):
        reportgen_core.metrics.create("chexbert", folder=str(tmp_path)).compute(["a"], [["a"]])


def test_a_pickle_that_would_run_code_is_not_loaded(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "vocab.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    torch.save(SimpleNamespace(model_state_dict={}), tmp_path / "chexbert.pth")
    with pytest.raises(MetricError, match="cannot be read as weights"):
        reportgen_core.metrics.create("chexbert", folder=str(tmp_path)).compute(["a"], [["a"]])


class FakeF1:
    """RadGraph's call, with the share of shared words as reward."""

    def __init__(self, reward_level: str, model_type: str) -> None:
        self.asked = (reward_level, model_type)

    def __call__(self, hyps: list[str], refs: list[str]) -> tuple[float, list[float], None, None]:
        print("progress")
        rewards = [
            len({*h.split()} & {*r.split()}) / len({*h.split()} | {*r.split()}) for h, r in zip(hyps, refs, strict=True)
        ]
        return sum(rewards) / len(rewards), rewards, None, None


def test_radgraph_takes_the_best_reference_and_keeps_stdout_clean(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "radgraph", SimpleNamespace(F1RadGraph=FakeF1))
    score = reportgen_core.metrics.create("radgraph", level="complete").compute(["a b", "c"], [["a", "a b"], ["d"]])
    assert (score.value, list(score.each), score.version) == (0.5, [1.0, 0.0], "radgraph-xl complete")
    assert list(score.parts) == ["radgraph complete f1"]
    assert capsys.readouterr().out == ""


def test_without_its_package_radgraph_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "radgraph", None)
    with pytest.raises(MetricError, match=r"pip install 'reportgen\[radgraph\]'"):
        reportgen_core.metrics.create("radgraph").compute(["a"], [["a"]])


def test_an_unknown_level_is_named() -> None:
    with pytest.raises(OptionError, match="no RadGraph level 'all'; there are: simple, partial, complete"):
        reportgen_core.metrics.create("radgraph", level="all")
