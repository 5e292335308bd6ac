"""Subgroups of the scored studies, and patients as the unit of intervals and tests."""

import csv
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reportgen_core import Collection, DataError, Study, View, evaluate
from reportgen_core.scoring.baselines import BaselineData
from reportgen_core.scoring.comparison import compare_evaluations
from reportgen_core.scoring.evaluation_folder import load_evaluation, save_evaluation
from reportgen_core.scoring.score_tables import as_markdown, evaluation_csv, tables
from reportgen_core.scoring.subgroups.values import age_band, group_names, in_order
from reportgen_core.scoring.uncertainty import bootstrap, paired_test, sum_by_unit, unit_numbers
from reportgen_core.types import Audit

WORDS = ["clear", "big", "small", "hazy", "normal", "round"]


def mean(totals: Any) -> Any:
    return {"mean": totals[..., 1] / totals[..., 0]}


def texts(n: int, seed: int = 3, right: float = 0.5) -> tuple[dict[str, str], dict[str, str]]:
    """Return predictions and references of n studies; a share of the predictions is right."""
    rng = random.Random(seed)
    references = {f"s{i}": f"the heart is {rng.choice(WORDS)} and the lungs are {rng.choice(WORDS)}" for i in range(n)}
    return {k: v if rng.random() < right else "nothing to see" for k, v in references.items()}, references


def scored(n: int = 80, **options: Any) -> Any:
    predictions, references = texts(n)
    settings = {"protocol": "raw", "metrics": ("rouge-l", "cider"), "resamples": 50, **options}
    return evaluate(predictions, references, **settings)


def by(column: str, values: Sequence[object]) -> dict[str, Any]:
    return {"by": (column,), "columns": {column: {f"s{i}": v for i, v in enumerate(values)}}}


# Patients


def test_studies_without_a_patient_are_patients_of_their_own() -> None:
    assert unit_numbers(["a", "", "b", "a", ""]).tolist() == [0, 1, 2, 0, 3]


def test_rows_of_a_unit_are_summed_in_the_order_of_units() -> None:
    rows = np.arange(8.0).reshape(4, 2)
    assert sum_by_unit(rows, np.array([0, 1, 0, 2])).tolist() == [[4, 6], [2, 3], [6, 7]]
    assert sum_by_unit(rows, None) is rows


def test_an_interval_of_twins_is_that_of_the_single_studies() -> None:
    """Each study twice adds no knowledge: drawn by patient the interval stays, drawn by study it shrinks by √2."""
    values = np.random.default_rng(0).normal(size=200)
    single = np.stack([np.ones(200), values], 1)
    twice, patients = np.repeat(single, 2, 0), np.repeat(np.arange(200), 2)
    by_patient = bootstrap(twice, mean, units=patients, resamples=2000)["mean"]
    assert by_patient == pytest.approx(bootstrap(single, mean, resamples=2000)["mean"])
    by_study = bootstrap(twice, mean, resamples=2000)["mean"]
    assert (by_patient[1] - by_patient[0]) / (by_study[1] - by_study[0]) == pytest.approx(2**0.5, rel=0.08)


def test_a_test_of_twins_swaps_both_studies_of_a_patient() -> None:
    rng = np.random.default_rng(1)
    first = np.stack([np.ones(40), rng.normal(size=40)], 1)
    second = first + np.stack([np.zeros(40), rng.normal(0.2, 1, 40)], 1)
    single = paired_test(first, second, mean, rounds=2000)["mean"]
    patients = np.repeat(np.arange(40), 2)
    twins = paired_test(np.repeat(first, 2, 0), np.repeat(second, 2, 0), mean, units=patients, rounds=2000)["mean"]
    assert twins.p == pytest.approx(single.p)
    assert paired_test(np.repeat(first, 2, 0), np.repeat(second, 2, 0), mean, rounds=2000)["mean"].p < single.p


