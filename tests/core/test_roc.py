"""ROC curves and their bands."""

from __future__ import annotations

import random

import numpy as np
import pytest

from reportgen_core import Report, Study
from reportgen_core.annotation.roc import curve, score_findings


def judged(scores, gold, name="Edema", **how):
    reports = [Report(str(i), "", findings={name: p}) for i, p in enumerate(scores)]
    studies = [Study(str(i), labels={} if g is None else {name: g}) for i, g in enumerate(gold)]
    return score_findings(reports, studies, **how)


def test_a_curves_points_are_the_rates_at_every_threshold_and_its_area_that_of_the_points():
    draw = random.Random(3)
    scores = [round(draw.random(), 1) for _ in range(60)]  # with ties
    gold = [float(draw.random() < 0.3 + 0.4 * p) for p in scores]
    (one,) = judged(scores, gold, resamples=0).curves
    for x, y in one.points:
        rates = [
            (
                sum(s >= t and not g for s, g in zip(scores, gold, strict=True)) / gold.count(0),
                sum(s >= t and g == 1 for s, g in zip(scores, gold, strict=True)) / gold.count(1),
            )
            for t in [*set(scores), 2.0]
        ]
        assert any(a == pytest.approx(x) and b == pytest.approx(y) for a, b in rates)
    xs, ys = zip(*one.points, strict=True)
    assert (xs[0], ys[0], xs[-1], ys[-1]) == (0, 0, 1, 1)
    assert one.area == pytest.approx(np.trapezoid(ys, xs))
    assert (one.positives, one.negatives, one.low, one.band) == (int(sum(gold)), 60 - int(sum(gold)), None, ())


def test_the_band_holds_the_curve_and_narrows_with_more_studies():
    widths = []
    for n in (40, 1000):
        draw = np.random.default_rng(0)
        gold = (draw.random(n) < 0.5).astype(float)
        (one,) = judged((draw.normal(size=n) + gold).tolist(), gold.tolist(), resamples=200).curves
        grid, low, high = np.array(one.band).T
        xs, ys = zip(*one.points, strict=True)
        middle = (grid > 0.05) & (grid < 0.95)
        assert (low <= np.interp(grid, xs, ys) + 1e-9)[middle].all() and (high >= np.interp(grid, xs, ys) - 1e-9)[
            middle
        ].all()
        assert one.low < one.area < one.high
        widths.append((high - low).mean())
    assert widths[1] < widths[0] / 3


@pytest.mark.parametrize(("gold", "counts"), [([0, 0, -1], (0, 2)), ([1, 1, -1], (2, 0)), ([None, 0, None], (0, 3))])
def test_a_finding_of_one_kind_only_has_no_curve_and_is_left_out(gold, counts):
    curves = judged([0.1, 0.5, 0.9], gold, resamples=10)
    assert [(c.positives, c.negatives, c.area) for c in curves.left_out] == [(*counts, None)]
    assert not any(line.name.endswith("mean auc") for line in curves.lines)


def test_an_uncertain_label_is_left_out_and_one_that_is_not_stated_is_absent():
    (one,) = judged([0.9, 0.2, 0.99, 0.1], [1, 0, -1, None], resamples=0).curves
    assert (one.positives, one.negatives, one.area) == (1, 2, 1.0)


def test_a_class_without_a_line_of_scores_has_the_area_of_its_points_and_an_interval():
    draw = np.random.default_rng(1)
    gold = (draw.random(80) < 0.4).astype(float)
    scores = (draw.normal(size=80) + gold).round(1)
    (with_line,) = judged(scores.tolist(), gold.tolist(), resamples=500).curves
    alone = curve("Edema", [*scores.tolist(), None, 0.3], [*gold.tolist(), 1.0, None], resamples=500)
    assert (alone.positives, alone.negatives) == (with_line.positives, with_line.negatives)
    assert alone.area == pytest.approx(with_line.area) and alone.points == with_line.points
    assert alone.low == pytest.approx(with_line.low, abs=0.03) and alone.high == pytest.approx(with_line.high, abs=0.03)


def test_the_band_draws_patients_so_that_copies_of_a_study_add_no_certainty():
    draw = np.random.default_rng(0)
    gold = (draw.random(40) < 0.5).astype(float)
    scores = draw.normal(size=40) + gold
    once = curve("a", scores.tolist(), gold.tolist(), resamples=200)
    thrice = curve(
        "a", np.repeat(scores, 3).tolist(), np.repeat(gold, 3).tolist(), resamples=200, units=np.repeat(range(40), 3)
    )
    assert np.array(thrice.band) == pytest.approx(np.array(once.band))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))
