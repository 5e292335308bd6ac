"""A preset is trained and scored beside its paper; what is finished is not made again, and a failure loses nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import reportgen_zoo.reproduce.run as reproducing
from reportgen_zoo.reproduce.preset import load_preset
from reportgen_zoo.reproduce.record import ReproductionRequest, read_reproduction
from reportgen_zoo.reproduce.result_tables import markdown, preset_table, system_tables
from reportgen_zoo.reproduce.run import finished, presets_that_write, reproduce, reproduction_request
from reportgen_zoo.reproduce.scales import SCALES, Scale, scaled
from safetensors.torch import load_file

from reportgen_core import Collection, DataError, OptionError, load
from reportgen_core.models.composition import check_composition
from reportgen_core.registries import datasets, presets
from reportgen_core.scoring.scorecard import System
from reportgen_core.types import ScoreLine

TINY = Scale(
    "small",
    encoder="timm/resnet18",
    encoder_options={"size": 32, "depth": -2, "frozen": 4, "model_args": {"channels": [4, 4, 8, 8]}},
    sizes={"hidden": 8, "embedding": 8, "transition": 8, "width": 8},
    train={"epochs": 1, "batch_size": 8, "keep_features": True},
    first={"epochs": 1, "batch_size": 8},
    data={"phantom": {"n": 30, "size": 64}},
    protocol="raw",
    metrics=("bleu", "cider", "chexpert-rules"),  # no Java
)
NAMES = presets_that_write(
    [n for n in presets if presets.owner(n) == "reportgen:zoo" and load_preset(n).compose.decoder]
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCALES, "small", TINY)
    evaluate = reproducing._evaluate

    monkeypatch.setattr(reproducing, "_evaluate", lambda model, *rest: evaluate(hasty(model), *rest))


def hasty(model: Any) -> Any:
    """An untrained model does not stop by itself."""
    model.head.targets = replace(model.targets, max_sentences=2, max_words=3, max_length=8)
    return model


@pytest.fixture
def phantom(tmp_path: Path) -> Collection:
    return datasets.create("phantom", tmp_path / "phantom", **TINY.data["phantom"]).read()


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("name", NAMES)
def test_a_scale_gives_every_system_the_same_encoder_and_budget_and_keeps_what_is_its_own(name: str, size: str) -> None:
    ours, scale = load_preset(name), SCALES[size]
    small = scaled(ours, scale)
    seen = small.compose.encoder_options.get("inner", small.compose.encoder)
    assert seen == scale.encoder
    options = small.compose.encoder_options.get("inner_options", small.compose.encoder_options)
    assert {k: options[k] for k in scale.encoder_options} == scale.encoder_options
    heads = scale.with_heads if "heads" in ours.compose.decoder_options else {}
    assert {k: small.train[k] for k in scale.train} == {**scale.train, **heads}
    assert small.generation == {**ours.generation, **scale.generation}
    for kept in ("weights", "steps"):
        assert small.train.get(kept) == ours.train.get(kept)
    for kept in ("attention", "topic", "tags_used", "word_layers", "shuffle"):
        assert small.compose.decoder_options.get(kept) == ours.compose.decoder_options.get(kept)
    for kept in ("mode", "depths", "tags", "views"):
        assert small.compose.encoder_options.get(kept) == ours.compose.encoder_options.get(kept)
    parts = small.compose
    plan = check_composition(
        encoder=parts.encoder, encoder_options=parts.encoder_options, decoder=parts.decoder,
        decoder_options=parts.decoder_options, text=small.text_spec(),
    )  # fmt: skip
    assert plan.rows[0].learning == 0 or "inner" in parts.encoder_options, "the shared encoder is fixed"


def test_the_paper_scale_is_the_preset_as_it_stands_on_its_own_data() -> None:
    assert scaled(load_preset("jing-coattention"), SCALES["paper"]) is load_preset("jing-coattention") or scaled(
        load_preset("jing-coattention"), SCALES["paper"]
    ) == load_preset("jing-coattention")
    assert reproduction_request("ditag", "iu-xray", {"seed": 1}, scale="paper").options == {
        "protocol": "ditag",
        "seed": 1,
    }
    assert reproduction_request("ditag", "table", {}, scale="paper").options == {}
    assert reproduction_request("ditag", "phantom", {"n": 7}, scale="small").options["n"] == 7
    one, two = (reproduction_request(name, "phantom", {}, scale="medium").options for name in ("soft-att", "r2gen"))
    assert (one["views"], two["views"]) == (1, 2), "a preset that sees two views gets them"
    with pytest.raises(OptionError, match="no scale 'smal'; did you mean 'small'"):
        reproduction_request("ditag", "phantom", {}, scale="smal")


@pytest.mark.parametrize("name", ["jing-coattention", "mditag-s", "hier-cnn-rnn-dual", "densenet-lstm"])
def test_a_preset_is_reproduced_from_data_to_table(name: str, tiny: None, phantom: Collection, tmp_path: Path) -> None:
    asked = reproduction_request(name, "phantom", {}, scale="small")
    made = reproduce(name, phantom, asked, out=tmp_path / "out")
    assert read_reproduction(tmp_path / "out" / name / "reproduction.json").to_json() == made.to_json()
    assert made.card.n == made.studies["test"] == len(phantom.split("test"))
    assert {"nearest image", "constant (validation)"} <= {s.name for s in made.systems}
    assert made.memory > 0 and made.seconds["train"] > 0
    weights = load_file(tmp_path / "out" / name / "run" / "best" / "model.safetensors")
    learned = sum(tensor.numel() for key, tensor in weights.items() if "running_" not in key)
    assert learned == pytest.approx(made.parameters, rel=0.1), "the rest is the normal study of DiTag"
    said = markdown(made)
    table = load_preset(name).numbers[0].table
    for part in (name, "nearest image", "constant", made.card.split_hash, "MiB at most", "million parameters", table):
        assert part in said
    start = load(tmp_path / "out" / "encoder" / "run" / "best").encoder.state_dict()
    model = load(tmp_path / "out" / name / "run" / "best").encoder.state_dict()
    assert all((v == model[k if k in model else f"inner.{k}"]).all() for k, v in start.items() if "layer4" not in k)


def test_a_shorter_run_teaches_the_shared_encoder_for_fewer_epochs_too(
    tiny: None, phantom: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCALES, "small", replace(TINY, first={"epochs": 9, "batch_size": 8}))
    asked = reproduction_request("cnn-rnn", "phantom", {}, scale="small", epochs=1, limit=8)
    reproduce("cnn-rnn", phantom, asked, out=tmp_path / "out")
    lines = (tmp_path / "out" / "encoder" / "run" / "log.jsonl").read_text().splitlines()
    assert max(json.loads(line).get("epoch", 0) for line in lines) <= 1
    assert json.loads((tmp_path / "out" / "encoder" / "asked.json").read_text())["limit"] == 8


def test_what_is_finished_is_not_made_again_and_another_question_needs_another_folder(
    tiny: None, phantom: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, out = reproduction_request("cnn-rnn", "phantom", {}, scale="small"), tmp_path / "out"
    assert finished("cnn-rnn", asked, out) is None
    first = reproduce("cnn-rnn", phantom, asked, out=out)
    monkeypatch.setattr(reproducing, "_train", lambda *_: pytest.fail("it is finished"))
    assert reproduce("cnn-rnn", phantom, asked, out=out).to_json() == first.to_json()
    with pytest.raises(OptionError, match=r"made with seed=0, and 1 is asked for; another --out"):
        reproduce("cnn-rnn", phantom, replace(asked, seed=1), out=out)


def test_abnormal_sentences_alone_leave_normal_studies_out_and_say_so(
    tiny: None, phantom: Collection, tmp_path: Path
) -> None:
    made = reproduce(
        "hier-cnn-rnn", phantom, reproduction_request("hier-cnn-rnn", "phantom", {}, scale="small"), out=tmp_path / "o"
    )
    normal = sum(s.extra["normal"] for s in phantom.studies)
    assert sum(made.studies.values()) == 30 - normal > 0
    assert f"{normal} studies without section abnormal are left out" in made.notes
    bare = replace(phantom, studies=tuple(replace(s, sections={"findings": "Clear."}) for s in phantom.studies))
    with pytest.raises(
        DataError, match=r"reads section abnormal, and no study .* there are: findings; rg data abnormal"
    ):
        reproduce("hier-cnn-rnn", bare, ReproductionRequest("phantom", {}, "small"), out=tmp_path / "other")


def test_a_limit_takes_the_first_studies_of_each_split(tiny: None, phantom: Collection, tmp_path: Path) -> None:
    asked = reproduction_request("lrcn", "phantom", {}, scale="small", limit=3)
    assert reproduce("lrcn", phantom, asked, out=tmp_path / "out").studies == {"train": 3, "val": 3, "test": 3}


def test_a_scale_sets_limits_where_a_preset_is_silent_and_what_they_cut_is_said(
    tiny: None, phantom: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCALES, "small", replace(TINY, text={"max_sentences": 1}))
    ours = load_preset("lrcn")
    silent = replace(ours, text={k: v for k, v in ours.text.items() if k != "max_sentences"})
    monkeypatch.setattr(reproducing, "load_preset", lambda name: silent)
    made = reproduce(
        "lrcn", phantom, reproduction_request("lrcn", "phantom", {}, scale="small", limit=3), out=tmp_path / "out"
    )
    assert load(tmp_path / "out" / "lrcn" / "run" / "best").text.max_sentences == 1
    assert "3 of 3 reports to learn from are longer than 1 sentences of 30 words, and are cut" in made.notes
    assert scaled(load_preset("jing-coattention"), SCALES["small"]).text["max_sentences"] == 16


def line(name: str, value: float, low: float, high: float) -> ScoreLine:
    return ScoreLine(name, value, low, high, True, name.split()[0])


def test_the_table_of_all_says_whether_a_system_lies_above_what_needs_no_model(
    tiny: None, phantom: Collection, tmp_path: Path
) -> None:
    made = reproduce("lrcn", phantom, reproduction_request("lrcn", "phantom", {}, scale="small"), out=tmp_path / "out")
    others = [System(n, (line("cider", 0.4, 0.3, 0.45),), {}) for n in ("constant (validation)", "nearest image")]
    for low, value, says in [(0.5, 0.6, "apart, above"), (0.35, 0.45, "above"), (0.1, 0.2, "not above")]:
        ours = System("lrcn", (line("cider", value, low, 0.9),), {})
        scores, beside = system_tables([replace(made, systems=(ours, *others))], [("att-rk", "no tags")])
        assert beside.rows[0][4] == says
    assert scores.foot[-1] == "att-rk failed: no tags"
    row = dict(zip(scores.header, scores.rows[0], strict=True))
    assert (row["paper bleu-4"], row["paper cider"]) == ("0.099", "0.190")
    assert row["million parameters"] == f"{made.parameters / 1e6:.2f}"
    older = replace(made, parameters=0)
    assert system_tables([older])[0].rows[0][-1] == "–" and "million" not in markdown(older)
    assert preset_table(made).rows[0][0] == "paper: IU X-Ray, Table 1, LRCN"
    json.dumps(made.to_json())
