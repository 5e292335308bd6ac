"""Evaluations as folders and tables, and comparisons that are refused, marked or tested."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reportgen_core import DataError, evaluate
from reportgen_core.scoring.comparison import compare_evaluations
from reportgen_core.scoring.evaluation import Evaluation
from reportgen_core.scoring.evaluation_folder import (
    SavedEvaluation,
    load_evaluation,
    load_probabilities,
    save_evaluation,
)
from reportgen_core.scoring.score_tables import as_csv, as_json, as_latex, as_markdown, tables

REFERENCES = {
    str(i): f"the heart is {w} and the lungs are {v} ."
    for i, (w, v) in enumerate([("big", "clear"), ("small", "hazy"), ("normal", "full"), ("round", "clear")] * 3)
}
GOOD = {k: v.replace("heart", "hart") for k, v in REFERENCES.items()}
BAD = dict.fromkeys(REFERENCES, "the lungs are clear .")


def scored(predictions: dict[str, str], **how: Any) -> Evaluation:
    return evaluate(
        predictions, REFERENCES, **{"protocol": "raw", "metrics": ("bleu", "rouge-l", "cider"), "resamples": 100, **how}
    )


def run(tmp_path: Path, name: str, evaluation: Evaluation) -> SavedEvaluation:
    save_evaluation(evaluation, tmp_path / name)
    return load_evaluation(tmp_path / name)


def test_a_folder_gives_back_what_was_saved(tmp_path: Path) -> None:
    evaluation = scored(GOOD, split="test")
    saved = run(tmp_path, "good", evaluation)
    assert (saved.name, saved.card, saved.systems) == ("good", evaluation.card, evaluation.systems)
    assert all((saved.statistics[k] == v).all() for k, v in evaluation.statistics.items())


def test_scores_hold_no_report_text_and_studies_do(tmp_path: Path) -> None:
    save_evaluation(scored(GOOD), tmp_path)
    for name in ("scores.csv", "scores.md", "scores.tex"):
        assert "hart" not in (tmp_path / name).read_text()
    rows = [json.loads(line) for line in (tmp_path / "studies.jsonl").read_text().splitlines()]
    assert rows[0]["prediction"] == GOOD["0"]
    assert rows[0]["references"] == [REFERENCES["0"]]


def test_like_runs_stand_in_one_table_with_a_test(tmp_path: Path) -> None:
    comparison = compare_evaluations(
        [run(tmp_path, "good", scored(GOOD)), run(tmp_path, "bad", scored(BAD))], rounds=500
    )
    assert [r[0] for r in comparison.table.rows if not r[0].startswith(" ")] == ["good", "bad"]
    difference = comparison.differences["bad"]["rouge-l"]
    assert difference.value > 0
    assert difference.p < 0.05
    assert comparison.tests is not None
    assert comparison.unlike == {}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"protocol": "tokens"}, "protocol: raw 1 against tokens 1"),
        ({"protocol": ("raw", {"lower": False})}, "protocol: raw 1 against raw 1 lower=False"),
        ({"sections": ("findings",)}, "sections: not stated against findings"),
    ],
)
def test_unlike_runs_are_refused_and_marked_when_asked(tmp_path: Path, how: dict[str, Any], said: str) -> None:
    runs = [run(tmp_path, "one", scored(GOOD)), run(tmp_path, "two", scored(GOOD, **how))]
    with pytest.raises(DataError, match=f"do not belong in one table with one: two: {said}.*--anyway"):
        compare_evaluations(runs)
    comparison = compare_evaluations(runs, anyway=True)
    assert "two†" in [r[0] for r in comparison.table.rows]
    assert comparison.differences == {}
    assert any(said in line for line in comparison.table.foot)


def test_other_studies_or_other_references_are_unlike(tmp_path: Path) -> None:
    fewer = {k: v for k, v in GOOD.items() if k != "0"}
    runs = [run(tmp_path, "one", scored(GOOD)), run(tmp_path, "two", scored(fewer, partial=True))]
    with pytest.raises(DataError, match=r"studies or references: .* number of studies: 12 against 11"):
        compare_evaluations(runs)


def test_another_version_of_a_metric_is_unlike(tmp_path: Path) -> None:
    one = run(tmp_path, "one", scored(GOOD))
    run(tmp_path, "two", scored(GOOD))
    path = tmp_path / "two" / "scores.json"
    values = json.loads(path.read_text())
    for line in values["systems"][0]["lines"]:
        line["version"] = "9" if line["name"] == "rouge-l" else line["version"]
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match="rouge-l: version 1 against 9"):
        compare_evaluations([one, load_evaluation(path)])


def test_one_run_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="needs two evaluations"):
        compare_evaluations([run(tmp_path, "one", scored(GOOD))])


@pytest.mark.parametrize("content", ["", "{}", '{"format": 2}', '{"format": 1}', "[]"])
def test_what_is_no_evaluation_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "scores.json"
    path.write_text(content)
    with pytest.raises(DataError, match=str(path)):
        load_evaluation(tmp_path)


def test_tables_show_directions_intervals_and_how_they_were_made() -> None:
    text = as_markdown(tables(scored(GOOD, split="test")))
    assert "| BLEU-1 ↑ |" in text
    assert "protocol raw 1, section not stated, test, n = 12, split" in text
    assert "95 % intervals of 100 resamples of 12 studies, no patient is named, seed 0, version 2" in text


def test_the_variety_of_outputs_stands_beside_the_references() -> None:
    variety_table = tables(scored(BAD))[-1]
    assert (variety_table.title, variety_table.rows[0], variety_table.rows[1]) == (
        "Variety", ("different outputs", "1 of 12", "4 of 12"), ("share of the commonest", "100.0%", "25.0%"),
    )  # fmt: skip


def test_csv_has_one_row_a_number_with_its_card() -> None:
    evaluation = scored(GOOD)
    lines = as_csv(evaluation.card, evaluation.systems).splitlines()
    assert lines[0].startswith("system,subset,score,value,low,high,better,metric,metric_version,protocol,sections")
    assert len(lines) == 1 + 6
    assert ",raw 1," in lines[1]


def test_latex_escapes_what_it_must() -> None:
    text = as_latex(tables(evaluate(GOOD, REFERENCES, protocol="raw", metrics=("rouge-l",), name="50%_a&b")))
    assert r"50\%\_a\&b" in text
    assert r"$\uparrow$" in text
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}")


def test_json_has_no_nan() -> None:
    assert json.loads(as_json({"a": float("nan"), "b": [float("inf"), 1.5]})) == {"a": None, "b": [None, 1.5]}


def test_a_metric_with_many_numbers_has_a_table_by_class() -> None:
    references = {"a": "There is a left pleural effusion.", "b": "No effusion. Cardiomegaly."}
    printed = tables(evaluate(references, references, protocol="raw", metrics=("chexpert-rules",), resamples=20))
    by_class = next(t for t in printed if t.title.startswith("chexpert-rules"))
    assert by_class.header[:6] == ("", "precision ↑", "recall ↑", "f1 ↑", "accuracy ↑", "references")
    row = next(r for r in by_class.rows if r[0] == "Pleural Effusion")
    assert row[1:6] == ("1.000", "1.000", "1.000", "1.000", "1")


def test_probabilities_come_back_by_study_and_those_of_an_earlier_evaluation_are_removed(tmp_path: Path) -> None:
    third = 1 / 3
    pairs = {"A": [(third, 1.0), (None, 0.0), *[(0.5, None)] * 10], "B": [(0.25, 0.0)] * 12}
    evaluation = replace(scored(GOOD), probabilities={"findings": pairs}, curves={"findings": ((0.5, 0.25, 24),)})
    saved = run(tmp_path, "good", evaluation)
    assert saved.reliability == {"findings": ((0.5, 0.25, 24),)}
    back = load_probabilities(tmp_path / "good", saved.studies[1::-1])  # two studies, in another order
    assert back == {"findings": {"A": [(None, 0.0), (pytest.approx(third, abs=1e-9), 1.0)], "B": [(0.25, 0.0)] * 2}}
    assert load_probabilities(tmp_path / "good", ["no such study"]) == {}
    run(tmp_path, "good", scored(GOOD))
    assert load_probabilities(tmp_path / "good", saved.studies) == {}


@pytest.mark.parametrize(
    "line", ['{"id": "0", "findings": {"A": 0.5}}', '["0"]', '{"id": "0", "findings": {"A": ["x", 1]}}', "{"]
)
def test_a_line_of_probabilities_that_is_none_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "probabilities.jsonl").write_text('{"id": "0", "findings": {"A": [0.5, 1]}}\n' + line + "\n")
    with pytest.raises(DataError, match=r"probabilities\.jsonl, line 2: no probabilities"):
        load_probabilities(tmp_path, ["0"])
