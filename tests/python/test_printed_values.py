"""`print` of a report, an evaluation or studies is a line or a small table; values are compared as before."""

from __future__ import annotations

import copy
import pickle

import pytest
import reportgen
import torch

from reportgen_core import Attention, Audit, Collection, Report, Score, Study, View

STUDIES = tuple(Study(str(i), (View(f"/a/long/path/{i}.png"),), split="val" if i % 3 else "train") for i in range(300))
LOOK = Attention("sentence", torch.rand(2, 49), grid=(1, 7, 7))
REPORT = Report(
    "chest.png", "The heart is normal.", tags={"a": 0.5}, attention=LOOK, views=("/x/chest.png",), note="one view"
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (REPORT, "Report of chest.png: The heart is normal. (note: one view)"),
        (Report("b", "", problem="b.png: broken"), "Report of b: no text (problem: b.png: broken)"),
        (LOOK, "Attention of 2 sentences × 1 views × 7 rows × 7 columns"),
        (
            Collection(STUDIES, Audit("phantom", 300, 300, {"no image": ("x", "y")})),
            "Collection of 300 studies from phantom, 300 images; 2 left out: no image; train 100, val 200",
        ),
        (Audit("t.csv", 1, 1), "Audit of 1 study from t.csv, 1 image"),
        (Score("bleu", 0.25, tuple([0.25] * 500), {"bleu-1": 0.5}), "Score bleu 0.2500 (bleu-1 0.5000)"),
    ],
)  # fmt: skip
def test_a_value_is_printed_as_a_line(value, text) -> None:
    assert str(value) == repr(value) == text


def test_an_evaluation_is_printed_as_a_table_of_its_scores() -> None:
    texts = [f"heart normal {i}" for i in range(40)]
    made = reportgen.evaluate(texts, texts[::-1], metrics=["bleu"], protocol="raw", resamples=20)
    lines = str(made).splitlines()
    assert lines[0] == "Evaluation of reports: 40 studies"
    values = {line.split()[0]: float(line.split()[1]) for line in lines if line.strip().startswith("bleu")}
    assert values == {name: round(value, 4) for name, value in made.scores.items()}
    assert all("[" in line for line in lines[1 : 1 + len(values)]) and len(lines) < 10


def test_values_are_equal_copied_and_pickled_as_before() -> None:
    report = Report("a", "x", tags={"t": 0.5})
    collection = Collection(STUDIES, Audit("phantom", 300, 300))
    for value in (report, collection):
        assert value == copy.deepcopy(value) == pickle.loads(pickle.dumps(value))
    assert report != Report("a", "y") and len({report.text, Report("a", "x").text}) == 1


def test_a_collection_is_a_sequence_of_its_studies() -> None:
    collection = Collection(STUDIES, Audit("phantom", 300, 300))
    assert len(collection) == 300 and collection[0] is STUDIES[0] and collection[-2:] == STUDIES[-2:]
    assert list(collection) == list(STUDIES) and STUDIES[5] in collection