def test_the_foot_says_what_intervals_draw() -> None:
    assert "of 50 resamples of 80 studies, no patient is named, seed 0, version 2" in tables(scored())[0].foot[0]
    patients = {f"s{i}": f"p{i // 2}" for i in range(80)}
    evaluation = scored(patients=patients)
    assert "of 50 resamples of 40 patients, seed 0" in tables(evaluation)[0].foot[0]
    assert (evaluation.card.patients, evaluation.to_json()["units"][:4]) == (40, [0, 0, 1, 1])
    assert evaluation.scores == scored().scores
    assert evaluation.systems[0].line("rouge-l").low != scored().systems[0].line("rouge-l").low


def test_the_name_of_a_patient_is_in_no_file(tmp_path: Path) -> None:
    save_evaluation(scored(patients={f"s{i}": f"DOE^JANE{i % 9}" for i in range(80)}), tmp_path)
    assert all(b"DOE" not in file.read_bytes() for file in tmp_path.iterdir())


def test_one_study_a_patient_gives_the_intervals_of_studies() -> None:
    lines = scored(patients={f"s{i}": f"p{i}" for i in range(80)}).systems[0].lines
    assert lines == scored().systems[0].lines


def test_studies_bring_their_patients_and_a_comparison_draws_them(tmp_path: Path) -> None:
    predictions, references = texts(80)
    other = texts(80, seed=1)[0]
    studies = [Study(k, sections={"findings": v}, patient=f"p{i // 4}") for i, (k, v) in enumerate(references.items())]
    collection = Collection(tuple(studies), Audit("made", 80, 0))
    for name, reports in (("one", predictions), ("two", {k: other[k] for k in references})):
        evaluation = evaluate(reports, collection, protocol="raw", metrics=("rouge-l",), resamples=50)
        save_evaluation(evaluation, tmp_path / name)
    runs = [load_evaluation(tmp_path / name) for name in ("one", "two")]
    comparison = compare_evaluations(runs, rounds=200)
    assert comparison.tests is not None
    assert "both draw 20 patients; version 2" in comparison.tests.foot[0]
    rows = [run.statistics["rouge-l"] for run in runs]
    expected = paired_test(
        *rows, lambda t: {"rouge-l": t[..., 1] / t[..., 0]}, units=np.repeat(np.arange(20), 4), rounds=200
    )
    assert comparison.differences["two"]["rouge-l"] == expected["rouge-l"]


def test_versions_of_intervals_and_baselines_are_not_mixed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_evaluation(scored(background=BaselineData({"t": "clear"})), tmp_path / name)
    path = tmp_path / "two" / "scores.json"
    values = json.loads(path.read_text())
    for field, version in (("intervals", "1"), ("baselines", "0")):
        changed = {**values, "card": {**values["card"], field: version}}
        path.write_text(json.dumps(changed))
        with pytest.raises(DataError, match=rf"two: version of .*{field}.* against {version}"):
            compare_evaluations([load_evaluation(tmp_path / n) for n in ("one", "two")])
    old = {k: v for k, v in values["card"].items() if k not in ("intervals", "baselines", "patients")}
    path.write_text(json.dumps({**{k: v for k, v in values.items() if k != "units"}, "card": old}))
    assert load_evaluation(path).card.intervals == "1"


# Subgroups


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (45, "40-64"), ("45", "40-64"), (45.0, "40-64"), ("045Y", "40-64"), ("006M", "0-17"), ("010D", "0-17"),
        ("45 years", "40-64"), (">89", "80+"), ("90+", "80+"), (17.9, "0-17"), (18, "18-39"), ("65", "65-79"),
        ("unknown", "not stated"), ("-1", "not stated"), (0, "0-17"), ("200W", "0-17"), ("1e3", "not stated"),
    ],
)  # fmt: skip
def test_an_age_has_a_band(age: object, band: str) -> None:
    assert age_band(age) == band


