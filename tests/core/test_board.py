"""A board of evaluations: what stands in it, what is refused, and what one broken folder does to the others."""

import json
from pathlib import Path
from typing import Any

import pytest

from reportgen_core import DataError, evaluate
from reportgen_core.scoring.baselines import BaselineData
from reportgen_core.scoring.compared.board import make_board
from reportgen_core.scoring.evaluation_folder import save_evaluation

REFERENCES = {"a": "The lungs are clear.", "b": "The heart is enlarged.", "c": "A nodule is seen.", "d": "No effusion."}
GOOD = {**REFERENCES, "c": "A nodule."}
BAD = dict.fromkeys(REFERENCES, "The lungs are clear.")
TRAINING = BaselineData({"t1": "No effusion.", "t2": "No effusion."}, {"v": "No effusion."})


def saved(folder: Path, texts: dict[str, str] = GOOD, references: dict[str, str] = REFERENCES, **options: Any) -> Path:
    options = {"metrics": ("bleu", "rouge-l"), "protocol": "raw", "resamples": 20, "background": TRAINING, **options}
    save_evaluation(evaluate(texts, references, name=folder.name, **options), folder)
    return folder


def test_systems_come_first_equal_baselines_once_and_the_best_is_marked(tmp_path: Path) -> None:
    board = make_board([saved(tmp_path / "bad", BAD), saved(tmp_path / "good")])
    assert [r.name for r in board.rows if r.kind == "system"] == ["bad", "good"]
    baselines = [r.name for r in board.rows if r.kind == "baseline"]
    assert len(baselines) == len(set(baselines)) > 0
    assert [c.name for c in board.columns] == ["bleu-1", "bleu-2", "bleu-3", "bleu-4", "rouge-l"]
    rouge = [r.cells[-1] for r in board.rows]
    assert [c.best for c in rouge] == [False, True] + [False] * len(baselines)
    assert all(c.low is not None and c.low <= c.value <= c.high for c in rouge[:2])  # type: ignore[operator]
    assert "protocol raw 1" in board.foot[0]


def test_rows_of_one_name_are_told_apart_and_a_folder_counts_once(tmp_path: Path) -> None:
    one, two = (saved(tmp_path / name / "run") for name in ("x", "y"))
    board = make_board([one, two, one / "scores.json", tmp_path / "x" / ".." / "x" / "run"])
    assert [r.folder for r in board.rows if r.kind == "system"] == [one, two]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"protocol": "tokens"}, "protocol: raw 1 against tokens 1"),
        ({"references": {**REFERENCES, "a": "Other."}}, "studies or references: "),
        ({"sections": ("findings",)}, "sections: not stated against findings"),
    ],
)
def test_unlike_evaluations_are_refused_with_both_folders_and_what_differs(
    options: dict[str, Any], why: str, tmp_path: Path
) -> None:
    one, two, three = saved(tmp_path / "one"), saved(tmp_path / "two"), saved(tmp_path / "three", **options)
    with pytest.raises(DataError) as raised:
        make_board([one, two, three])
    assert str(raised.value).startswith(f"these do not belong on one board with {one}: {three}: {why}")
    assert "\n" not in str(raised.value) and f"{two}:" not in str(raised.value)


def test_another_version_of_a_metric_is_refused(tmp_path: Path) -> None:
    one, two = saved(tmp_path / "one"), saved(tmp_path / "two")
    edit(
        two,
        lambda v: [line.update(version="9") for s in v["systems"] for line in s["lines"] if line["name"] == "rouge-l"],
    )
    with pytest.raises(DataError, match=r"two: rouge-l: version 1 against 9$"):
        make_board([one, two])


def edit(folder: Path, change: Any) -> None:
    values = json.loads((folder / "scores.json").read_text())
    change(values)
    (folder / "scores.json").write_text(json.dumps(values))


BREAKS = {
    "no number": lambda v: v["systems"][0]["lines"][0].update(value="<b>1</b>"),
    "a text of its score card": lambda v: v["card"].update(protocol=["raw"]),
    "a number of its score card": lambda v: v["card"].update(n="4"),
    "has no systems": lambda v: v.update(systems=[]),
    "format 9": lambda v: v.update(format=9),
    "is no text": lambda v: v["systems"][0].update(name=7),
    "no scores that rg eval": lambda v: v.pop("card"),
}


@pytest.mark.parametrize("why", BREAKS)
def test_a_broken_folder_is_a_row_that_says_why_and_the_others_stand(why: str, tmp_path: Path) -> None:
    good, bad = saved(tmp_path / "good"), saved(tmp_path / "bad")
    edit(bad, BREAKS[why])
    board = make_board([bad, good])
    (row,) = board.broken
    assert row.name == "bad" and why in row.notes[0] and len(row.cells) == len(board.columns)
    assert board.rows[0].name == "good" and board.rows[-1] == row


def test_folders_that_are_missing_empty_or_cut_are_rows_too_and_none_at_all_is_refused(tmp_path: Path) -> None:
    good, cut, empty = saved(tmp_path / "good"), saved(tmp_path / "cut"), tmp_path / "empty"
    empty.mkdir()
    (cut / "scores.json").write_text((cut / "scores.json").read_text()[:500])
    board = make_board([good, cut, empty, tmp_path / "missing"])
    assert [r.name for r in board.broken] == ["cut", "empty", "missing"]
    with pytest.raises(DataError, match=r"no folder is an evaluation: cannot read .*scores\.json"):
        make_board([empty])


def test_a_baseline_that_an_expensive_metric_spared_says_so(tmp_path: Path) -> None:
    one = saved(tmp_path / "one")
    edit(one, lambda v: [s.update(lines=[x for x in s["lines"] if x["metric"] != "rouge-l"]) for s in v["systems"][1:]])
    first, *baselines = make_board([one]).rows
    assert not first.notes and baselines
    assert all("without rouge-l: its page says why" in row.notes for row in baselines)


def test_a_metric_that_failed_in_one_evaluation_is_a_note_of_its_row(tmp_path: Path) -> None:
    one, two = saved(tmp_path / "one"), saved(tmp_path / "two", metrics=("bleu", "chexbert"))
    rows = make_board([one, two]).rows
    assert rows[1].name == "two" and rows[1].cells[-1].value is None
    assert any(note.startswith("no chexbert: chexbert needs") for note in rows[1].notes)
