"""A model of `rg reproduce` is pushed with the figures of its reproduction, and with no others."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from reportgen_zoo.manifest.cards import card
from reportgen_zoo.manifest.records import ZooError
from reportgen_zoo.publish import facts as reproduced
from reportgen_zoo.pull.catalogue import read_manifest
from reportgen_zoo.reproduce.preset import PaperRow
from reportgen_zoo.reproduce.record import Reproduction, ReproductionRequest
from running import Rg

from reportgen_core.scoring.scorecard import ScoreCard, System
from reportgen_core.testing.parts import tiny_model
from reportgen_core.types import ScoreLine

NAME = "densenet121-hier-lstm.phantom_v1"
LINES = (ScoreLine("cider", 0.71234, 0.65, 0.77), ScoreLine("distinct", 40, higher_is_better=None))
SYSTEMS = (
    System("ditag", LINES, {}),
    System("constant (validation)", (ScoreLine("cider", 0.1),), {}),
    System("most frequent", (ScoreLine("cider", 0.2),), {}, differences={"cider": (0.51234, 0.4, 0.6)}),
    System("nearest image", (ScoreLine("cider", 0.5),), {}, differences={"cider": (0.21234, -0.1, 0.3)}),
)
ASKED = ReproductionRequest("phantom", {"n": 40, "text": "own words"}, "small", 2, None, 7)
STUDIES = {"train": 30, "val": 4, "test": 6}
CARD = ScoreCard("raw 1", ("findings",), "phantom", "test", "ab" * 32, n=6, of=6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = Reproduction(
        "ditag", "Somebody, 2020", ASKED, (PaperRow("x", "y", {"cider": 0.3}),), CARD, SYSTEMS, STUDIES, "e × d", {}, {}, 1, "cpu"
    )  # fmt: skip
    (tmp_path / "ditag").mkdir()
    (tmp_path / "ditag" / "reproduction.json").write_text(json.dumps(made.to_json()))
    tiny_model().save(tmp_path / "ditag" / "run" / "best")
    return tmp_path / "ditag"


def test_its_scores_stand_beside_the_baselines_with_protocol_and_studies(folder: Path) -> None:
    (scores,) = reproduced.facts_of(folder)["scores"]
    assert scores["values"] == {"cider": 0.7123}  # a count is no score
    assert scores["constant"] == {"cider": 0.2}, "the strongest of the constant reports"
    assert scores["above_constant"] == {"cider": [0.5123, 0.4, 0.6]}
    assert scores["above_nearest"] == {"cider": [0.2123, -0.1, 0.3]}
    assert scores["nearest"] == {"cider": 0.5}
    assert scores["intervals"] == {"cider": [0.65, 0.77]}
    assert (scores["protocol"], scores["studies"]) == ("raw 1", 6)
    assert "abababababababab" in scores["data"]


def test_the_command_makes_it_again() -> None:
    assert reproduced.command("ditag", ASKED) == (
        "rg reproduce ditag --data phantom --scale small --seed 7 --data-option n=40 --data-option 'text=own words' "
        "--epochs 2"
    )


def test_it_is_pushed_by_its_folder_and_a_licence(rg: Rg, folder: Path, tmp_path: Path) -> None:
    done = rg("zoo", "push", folder, "--name", NAME, "--licence", "Apache-2.0", "--to", tmp_path / "zoo")
    assert done.code == 0, done.err
    text = (tmp_path / "zoo" / "manifest.json").read_bytes()
    (record,) = read_manifest(text, "there").models
    assert record.paper == "Somebody, 2020"
    assert record.training is not None
    assert record.training.split == "30 train / 4 val / 6 test studies"
    assert (
        "| cider | 0.712 | 0.650 to 0.770 | 0.200 | +0.512 (+0.400 to +0.600) | 0.500 | +0.212 (-0.100 to +0.300) |"
        in card(record)
    )


def test_without_a_licence_it_stays_where_it_is(rg: Rg, folder: Path, tmp_path: Path) -> None:
    done = rg("zoo", "push", folder, "--name", NAME, "--to", tmp_path / "zoo")
    assert done.code == 1
    assert f"{NAME} needs licence" in done.err
    assert not (tmp_path / "zoo").exists()


def test_a_reproduction_without_its_model_is_told(folder: Path) -> None:
    shutil.rmtree(folder / "run")
    with pytest.raises(ZooError, match="the model that was scored is not in run/best"):
        reproduced.facts_of(folder)