@pytest.mark.parametrize(
    ("column", "values", "names"),
    [
        ("sex", ["M", "male", "F", "f ", None], ["male", "male", "female", "female", "not stated"]),
        ("PatientSex", ["M", "", "O", "nan", "o"], ["male", "not stated", "O", "not stated", "O"]),
        ("age", [12, "80Y", "", 30, "x"], ["0-17", "80+", "not stated", "18-39", "not stated"]),
        ("site", ["A", " A", "a", 3.0, True], ["A", "A", "A", "3", "yes"]),
    ],
)
def test_values_become_names_of_subgroups(column: str, values: list[object], names: list[str]) -> None:
    assert list(group_names(column, values)) == names


def test_subgroups_are_in_the_order_of_their_values() -> None:
    assert in_order("age", ["80+", "not stated", "0-17", "18-39"]) == ["0-17", "18-39", "80+", "not stated"]
    assert in_order("site", ["10", "9", "not stated", "B", "a"]) == ["9", "10", "B", "a", "not stated"]


def test_a_subgroup_is_scored_as_its_studies_alone() -> None:
    values = ["F" if i % 2 else "M" for i in range(80)]
    evaluation = scored(**by("sex", values))
    predictions, references = texts(80)
    women = [f"s{i}" for i in range(80) if i % 2]
    alone = evaluate(
        {k: predictions[k] for k in women}, {k: references[k] for k in women}, protocol="raw",
        metrics=("rouge-l", "cider"), resamples=50,
    )  # fmt: skip
    assert evaluation.systems[0].subsets["sex: female"] == alone.systems[0].lines
    assert evaluation.studies[1].subsets == ("sex: female",)
    (female, male) = evaluation.to_json()["subgroups"]
    assert (female["column"], female["group"], female["studies"], female["caution"]) == ("sex", "female", 40, "")
    gaps = [g["scores"]["rouge-l"]["gap"] for g in (female, male)]
    assert max(gaps) == 0 > min(gaps)
    assert min(gaps) == -abs(female["scores"]["rouge-l"]["value"] - male["scores"]["rouge-l"]["value"])


def test_a_table_shows_size_score_interval_gap_and_caution() -> None:
    evaluation = scored(**by("site", ["A"] * 50 + ["B"] * 29 + [""]))
    (table,) = [t for t in tables(evaluation) if t.title == "By site"]
    assert table.header[:2] == ("site", "studies")
    assert [row[:2] for row in table.rows if not row[0].startswith(" ")] == [
        ("A", "50"), ("B (caution)", "29"), ("not stated (caution)", "1")
    ]  # fmt: skip
    assert [row[0] for row in table.rows[:3]] == ["A", "  95 %", "  gap"]
    assert "best" in [row[2] for row in table.rows if row[0] == "  gap"]
    assert "B: fewer than 30 studies, read its scores with caution" in table.foot
    assert "By site" in as_markdown([table])


def test_a_subgroup_of_few_patients_has_a_caution_though_it_has_many_studies() -> None:
    patients = {f"s{i}": f"p{i % 20}" for i in range(80)}
    evaluation = scored(patients=patients, **by("site", ["A"] * 80))
    assert [(g.studies, g.patients, g.caution) for g in evaluation.subgroups] == [(80, 20, "fewer than 30 patients")]


def test_the_best_subgroup_of_a_score_where_less_is_better_has_the_least() -> None:
    predictions = {f"s{i}": "The lungs are clear." if i < 2 else "A mass." for i in range(4)}
    references = dict.fromkeys(predictions, "The lungs are clear.")
    evaluation = evaluate(
        predictions, references, protocol="raw", metrics=("normality",), resamples=0,
        **by("site", ["A", "A", "B", "B"]),
    )  # fmt: skip
    scores = {g["group"]: g["scores"] for g in evaluation.to_json()["subgroups"]}
    assert scores["A"]["normality difference"]["gap"] == 0
    assert scores["B"]["normality difference"]["gap"] > 0
    assert scores["B"]["normality share"]["gap"] is None


