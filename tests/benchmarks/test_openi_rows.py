"""The measured rows of docs/explanation/results.md, from Open-i's own reports: what a constant sentence scores, by protocol."""

import re
from pathlib import Path

import pytest

from benchmarks.baselines import Rows

WORDS = ("bleu-1", "bleu-2", "bleu-3", "bleu-4", "rouge-l", "cider")
PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "results.md").read_text()


@pytest.fixture(scope="module")
def rows() -> Rows:
    return Rows(("bleu", "rouge-l", "cider"))


@pytest.fixture(scope="module")
def constant(rows: Rows) -> str:
    return rows.constant()


@pytest.mark.parametrize(
    ("protocol", "want"),  # measured with pycocoevalcap on the same texts
    [
        ("r2gen", (0.476, 0.296, 0.201, 0.147, 0.364, 0.315)),
        ("r2gen-untruncated", (0.479, 0.298, 0.203, 0.148, 0.364, 0.311)),
        ("coco", (0.425, 0.263, 0.177, 0.124, 0.313, 0.309)),
        ("raw", (0.375, 0.223, 0.148, 0.103, 0.278, 0.280)),
    ],
)
def test_the_constant_scores_what_the_reference_scorers_gave(
    rows: Rows, constant: str, protocol: str, want: tuple[float, ...]
) -> None:
    evaluation = rows.evaluate(rows.same(constant), protocol)
    assert [evaluation.scores[w] for w in WORDS] == pytest.approx(want, abs=0.00051)
    assert evaluation.card.n == 590


def test_the_alarm_rings_and_half_of_the_references_are_old(rows: Rows, constant: str) -> None:
    evaluation = rows.evaluate(rows.same(constant))
    assert evaluation.diversity.warnings[0].startswith("the model says the same thing for every image")
    assert evaluation.verbatim_share == pytest.approx(274 / 590)
    assert evaluation.systems[0].size == {
        "seen in training": 274,
        "unseen in training": 316,
        "normal": 307,
        "abnormal": 283,
    }


def test_the_page_shows_these_rows(rows: Rows, constant: str) -> None:
    evaluation = rows.evaluate(rows.same(constant))
    line, *_ = re.findall(r"^\| constant, chosen on validation \|(.*)\|$", PAGE, re.MULTILINE)  # of the first table
    cells = [c.strip() for c in line.split("|")]
    assert [cells[i] for i in (0, 1, 2, 3, 5, 6)] == [f"{evaluation.scores[w]:.3f}" for w in WORDS]
