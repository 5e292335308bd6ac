"""The metric `errors`: weights, means over patients, texts that are not audited, and its tests in pairs."""

from __future__ import annotations

import numpy as np
import pytest
import reportgen
from reportgen_plugins.metrics.audit.errors import Errors
from reportgen_plugins.metrics.audit.kinds import KINDS

from reportgen_core import MetricError, OptionError, evaluate, metrics

REFERENCE = "Small left effusion. Heart size is normal. No pneumothorax."
GERMAN = "Kein Pneumothorax. Herz und Lunge sind unauffällig, der Erguss ist nicht mehr vorhanden."


def test_the_total_is_the_weighted_number_of_errors_per_report() -> None:
    reports = [REFERENCE, "Small right effusion. Heart size is normal. No pneumothorax.", ""]
    score = metrics.create("errors").compute(reports, [[REFERENCE]] * 3)
    # none; a significant one; the effusion and two denials are missed
    assert score.each == pytest.approx([0, 1, 1 + 2 * 0.25])
    assert score.value == pytest.approx(2.5 / 3)
    assert score.parts["errors wrong side"] == pytest.approx(1 / 3)
    assert score.parts["errors missed"] == pytest.approx(1)
    assert score.parts["errors of effusion"] == pytest.approx(2 / 3)
    assert (score.higher_is_better, score.name) == (False, "errors")


def test_the_weights_stand_in_the_name_of_the_score_and_in_its_version() -> None:
    metric = metrics.create("errors", significant=2, minor=0.5)
    score = metric.compute([""], [[REFERENCE]])
    assert next(iter(score.parts)) == "errors weighted (significant 2, minor 0.5)"
    assert score.value == 2 + 2 * 0.5
    assert metric.version != metrics.create("errors").version


@pytest.mark.parametrize("weights", [{"minor": 2.0}, {"minor": -1.0}, {"significant": 0.0, "minor": 0.0}])
def test_weights_that_make_no_sense_are_refused_in_a_line(weights: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="minor is 0 to significant"):
        metrics.create("errors", **weights)


def test_kinds_and_findings_add_up_to_the_total() -> None:
    reports = ["Large right effusion. Cardiomegaly. Cardiomegaly.", "No effusion, unchanged.", "Possible pneumothorax."]
    parts = metrics.create("errors").compute(reports, [[REFERENCE]] * 3).parts
    total = next(iter(parts.values()))
    assert sum(parts[f"errors {kind}"] for kind in KINDS) == pytest.approx(
        parts["errors significant"] + parts["errors minor"]
    )
    assert parts["errors significant"] + 0.25 * parts["errors minor"] == pytest.approx(total)
    assert sum(value for name, value in parts.items() if name.startswith("errors of ")) == pytest.approx(total)


def test_of_several_references_the_nearest_counts() -> None:
    metric = metrics.create("errors")
    assert metric.compute(["Small left effusion."], [["No effusion.", "Small left effusion."]]).value == 0


def test_a_text_in_another_language_is_left_out_and_counted() -> None:
    metric = Errors()
    rows = metric.statistics(["", GERMAN], [[REFERENCE]] * 2)
    scores = metric.scores(rows.sum(0))
    assert scores[metric.headline] == pytest.approx(1.5)  # of the first alone
    assert scores["errors share not audited"] == 0.5
    assert np.isnan(metric.scores(rows)[metric.headline][1])
    assert metric.score_notes(rows.sum(0)) == {metric.headline: "1 of 2 studies are not in English and were left out"}
    assert metric.caveat([[GERMAN], [REFERENCE]]) == "errors: 1 of 2 references are not in English and were not audited"


def test_a_set_without_an_english_pair_has_no_score() -> None:
    with pytest.raises(MetricError, match="no study has both texts in English"):
        metrics.create("errors").compute([GERMAN], [[GERMAN]])


def test_every_kind_has_an_interval_and_patients_are_drawn() -> None:
    references = {str(i): REFERENCE for i in range(8)}
    reports = {k: REFERENCE if int(k) % 2 else "Small right effusion." for k in references}
    options = {"protocol": "raw", "metrics": ("errors",), "resamples": 50, "baselines": False}
    alone = evaluate(reports, references, **options)
    pairs = evaluate(reports, references, patients={k: str(int(k) // 4) for k in references}, **options)
    for kind in ("missed", "wrong side"):
        lines = [next(x for x in e.systems[0].lines if x.name == f"errors {kind}") for e in (alone, pairs)]
        assert lines[0].low < lines[0].value < lines[0].high
        assert lines[1].low == lines[1].value == lines[1].high  # both patients have the same studies
        assert lines[0].higher_is_better is False


def test_an_audit_in_python_names_the_kinds_and_draws_itself() -> None:
    result = reportgen.audit("Small left <b>effusion</b>.", "Small right effusion.")
    assert result.kinds == {"wrong side": 1}
    html = result._repr_html_()
    assert "wrong side" in html and "<mark>" in html and "<b>effusion" not in html
    assert "not audited" in reportgen.audit(REFERENCE, GERMAN)._repr_html_()
    with pytest.raises(OptionError, match="audit takes a text as reference"):
        reportgen.audit(["a"], "b")