def test_csv_has_the_subgroups_with_interval_and_gap() -> None:
    evaluation = scored(**by("sex", ["F" if i % 2 else "M" for i in range(80)]))
    rows = [r for r in csv.DictReader(io.StringIO(evaluation_csv(evaluation))) if r["subset"] != "all"]
    assert {(r["subset"], r["n"]) for r in rows} == {("sex: female", "40"), ("sex: male", "40")}
    assert all(float(r["low"]) <= float(r["value"]) <= float(r["high"]) for r in rows)
    assert {r["gap"] == "0.0" for r in rows} == {True, False}


def test_seen_and_normal_subgroups_come_by_themselves_with_their_gaps() -> None:
    predictions, references = texts(40)
    training = {f"t{i}": v for i, v in enumerate(list(references.values())[:20])}
    normal = {k: i % 2 == 0 for i, k in enumerate(references)}
    evaluation = evaluate(
        predictions, references, protocol="raw", metrics=("rouge-l",), resamples=20,
        background=BaselineData(training, normal=normal),
    )  # fmt: skip
    shown = {t.title: t for t in tables(evaluation)}
    assert {"By training", "By reference"} <= set(shown)
    assert any(row[0] == "most frequent: normal" for row in shown["By reference"].rows)


def study(i: int, **fields: Any) -> Study:
    return Study(f"s{i}", sections={"findings": f"the heart is {WORDS[i % 6]}"}, **fields)


def test_studies_have_columns_of_their_own() -> None:
    studies = [
        study(
            i,
            views=(View(Path("a"), "frontal"), *((View(Path("b"), "lateral"),) if i % 2 else ())),
            extra={"Patient_Age": f"0{20 + i}Y", "scanner": "X" if i < 3 else "Y"},
            labels={"Edema": float(i % 3 == 0)},
            split="test",
        )
        for i in range(12)
    ]
    collection = Collection(tuple(studies), Audit("made", 12, 0))
    reports = {s.id: "the heart is big" for s in studies}
    evaluation = evaluate(
        reports, collection, protocol="raw", metrics=("rouge-l",), resamples=0,
        by=("view", "age", "Scanner", "edema"),
    )  # fmt: skip
    assert [(g.name, g.studies) for g in evaluation.subgroups] == [
        ("view: frontal", 6), ("view: frontal and lateral", 6), ("age: 18-39", 12), ("Scanner: X", 3),
        ("Scanner: Y", 9), ("edema: absent", 8), ("edema: present", 4),
    ]  # fmt: skip
    with pytest.raises(DataError, match="--by sex: no study has a value of it; there are: view, split, Patient_Age"):
        evaluate(reports, collection, protocol="raw", metrics=("rouge-l",), by=("sex",))


def test_a_column_of_many_values_makes_no_subgroups() -> None:
    with pytest.raises(DataError, match="--by uid: 80 different values, and at most 20 make subgroups"):
        scored(**by("uid", list(range(80))))
    with pytest.raises(DataError, match="--by site: none of the 80 scored studies has a value of it"):
        scored(**by("site", [None] * 80))


# Notes on scores


def test_absent_classes_are_told_beside_a_macro_figure() -> None:
    reports = {"a": "Cardiomegaly.", "b": "Small left pleural effusion.", "c": "The lungs are clear.", "d": "Edema."}
    evaluation = evaluate(reports, reports, protocol="raw", metrics=("chexpert-rules",), resamples=0)
    line = evaluation.systems[0].line("chexpert-rules macro-14 f1")
    assert line.value == pytest.approx(4 / 14)
    assert line.note.startswith("10 of 14 classes are in no reference and count 0: Enlarged Cardiomediastinum, ")
    assert evaluation.systems[0].line("chexpert-rules micro-14 f1").note == ""
    overview = tables(evaluation)[0]
    assert "0.286*" in overview.rows[0]
    assert overview.foot[0].startswith("* chexpert-rules macro-14 f1: 10 of 14 classes")
    rows = {r["score"]: r for r in csv.DictReader(io.StringIO(evaluation_csv(evaluation)))}
    assert rows["chexpert-rules macro-14 f1"]["note"] == line.note
    assert rows["chexpert-rules macro-14 accuracy"]["note"] == ""
