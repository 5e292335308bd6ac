"""What `reportgen.evaluate` takes: lists, Series and tables of pandas, files, ids that are numbers."""

from __future__ import annotations

import numpy as np
import pytest
import reportgen

import reportgen_core
from reportgen_core import Audit, Collection, DataError, OptionError, ReportgenError, Study
from reportgen_core.errors import quoted

pandas = pytest.importorskip("pandas")

GIVEN, WANTED = ["heart normal", "left effusion"], ["the heart is normal", "small left effusion"]
OPTIONS = {"metrics": ["bleu"], "protocol": "raw", "resamples": 0, "baselines": False}
BOTH = pandas.DataFrame({"prediction": GIVEN, "reference": WANTED})
BY_NUMBER = (
    pandas.DataFrame({"id": [7, 8], "report": GIVEN}),
    pandas.DataFrame({"id": [8, 7], "report": WANTED[::-1]}),
)
STUDIES = [Study(i, sections={"findings": text}, split="test") for i, text in zip("ab", WANTED, strict=True)]


@pytest.fixture(scope="module")
def expected():
    """The scores by the core, of texts by id."""
    return reportgen_core.evaluate(dict(zip("ab", GIVEN, strict=True)), dict(zip("ab", WANTED, strict=True)), **OPTIONS)


@pytest.mark.parametrize(
    "pair",
    [
        (GIVEN, WANTED),
        (tuple(GIVEN), np.array(WANTED)),
        (BOTH,),
        (BOTH.rename(columns={"prediction": "Generated", "reference": "Ground Truth"}),),
        (BOTH.rename(columns={"reference": "report"}),),
        (BOTH.prediction, BOTH.reference),
        (GIVEN, BOTH.reference),
        (GIVEN, BY_NUMBER[1].set_index("id").report[[7, 8]]),
        (BY_NUMBER[0].set_index("id").report, BY_NUMBER[1].set_index("id").report),
        BY_NUMBER,
        (BY_NUMBER[0].set_index("id"), BY_NUMBER[1].set_index("id")),
        (BY_NUMBER[0], {8: WANTED[1], 7: WANTED[0]}),
        ({np.int64(7): GIVEN[0], 8.0: GIVEN[1]}, {"7": WANTED[0], "8": WANTED[1]}),
        (GIVEN, {"b": WANTED[0], "a": WANTED[1]}),
        (GIVEN, Collection((*STUDIES, Study("c", split="train")), Audit("x", 3, 0))),
    ],
    ids=range(15),
)
def test_texts_are_scored_however_they_are_given(pair, expected) -> None:
    split = {"split": "test"} if isinstance(pair[-1], Collection) else {}
    assert reportgen.evaluate(*pair, **OPTIONS, **split).scores == expected.scores


def test_files_are_scored_too(tmp_path, expected) -> None:
    for frame, name in zip(BY_NUMBER, ("given.csv", "wanted.csv"), strict=True):
        frame.to_csv(tmp_path / name, index=False)
    assert reportgen.evaluate(tmp_path / "given.csv", str(tmp_path / "wanted.csv"), **OPTIONS).scores == expected.scores


def test_a_missing_prediction_of_a_series_is_missing() -> None:
    given = pandas.Series(["heart normal", None], index=["a", "b"])
    with pytest.raises(DataError, match=r"1 study \(b\) without a prediction"):
        reportgen.evaluate(given, dict(zip("ab", WANTED, strict=True)), **OPTIONS)


def test_options_by_study_take_numbers_too() -> None:
    made = reportgen.evaluate(
        {1: "a b"}, {1: "a b c"}, **OPTIONS, patients={1: "p"}, by=["sex"], columns={"sex": {1: "F"}}
    )
    assert made.units == (0,) and len(made.subgroups) == 1


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((BY_NUMBER[0],), "no column prediction (its columns: id, report); reportgen.evaluate(table[PREDICTIONS], "),
        ((GIVEN,), "one table with the columns prediction and reference"),
        ((GIVEN, WANTED[:1]), "2 predictions and 1 references; a list has one text for each"),
        (([1, 2], WANTED), "a list of texts, or a table or Series of pandas, not a list"),
        ((pandas.Series([1, 2]), WANTED), "a Series of texts is wanted, and it holds 1"),
        (({True: "a"}, {"1": "b"}), "a study id is a text or a number, not True"),
        (({"1": 3}, {"1": "b"}), "a text by study id is wanted, not a int: 3"),
    ],
)
def test_what_is_no_text_is_named_with_what_would_work(pair, message) -> None:
    with pytest.raises((OptionError, DataError)) as error:
        reportgen.evaluate(*pair, **OPTIONS)
    assert message in str(error.value) and "\n" not in str(error.value)


LONG = "The heart is normal in size, and the lungs are clear, without an effusion, or a pneumothorax."


@pytest.mark.parametrize("call", [
    lambda: reportgen.evaluate(LONG, [LONG]), lambda: reportgen.load(LONG + "+"), lambda: reportgen.studies([LONG]),
    lambda: reportgen_core.evaluate(LONG, {"1": LONG}), lambda: reportgen.compose(LONG, LONG),
])  # fmt: skip
def test_a_long_value_is_cut_inside_its_quotes(call) -> None:
    with pytest.raises(ReportgenError) as error:
        call()
    assert str(error.value).count("'") % 2 == 0


@pytest.mark.parametrize(("value", "text"), [("short", "'short'"), (3, "3"), (["a"], "['a']"), (None, "None")])
def test_a_short_value_is_quoted_whole(value, text) -> None:
    assert quoted(value) == text
    assert quoted(LONG)[0] == quoted(LONG)[-1] == "'" and "…" in quoted(LONG) and len(quoted(LONG)) <= 62
