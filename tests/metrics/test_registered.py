"""Every registered metric: it loads, says its version, and answers or gives one line that says why not."""

import sys

import pytest

import reportgen_core
from reportgen_core import MetricError
from reportgen_core.metric import HasStatistics

REPORTS = ["The lungs are clear.", "Small left effusion."]
REFERENCES = [["Lungs are clear. No effusion."], ["There is a small left pleural effusion.", "Effusion."]]


ASK = {"chexbert", "radgraph", "tags", "findings", "pointing"}  # need weights, a package, or a model
ELSEWHERE = {"judge", "radeval:*"}  # have tests of their own: an endpoint, and a pattern of names


@pytest.mark.parametrize("name", [m for m in reportgen_core.metrics if m not in ASK | ELSEWHERE])
def test_a_metric_answers_with_its_parts_and_its_version(name: str) -> None:
    metric = reportgen_core.metrics.create(name)
    score = metric.compute(REPORTS, REFERENCES)
    assert metric.version
    assert score.version == metric.version
    assert any(v == score.value for v in score.parts.values())
    assert len(score.each) in (0, len(REPORTS))
    assert isinstance(metric, HasStatistics)
    rows = metric.statistics(REPORTS, REFERENCES)
    scores = {k: float(v) for k, v in metric.scores(rows.sum(0)).items()}
    assert scores == pytest.approx({k: score.parts[k] for k in scores})


@pytest.mark.parametrize("name", sorted(ASK))
def test_a_metric_that_needs_more_says_what_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "radgraph", None)
    metric = reportgen_core.metrics.create(name)
    assert metric.version
    with pytest.raises(MetricError, match=rf"^{name} (needs|scores) [^\n]+$"):
        metric.compute(REPORTS, REFERENCES)


@pytest.mark.parametrize("name", [m for m in reportgen_core.metrics if m not in ASK | ELSEWHERE])
def test_a_study_without_words_is_no_reason_to_fail(name: str) -> None:
    metric = reportgen_core.metrics.create(name)
    score = metric.compute(["", "Small left effusion."], [["Lungs are clear."], ["Effusion."]])
    assert 0 <= score.value <= 10
