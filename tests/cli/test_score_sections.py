"""The sections of the page of an evaluation: which cells are best, what whiskers say, how many tests there were."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from reportgen_cli.pages.curve_sections import SystemCurves, curve_section
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
from reportgen_cli.pages.shared.origin import Origin
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


def test_the_last_word_of_a_column_stays_with_its_arrow() -> None:
    html = score_table(score_grid(SYSTEMS, SYSTEMS[0].lines), "caption")
    assert '<span class="whole">BLEU-4&nbsp;<span aria-hidden="true">↑' in html
    assert 'CheXpert-rules macro-14 <span class="whole">F1&nbsp;' in html


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


def pairs(probabilities: list[float], labels: list[float | None]) -> list[tuple[float | None, float | None]]:
    return list(zip(probabilities, labels, strict=True))


def curves_of(name: str = "ours", seed: int = 0, n: int = 40) -> SystemCurves:
    draw = np.random.default_rng(seed)
    gold = (draw.random(n) < 0.4).astype(float)
    p = 0.3 * gold + 0.7 * draw.random(n)
    lone = [1.0, *[0.0] * (n - 1)]
    classes = {
        "Fracture": pairs(p.tolist(), [0.0] * n), "Hernia <b>": pairs(p.tolist(), lone),
        "Edema": pairs(p.tolist(), gold.tolist()),
    }  # fmt: skip
    points = ((0.2, 0.25, 20), (0.8, 0.9, 20))
    lines = (ScoreLine("findings ece", 0.08, 0.03, 0.15, False, "findings"),)
    return SystemCurves(
        name=name, probabilities={"findings": classes}, reliability={"findings": points}, lines=lines, resamples=50
    )


def figures(html: str) -> list[str]:
    return re.findall(r"<figure.*?</figure>", html, re.S)


def test_panels_of_roc_curves_come_by_their_positives_with_counts_area_and_interval() -> None:
    html = curve_section([curves_of()])
    edema, hernia, reliability = figures(html)
    positives = int(sum(y or 0 for _, y in curves_of().probabilities["findings"]["Edema"]))
    assert f"<strong>Edema</strong> <span>{positives} of 40 studies</span>" in edema
    assert re.search(r"<li>AUC 0\.\d{3} \(0\.\d{3}–[01]\.\d{3}\)</li>", edema) and 'class="area"' in edema
    assert "No curve, since no study or every study has it: Fracture." in html
    assert "<strong>Hernia &lt;b&gt;</strong>" in hernia
    assert "n = 40 predictions" in reliability and "ECE 0.080 (0.030–0.150)" in reliability


def test_a_panel_of_one_positive_has_neither_band_nor_interval_and_says_why() -> None:
    _, hernia, _ = figures(curve_section([curves_of()]))
    assert 'class="area"' not in hernia and re.search(r"AUC [\d.]+: one study, no interval</li>", hernia)


def test_no_number_is_on_a_curve() -> None:
    for figure in figures(curve_section([curves_of()])):
        svg = re.search(r'<svg viewBox="0 0 252 246".*?</svg>', figure, re.S)
        assert svg is not None
        for x, y, anchor in re.findall(r'<text x="(-?\d+)" y="(-?\d+)" text-anchor="(\w+)"', svg[0]):
            assert int(y) > 208 or (int(x) < 42 and anchor == "end")  # under the square, or left of it


def test_lines_of_systems_differ_by_colour_and_dashes_and_have_a_legend() -> None:
    html = curve_section([curves_of("one"), curves_of("two", seed=1)])
    edema = figures(html)[0]
    assert 'class="curve s0"' in edema and 'class="curve s1"' in edema and 'class="area"' not in edema
    assert re.findall(r'<span class="aside">(\w+): </span>AUC', edema) == ["one", "two"]
    assert 'aria-label="Lines of the systems"' in html


def test_the_curve_is_drawn_through_every_corner_and_no_other_point() -> None:
    one = SystemCurves(
        name="x", probabilities={"f": {"A": pairs([0.9, 0.8, 0.7, 0.6, 0.5], [1.0, 1.0, 0.0, 1.0, 0.0])}},
        reliability={}, lines=(), resamples=0,
    )  # fmt: skip
    # by hand: two hits, one false alarm, one hit, one false alarm, on a square of 200 at (42, 8)
    assert 'd="M42 208L42 74.7L142 74.7L142 8L242 8"' in curve_section([one])
    assert "AUC 0.833<" in curve_section([one])  # five of the six pairs are in order


def test_without_probabilities_there_is_no_section() -> None:
    assert curve_section([SystemCurves(name="x", probabilities={}, reliability={}, lines=())]) == ""


def test_of_many_classes_those_with_the_most_positives_are_shown_and_the_number_is_told() -> None:
    classes = {
        f"c{i:02d}": pairs([0.1 * (j % 10) for j in range(40)], [float(j < i) for j in range(40)]) for i in range(31)
    }
    many = SystemCurves(name="x", probabilities={"tags": classes}, reliability={}, lines=(), resamples=0)
    html = curve_section([many])
    assert re.findall(r"<strong>(c\d+)", html) == [f"c{i}" for i in range(30, 10, -1)]
    assert "Shown are the 20 of 30 classes with the most positive studies." in html


def test_pictures_of_curves_say_their_origin_in_sight_and_in_the_file() -> None:
    origin = Origin(model="tiny", digest="abcdef0123456789", date="2026-01-02")
    curve = Curve("Edema", 5, 20, 0.8, 0.7, 0.9, ((0.0, 0.0), (0.2, 0.8), (1.0, 1.0)))
    scores = FindingCurves(25, (), (curve,))
    for svg in (
        roc_picture(scores, "ours", origin=origin),
        reliability_svg("findings", [(0.2, 0.3, 10)], "ours", origin=origin, error=(0.1, "0.05–0.15")),
    ):
        text = svg.decode()
        assert f"<dc:description>{origin.text()}</dc:description>" in text
        assert "<!-- For research. Not a medical device." in text, "matplotlib names each text that it draws"
    assert "ECE 0.100 (0.05–0.15)" in text
    png = roc_picture(scores, "ours", "png", 60, origin=origin)
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.info["Description"] == origin.text()


@pytest.mark.parametrize("count", [1, 7])
def test_nothing_of_a_picture_of_curves_lies_on_its_origin(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    seen: list[list[tuple[str, float, float]]] = []

    def measure(figure: Figure, *_: object, **__: object) -> None:
        figure.draw_without_rendering()
        texts = [
            *figure.texts,
            *(t for axes in figure.axes if axes.axison for t in (axes.xaxis.label, *axes.get_xticklabels())),
        ]
        boxes = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text()]
        seen.append([(text, box.y0, box.y1) for text, box in boxes])

    monkeypatch.setattr(Figure, "savefig", measure)
    origin = Origin(model="tf_efficientnet_lite2-templates.nih_v2", digest="abcdef0123456789", date="2026-01-02")
    curve = Curve("Edema", 5, 20, 0.8, 0.7, 0.9, ((0.0, 0.0), (0.2, 0.8), (1.0, 1.0)))
    roc_picture(FindingCurves(25, (), (curve,) * count), "ours", origin=origin)
    reliability_svg("findings", [(0.2, 0.3, 10)], "ours", origin=origin)
    for texts in seen:
        ((_, _, top),) = [t for t in texts if t[0].startswith("For research.")]
        assert all(low >= top for text, low, _ in texts if not text.startswith("For research."))
