"""`rg reproduce`: one preset or all of them, what is finished is left alone, and one that fails loses no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from reportgen_cli.commands import reproduce as command
from reportgen_zoo.reproduce import run as reproducing
from reportgen_zoo.reproduce.preset import load_preset
from reportgen_zoo.reproduce.record import Reproduction, ReproductionRequest
from reportgen_zoo.reproduce.run import reproduction_request

from reportgen_core.scoring.scorecard import ScoreCard, System
from reportgen_core.types import ScoreLine


def made(name: str, asked: ReproductionRequest) -> Reproduction:
    systems = tuple(
        System(who, (ScoreLine("cider", value, value - 0.05, value + 0.05, True, "cider", "1"),), {}, size={})
        for who, value in ((name, 0.5), ("constant (validation)", 0.1), ("nearest image", 0.2))
    )
    settings = {"epochs": 8, "batch_size": 16, "select": "loss", "seed": 0}
    preset = load_preset(name)
    return Reproduction(
        name, preset.paper, asked, preset.numbers, ScoreCard("raw 1", ("findings",), "phantom", "test", "abc123def456", n=6, of=6),
        systems, {"train": 20, "val": 4, "test": 6}, "encoder × decoder", settings, {"train": 3.0, "evaluate": 1.0}, 512,
        "cpu",
    )  # fmt: skip


def finish(name: str, out: Path, **how: Any) -> None:
    """As if the preset had been reproduced."""
    asked = reproduction_request(name, "phantom", {}, scale="small", **how)
    reproducing._write(out / name / "asked.json", reproducing._request_values(name, asked))
    reproducing._write(out / name / "reproduction.json", made(name, asked).to_json())


def test_a_finished_preset_is_printed_again(rg: Any, tmp_path: Path) -> None:
    finish("lrcn", tmp_path)
    done = rg("reproduce", "lrcn", "--data", "phantom", "--scale", "small", "--out", tmp_path)
    assert done.code == 0
    assert "lrcn is finished" in done.err
    for part in ("paper: IU X-Ray, Table 1, LRCN", "0.190", "nearest image", "split abc123def456", "512 MiB"):
        assert part in done.out
    other = rg("reproduce", "lrcn", "--data", "phantom", "--scale", "small", "--out", tmp_path, "--limit", 5)
    assert other.code == 1
    assert "was made with limit=null, and 5 is asked for" in other.err


def test_all_makes_what_is_missing_and_names_what_fails(
    rg: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["cnn-rnn", "lrcn", "soft-att"]
    monkeypatch.setattr(command, "presets", names)
    finish("cnn-rnn", tmp_path)
    called = []

    def in_other_process(name: str, given: command.ReproduceOptions) -> str:
        called.append(name)
        if name == "lrcn":
            return "rg: no space left"
        finish(name, tmp_path)
        return ""

    monkeypatch.setattr(command, "_in_other_process", in_other_process)
    done = rg("reproduce", "--all", "--data", "phantom", "--scale", "small", "--out", tmp_path)
    assert done.code == 1
    assert called == ["lrcn", "soft-att"]
    assert "lrcn failed: rg: no space left" in done.out
    written = json.loads((tmp_path / "systems.json").read_text())
    assert [s["preset"] for s in written["systems"]] == ["cnn-rnn", "soft-att"]
    assert written["failed"] == {"lrcn": "rg: no space left"}
    assert "| soft-att | findings |" in (tmp_path / "systems.md").read_text()
    assert "apart, above" in done.out


def test_each_is_made_in_a_process_of_its_own_with_the_same_options(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[list[str]] = []
    start = subprocess.Popen

    def popen(arguments: list[str], **how: Any) -> Any:
        seen.append(arguments)
        return start([sys.executable, "-c", "import sys; sys.exit('rg: it broke')"], **how)

    monkeypatch.setattr(command.subprocess, "Popen", popen)
    how = {
        "data": "table", "data_root": tmp_path, "data_options": ('tags="mesh"', "n=3"), "scale": "small", "epochs": 2,
        "limit": None, "seed": 1, "out": tmp_path / "out", "cache": False, "device": "cpu",
    }  # fmt: skip
    given = command.ReproduceOptions(**how)  # type: ignore[arg-type]
    assert command._in_other_process("ditag", given) == "rg: it broke"
    [arguments] = seen
    context = command.reproduce.make_context("reproduce", arguments[4:])
    parsed = context.params
    assert parsed["preset"] == "ditag" and not parsed["every"]
    assert {k: parsed[k] for k in how} == how


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ([], "reproduce needs PRESET or --all"),
        (["lrcn", "--all"], "reproduce needs PRESET or --all"),
        (["tienet-r"], "tienet-r writes no report: rg train --preset tienet-r"),
        (["lrc"], "did you mean 'lrcn'"),
    ],
)
def test_what_cannot_be_is_one_line(rg: Any, tmp_path: Path, asked: list[str], says: str) -> None:
    options = ["--data", "phantom", "--data-option", "n=5", "--data-option", "size=64", "--scale", "small"]
    done = rg("reproduce", *asked, *options, "--out", tmp_path)
    assert done.code == 1
    assert says in done.err


def test_a_reproduction_has_the_page_of_its_evaluation(
    rg: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reportgen_core import evaluate

    evaluation = evaluate({"a": "Heart big."}, {"a": "Heart normal."}, protocol="raw", metrics=["bleu"], resamples=0)

    def fake(preset: str, collection: object, asked: ReproductionRequest, *, out: Path, **how: Any) -> Reproduction:
        folder = out / preset / "evaluation"
        folder.mkdir(parents=True)
        how["on_evaluation"](evaluation, folder)
        return made(preset, asked)

    monkeypatch.setattr(reproducing, "reproduce", fake)
    small = ("--data-option", "n=8", "--data-option", "size=64")
    done = rg("reproduce", "lrcn", "--data", "phantom", *small, "--scale", "small", "--out", tmp_path)
    assert done.code == 0, done.err
    page = (tmp_path / "lrcn" / "evaluation" / "report.html").read_text()
    assert "Heart big." in page and "Heart normal." in page
