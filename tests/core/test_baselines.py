"""Baselines: chosen where it is allowed, drawn by seed, and left out with a reason."""

import numpy as np
import pytest

from reportgen_core.scoring.baselines import (
    BaselineData,
    build_baselines,
    by_gold_tags,
    by_image,
    constant,
    drawn,
    most_frequent,
    repeated,
)

TRAINING = {
    "t1": "lungs clear",
    "t2": "lungs clear",
    "t3": "heart big",
    "t4": "heart big",
    "t5": "heart big",
    "t6": "nodule",
}


def test_the_commonest_repeated_reports_are_candidates_whatever_the_order() -> None:
    assert repeated(list(TRAINING.values())) == ["heart big", "lungs clear"]
    assert repeated(list(TRAINING.values())[::-1]) == ["heart big", "lungs clear"]
    assert repeated(["a", "b", "c"], 2) == ["a", "b"]  # where nothing is repeated


def test_the_constant_is_the_candidate_that_scores_best_on_validation() -> None:
    baseline = constant(BaselineData(TRAINING, {"v": "x"}), 3, {"heart big": 0.1, "lungs clear": 0.2}.__getitem__)
    assert baseline.reports == (("lungs clear",) * 3,)
    assert baseline.note == "chosen on 1 validation study among 2 repeated training reports"


def test_notes_of_reports_that_occur_once_do_not_call_them_repeated() -> None:
    once = BaselineData({"a": "x", "b": "y", "c": "z"}, {"v": "x", "w": "y"})
    note = "chosen on 2 validation studies among 3 training reports, none of which occurs twice"
    assert constant(once, 1, lambda text: 0.0).note == note
    assert most_frequent(once, 1).note == "the first training report; none is repeated"
    single = BaselineData({"a": "x", "b": "x", "c": "z"}, {"v": "x"})
    assert constant(single, 1, lambda text: 0.0).note.endswith("among 1 repeated training report")


def test_the_most_frequent_report_is_told_with_its_count() -> None:
    baseline = most_frequent(BaselineData(TRAINING), 2)
    assert (baseline.reports, baseline.note) == (
        (("heart big", "heart big"),),
        "the training report that occurs 3 times",
    )


def test_random_reports_follow_the_seeds() -> None:
    first, again = drawn(BaselineData(TRAINING), 20, range(2)), drawn(BaselineData(TRAINING), 20, range(2))
    assert first == again
    assert first.reports[0] != first.reports[1]


def test_gold_tags_find_the_nearest_study_and_break_ties_by_seed() -> None:
    tags = {"t1": ["a"], "t2": ["a"], "t3": ["a", "b"], "t6": ["c"], "q1": ["a", "b", "d"], "q2": ["c"], "q3": ["a"]}
    background = BaselineData(dict(TRAINING, t2="lungs free"), tags=tags)
    baseline = by_gold_tags(background, ["q1", "q2", "q3"], range(20))
    assert {r[0] for r in baseline.reports} == {"heart big"}  # Jaccard 2/3 against 1/3
    assert {r[1] for r in baseline.reports} == {"nodule"}
    assert {r[2] for r in baseline.reports} == {"lungs clear", "lungs free"}
    assert "ORACLE" in baseline.note
    first = by_gold_tags(background, ["q3"], range(1), ties="first")
    assert first.reports == (("lungs clear",),)


def test_the_nearest_image_is_nearest_by_cosine() -> None:
    features = {"t1": np.array([1.0, 0.0]), "t6": np.array([0.0, 9.0]), "q": np.array([0.1, 0.2])}
    assert by_image(BaselineData(TRAINING, features=features), ["q"]).reports == (("nodule",),)


def test_what_cannot_be_built_is_named() -> None:
    made, missing = build_baselines(BaselineData(), ["q"], range(2), None)
    assert (made, missing) == ([], ["no baselines: they need the training reports (--training FILE, or --data NAME)"])
    made, missing = build_baselines(BaselineData(TRAINING, {"v": "x"}, {"t1": ["a"], "q": ["a"]}), ["q"], range(2), len)
    assert [b.name for b in made] == ["constant (validation)", "most frequent", "random", "gold tags (oracle)"]
    assert missing == ["no nearest-image baseline: there are no image features (--features FILE)"]


@pytest.mark.parametrize("empty", [{}, {"q": []}])
def test_a_study_without_tags_is_no_reason_to_fail(empty: dict[str, list[str]]) -> None:
    made, _ = build_baselines(BaselineData(TRAINING, tags={"t1": ["a"], **empty}), ["q"], range(1), None)
    assert "random" in [b.name for b in made]
