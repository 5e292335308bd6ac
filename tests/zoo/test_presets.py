"""Presets are data: every file is registered, read strictly, and composes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import reportgen_zoo
from reportgen_zoo.manifest.schema import DataFormatError
from reportgen_zoo.reproduce.preset import Preset, PresetError, load_preset, read_preset

from reportgen_core import Entry, UnknownName
from reportgen_core.models.composition import check_composition
from reportgen_core.registries import datasets, presets
from reportgen_core.training.settings import TrainSettings

FOLDER = Path(reportgen_zoo.__file__).parent / "presets"
OURS = sorted(p.stem for p in FOLDER.glob("*.json"))


def test_every_file_is_registered_and_every_entry_has_a_file() -> None:
    assert sorted(n for n in presets if presets.owner(n) == "reportgen:zoo") == OURS


@pytest.mark.parametrize("name", OURS)
def test_a_preset_composes_without_weights(name: str) -> None:
    made = load_preset(name).compose
    plan = check_composition(
        encoder=made.encoder, decoder=made.decoder, retriever=made.retriever,
        encoder_options=made.encoder_options, decoder_options=made.decoder_options, text=load_preset(name).text_spec(),
    )  # fmt: skip
    assert [row.name for row in plan.rows] == [made.encoder, made.decoder or made.retriever]


@pytest.mark.parametrize("name", OURS)
def test_a_preset_names_settings_data_and_figures_that_there_are(name: str) -> None:
    found = load_preset(name)
    TrainSettings.of(found.train)
    assert set(found.data.options) <= set(datasets.options(found.data.dataset))
    assert found.numbers or any("could not be checked" in note for note in found.notes)
    assert found.summary == presets[name].summary


def test_the_coattention_preset_has_the_sizes_of_the_paper() -> None:
    """Section 4.2: all hidden states and embeddings 512, the top 10 tags; 4.1: 1,000 words, impression and findings."""
    found = load_preset("jing-coattention")
    options = found.compose.decoder_options
    assert (options["hidden"], options["embedding"], options["tags_used"]) == (512, 512, 10)
    assert found.text_spec().max_vocabulary == 1000
    assert found.text_spec().sections == ("impression", "findings")
    assert found.numbers[0].values["bleu-4"] == 0.247  # Table 1, upper part, last row


# What the paper itself gives each row of a table apart: losses, their order, and what a row reads or writes.
OWN = {"weights", "steps"}


@pytest.mark.parametrize("first", OURS)
def test_the_rows_of_one_table_are_trained_alike(first: str) -> None:
    """Rows that learn the same way (a decoder, or a retriever) have one training and one limit of text."""
    one = load_preset(first)
    tables = {row.table.partition(",")[0] for row in one.numbers}
    for name in OURS:
        other = load_preset(name)
        shared = tables & {row.table.partition(",")[0] for row in other.numbers}
        alike = bool(one.compose.decoder) == bool(other.compose.decoder)
        if one.paper == other.paper and shared and alike:
            assert _training(other) == _training(one), f"{first} and {name} stand in {', '.join(sorted(shared))}"
            limits = [replace(p.text_spec(), sections=()) for p in (one, other)]
            assert limits[0] == limits[1], f"{first} and {name} stand in {', '.join(sorted(shared))}"


def _training(preset: Preset) -> dict[str, Any]:
    """Return the settings by which every row of a table is taught, with the defaults in the place of what is not set."""
    nothing_to_fix = {"freeze_encoder": True} if preset.compose.encoder == "none" else {}
    every = asdict(TrainSettings.of({**preset.train, **nothing_to_fix}))
    return {name: value for name, value in every.items() if name not in OWN}


def text(**changes: Any) -> str:
    good: dict[str, Any] = {"name": "x", "summary": "s", "paper": "p", "compose": {"encoder": "e", "decoder": "d"}}
    return json.dumps(good | changes)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (text(compose={"encoder": "e"}), "compose needs either a decoder or a retriever"),
        (text(compose={"encoder": "e", "decoder": "d", "retriever": "r"}), "either a decoder or a retriever"),
        (text(compose={"encodr": "e"}), "compose: has no 'encodr'; did you mean 'encoder'"),
        (text(text={"recip": "jing"}), "text: a text spec has no setting 'recip'; did you mean 'recipe'"),
        (text(text={"recipe": "jingg"}), "text: .*did you mean 'jing'"),
        (text(trian={}), "has no 'trian'; did you mean 'train'"),
        (text(name="y"), "the file calls itself 'y'"),
        ("{", "is no JSON"),
    ],
)
def test_what_is_wrong_with_a_preset_is_named(body: str, says: str) -> None:
    with pytest.raises((PresetError, DataFormatError), match=says):
        read_preset(body, "preset 'x'", "x")


def test_an_unknown_preset_has_a_near_match() -> None:
    with pytest.raises(UnknownName, match="did you mean 'jing-coattention'"):
        load_preset("jing-coatention")


@pytest.mark.parametrize("target", ["no.such.package:a.json", "reportgen_zoo:presets/none.json"])
def test_a_preset_whose_file_is_gone_says_whose_it_is(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    list(presets)  # asks the plugins first
    monkeypatch.setitem(presets._by_name, "gone", ("their-package:x", Entry("gone", target, "s")))  # type: ignore[arg-type]
    with pytest.raises(PresetError, match=r"'gone' of their-package:x: .* cannot be read"):
        load_preset("gone")
