"""The sections of the page of an evaluation: which cells are best, what whiskers say, how many tests there were."""

import re

import pytest
from reportgen_cli.pages.evaluation_page import heading
from reportgen_cli.pages.reliability import calibration_error, reliability_svg, wilson
from reportgen_cli.pages.roc import roc_picture
from reportgen_cli.pages.score_sections import (
    Gap,
    breakable,
    column_groups,
    difference_section,
    finding_section,
    score_table,
)
from reportgen_cli.pages.study_rows import findings

from reportgen_core.annotation.roc import Curve, FindingCurves
from reportgen_core.scoring.printed.table import ScoreColumn, score_grid
from reportgen_core.scoring.scorecard import ScoreCard, System
from reportgen_core.types import ScoreLine

NAMES = {"bleu-4": "bleu", "chexpert-rules macro-14 f1": "chexpert-rules", "tags recall@5": "tags"}


def system(name: str, values: tuple[float, ...], note: str = "") -> System:
    lines = (ScoreLine(n, v, v - 0.1, v + 0.1, metric=m) for (n, m), v in zip(NAMES.items(), values, strict=True))
    return System(name, tuple(lines), {}, note)


SYSTEMS = [system("<ours>", (0.3, 0.2, 0.5)), system("constant", (0.25, 0.4, 0.1), "chosen on validation")]


def test_columns_are_grouped_by_what_a_metric_reads() -> None:
    groups = column_groups(score_grid(SYSTEMS, SYSTEMS[0].lines))
    assert groups == [("Words", [0]), ("Clinical", [1]), ("Tags, findings and places", [2])]


def test_the_best_value_is_bold_and_says_so() -> None:
    html = score_table(score_grid(SYSTEMS, SYSTEMS[0].lines), "caption")
    assert re.findall(r"<strong>([\d.]+)<span class=\"aside\"> best", html) == ["0.300", "0.500", "0.400"]
    assert '<tbody class="baseline">' in html and "&lt;ours&gt;" in html and "<ours>" not in html
    assert "0.200–0.400" in html


def panel(*gaps: Gap) -> str:
    return difference_section("ours", {"bleu-4": list(gaps)}, [ScoreColumn("bleu-4", "BLEU-4", "↑", "bleu")])


def test_a_whisker_is_drawn_on_the_scale_of_its_panel_and_written_next_to_it() -> None:
    html = panel(Gap("theirs", -0.05, -0.1, 0.0, 0.06))
    assert "−0.050 (−0.100 to +0.000), p = 0.060" in html
    assert "left:2.0%;width:48.0%" in html  # from -0.1, the end of the scale, to the zero in the middle
    assert "left:26.0%" in html  # half of the way
    assert 'class="whisker open"' in html


def test_an_interval_without_zero_is_marked_by_shape() -> None:
    assert 'class="whisker clear"' in panel(Gap("theirs", 0.05, 0.01, 0.1))


def test_the_note_counts_the_tests_and_what_holm_keeps() -> None:
    # by hand: 0.01 * 3 < 0.05 is kept, 0.03 * 2 is not, and then none is
    html = panel(*(Gap(str(p), 0.1, 0.0, 0.2, p) for p in (0.01, 0.03, 0.04)))
    assert "3 paired tests" in html and "about 0.2 of them" in html
    assert "3 are; after Holm&#x27;s correction 1." in html


def test_differences_without_a_test_name_the_command_that_tests() -> None:
    assert "rg compare" in panel(Gap("constant", 0.1, 0.0, 0.2))
    assert difference_section("ours", {}, []) == ""


def test_the_strip_has_findings_by_their_number_and_none_without_a_reference() -> None:
    lines = []
    for name, n, f1 in (("Edema", 3, 0.5), ("Fracture", 9, 1.0), ("Pneumonia", 0, 0.0)):
        lines += [
            ScoreLine(f"rules {name} f1", f1, metric="rules"),
            ScoreLine(f"rules {name} references", n, metric="rules"),
        ]
    html = finding_section([System("ours", tuple(lines), {})])
    assert re.findall(r'<th scope="row">(\w+)</th><td class="count">(\d+)', html) == [
        ("Fracture", "9"), ("Edema", "3"), ("Pneumonia", "0"),
    ]  # fmt: skip
    assert html.count('<td class="none">') == 1
    assert "var(--key) 45%" in html  # a score of 1 has the full tint


@pytest.mark.parametrize(
    ("names", "card", "title"),
    [
        (
            ["a"],
            ScoreCard("raw 1", dataset="phantom", split="test", n=24),
            "a on the test split of phantom, 24 studies",
        ),
        (["a", "b"], ScoreCard("raw 1", n=1), "a and b, 1 study"),
        (
            ["a", "b", "c"],
            ScoreCard("raw 1", split="val", n=1200, of=1300),
            "3 systems on the val split, 1,200 of 1,300 studies",
        ),
    ],
)
def test_the_title_is_in_words(names: list[str], card: ScoreCard, title: str) -> None:
    assert heading(names, card) == title


def test_findings_are_agreed_missed_invented_or_unsure() -> None:
    labels = {"A": (1, 1), "B": (None, 1), "C": (1, 0), "D": (-1, 1), "E": (0, None), "F": (-1, -1)}
    words = [(word, name) for word, name, _ in findings(labels)]
    assert words == [("agreed", "A"), ("agreed", "F"), ("missed", "B"), ("invented", "C"), ("unsure", "D")]


def test_names_break_after_their_signs_only() -> None:
    assert breakable("resnet18-lstm.v_2") == "resnet18-<wbr>lstm.<wbr>v_<wbr>2"


def test_the_calibration_error_is_weighted_by_cases() -> None:
    assert calibration_error([(0.2, 0.3, 10), (0.8, 0.6, 30)]) == pytest.approx((10 * 0.1 + 30 * 0.2) / 40)


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert wilson(0.0, 10) == pytest.approx(
        (0.0, 0.2775), abs=1e-4
    )  # Newcombe 1998, Statistics in Medicine 17, table I
    assert wilson(1 / 29, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)


def test_the_reliability_picture_says_its_title_n_and_error() -> None:
    svg = reliability_svg("findings", [(0.2, 0.3, 10), (0.8, 0.6, 30)], "ours, 20 studies").decode()
    assert "<!-- ours, 20 studies -->" in svg
    assert "n = 40 predictions, ECE 0.175, bars: 95 % intervals" in svg
    assert svg == reliability_svg("findings", [(0.2, 0.3, 10), (0.8, 0.6, 30)], "ours, 20 studies").decode()


def roc(positives: int) -> str:
    band = ((0.0, 0.0, 0.5), (1.0, 1.0, 1.0))
    curve = Curve("Edema", positives, 20, 0.8, 0.7, 0.9, ((0.0, 0.0), (0.2, 0.8), (1.0, 1.0)), band)
    return roc_picture(FindingCurves(20 + positives, (), (curve,)), "ours").decode()


def test_the_numbers_of_a_roc_curve_stand_above_its_panel() -> None:
    assert "AUC 0.800 (0.700–0.900), 5 of 25" in roc(5)


def test_a_curve_of_one_positive_has_no_band() -> None:
    assert roc(2).count("FillBetweenPolyCollection") > roc(1).count("FillBetweenPolyCollection")
    assert "AUC 0.800" in roc(1)
