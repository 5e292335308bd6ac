"""`rg compose`: parts are checked, counted and written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from reportgen_cli.commands.compose import compose_arguments

from reportgen_core import OptionError, load
from reportgen_core.models.composition import check_composition

TINY = [
    "--encoder", "resnet50", "--decoder", "hier-lstm", "--encoder-option", "size=64",
    "--encoder-option", 'model_args={"layers": [1, 1, 1, 1], "channels": [4, 4, 8, 8]}',
    "--decoder-option", "hidden=16", "--decoder-option", "embedding=16",
]  # fmt: skip
NONE: dict[str, str | None] = {"encoder": None, "decoder": None, "retriever": None}
NO_OPTIONS: dict[str, dict[str, object]] = {"encoder_options": {}, "decoder_options": {}}


def test_the_folder_holds_the_model_that_the_table_told(rg, tmp_path: Path) -> None:
    done = rg("compose", *TINY, "--text", "max_sentences=3", "--out", tmp_path / "m", "--json")
    assert done.code == 0
    rows = {r["part"]: r for r in json.loads(done.out)["rows"]}
    made = load(tmp_path / "m")
    assert made.decoder is not None
    for part, module in (("encoder", made.encoder), ("decoder", made.decoder)):
        assert rows[part]["parameters"] == sum(p.numel() for p in module.parameters())
    assert made.encoder.image.height == 64
    assert made.text.max_sentences == 3
    assert made.decoder.part_config["options"] == {"hidden": 16, "embedding": 16}


def test_the_table_names_parts_shapes_and_counts(rg) -> None:
    done = rg("compose", "--encoder", "densenet121", "--decoder", "hier-lstm", "--check")
    encoder, decoder = done.out.splitlines()[1:3]
    assert encoder.split()[:2] == ["encoder", "densenet121"]
    assert "49 = 1 × 7 × 7 tokens of 1024" in encoder
    assert "6,953,856" in encoder  # torchvision's densenet121 has 7,978,856 parameters, 1,025,000 in its classifier
    assert decoder.split()[:2] == ["decoder", "hier-lstm"]


def test_a_check_writes_nothing(rg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert rg("compose", *TINY, "--check").code == 0
    assert not list(tmp_path.iterdir())


def test_without_out_the_folder_is_named_after_the_parts(rg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert rg("compose", *TINY).code == 0
    assert (tmp_path / "resnet50-hier-lstm" / "config.json").is_file()


def test_a_model_that_is_there_is_replaced_only_when_asked(rg, tmp_path: Path) -> None:
    rg("compose", *TINY, "--out", tmp_path / "m")
    before = (tmp_path / "m" / "model.safetensors").read_bytes()
    done = rg("compose", *TINY, "--seed", 1, "--out", tmp_path / "m")
    assert done.code == 1
    assert "is a model already; --force replaces it" in done.err
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == before
    assert rg("compose", *TINY, "--seed", 1, "--out", tmp_path / "m", "--force").code == 0
    assert (tmp_path / "m" / "model.safetensors").read_bytes() != before


def test_a_folder_of_something_else_is_never_replaced(rg, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    done = rg("compose", *TINY, "--out", tmp_path, "--force")
    assert done.code == 1
    assert "is there and is no model" in done.err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["--encoder", "resnte50", "--decoder", "hier-lstm"], "no encoder named 'resnte50'; did you mean 'resnet50'? there are: "),
        (["--encoder", "resnet50", "--decoder", "hier-lst"], "no decoder named 'hier-lst'; did you mean 'hier-lstm' or 'hier-lstm-dual'?"),
        ([*TINY, "--encoder-option", "depht=1"], "encoder 'resnet50' has no option 'depht'; did you mean 'depth'?"),
        ([*TINY, "--decoder-option", "hidden"], "option 'hidden' is not written name=value"),
        ([*TINY, "--decoder-option", "attention=both"], "hier-lstm has no attention='both'; there are: co, visual"),
        ([*TINY, "--text", "recipe=jin"], "no text recipe named 'jin'; did you mean 'jing'?"),
        (["--encoder", "resnet50"], "compose needs --encoder and --decoder (or --retriever), or --preset"),
        (["--preset", "jing"], "no preset named 'jing'"),
    ],
)  # fmt: skip
def test_what_does_not_exist_or_fit_is_one_line(rg, asked: list[str], says: str) -> None:
    done = rg("compose", *asked, "--check")
    assert done.code == 1
    assert done.err.startswith("rg: ")
    assert says in done.err
    assert done.err.count("\n") == 1


def test_a_preset_is_what_its_file_says() -> None:
    made = compose_arguments("jing-visual-only", NONE, NO_OPTIONS, {})
    assert (made["encoder"], made["decoder"], made["retriever"]) == ("vgg19", "hier-lstm", None)
    assert made["decoder_options"]["attention"] == "visual"
    assert made["text"].max_vocabulary == 1000
    assert check_composition(**made).rows[0].gives.startswith("196 = 1 × 14 × 14 tokens of 512")  # section 4.2


def test_what_is_asked_beside_a_preset_replaces_its_own() -> None:
    made = compose_arguments(
        "jing-coattention", {**NONE, "encoder": "resnet50"}, {**NO_OPTIONS, "decoder_options": {"tags_used": 5}}, {"min_count": 2}
    )  # fmt: skip
    assert made["encoder"] == "resnet50"
    assert made["encoder_options"] == {}  # VGG's are not the ResNet's
    assert made["decoder_options"]["tags_used"] == 5
    assert made["decoder_options"]["hidden"] == 512
    assert made["text"].min_count == 2


def test_a_retriever_takes_the_place_of_a_presets_decoder() -> None:
    made = compose_arguments("jing-coattention", {**NONE, "retriever": "cvse"}, NO_OPTIONS, {})
    assert (made["decoder"], made["retriever"], made["decoder_options"]) == (None, "cvse", {})


def test_nothing_to_compose_is_told() -> None:
    with pytest.raises(OptionError):
        compose_arguments(None, NONE, NO_OPTIONS, {})
