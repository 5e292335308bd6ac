"""`rg report --indication --prior`: what is given and not used is told once, and bad input is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTE = "note: given and not used by "


def test_what_a_model_does_not_take_is_told_once(rg, model: Path, chest: Path, tmp_path: Path) -> None:
    old = tmp_path / "old.txt"
    old.write_text("FINDINGS: Clear.\n")
    done = rg("report", chest, "--model", model, "--indication", "cough", "--prior", old)
    assert done.code == 0
    assert [line for line in done.err.splitlines() if line.startswith(NOTE)] == [
        f"{NOTE}{model}: indication, prior report"
    ]
    without = rg("report", chest, "--model", model)
    assert without.out == done.out and NOTE not in without.err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--prior", "nothing"], "the prior nothing does not exist"),
        (["--prior", "CHEST"], "of the study itself"),
        (["--prior", "BAD"], "the prior cannot be read"),
        (["--prior", "EMPTY"], "holds neither an image nor a report"),
        (["CHEST2", "--indication", "cough"], "an indication belongs to one study, and there are 2 here"),
    ],
)
def test_bad_input_is_one_line(rg, model: Path, chest: Path, tmp_path: Path, flags: list[str], says: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.png").write_bytes(chest.read_bytes()[:60])
    (tmp_path / "other.png").write_bytes(chest.read_bytes())
    places = {
        "CHEST": chest, "BAD": tmp_path / "bad.png", "EMPTY": tmp_path / "empty", "CHEST2": tmp_path / "other.png",
    }  # fmt: skip
    done = rg("report", chest, *(places.get(flag, flag) for flag in flags), "--model", model)
    assert done.code == 1 and done.out == ""
    complaints = [line for line in done.err.splitlines() if line.startswith("rg: ")]
    assert len(complaints) == 1 and says in complaints[0]


def test_an_evaluation_says_under_its_table_what_the_model_does_not_take(
    rg, model: Path, chest: Path, tmp_path: Path
) -> None:
    lines = [
        {"id": f"s{n}", "split": "test", "views": [{"path": chest.name}], "sections": {"findings": f"Clear {n}."}}
        for n in range(3)
    ]
    lines[1]["sections"]["indication"] = "cough"
    (chest.parent / "studies.jsonl").write_text("\n".join(map(json.dumps, lines)))
    done = rg(
        "eval", "--model", model, "--data", "table", "--data-root", chest.parent / "studies.jsonl",
        "--metrics", "bleu", "--protocol", "raw", "--no-baselines", "--resamples", 0,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert (done.out + done.err).count("given and not used by") == 1
    assert "indication (1 of 3" in " ".join((done.out + done.err).split())
