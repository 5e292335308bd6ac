"""`radeval:NAME`: RadEval's bleu and rouge. Its answers are recorded; where the package is installed it is asked, too."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import reportgen_core
from reportgen_core import MetricError, OptionError, evaluate

REPORTS = ["Small left effusion . No pneumothorax .", "the lungs are clear"]
REFERENCES = ["There is a small left pleural effusion. No pneumothorax.", "Lungs are clear. No effusion."]
RECORDED = {  # of radeval 2.2.1
    "rouge1": [0.7142857142857143, 0.6666666666666665],
    "rouge2": [0.5, 0.5714285714285715],
    "rougeL": [0.7142857142857143, 0.6666666666666665],
}
real = pytest.mark.skipif(importlib.util.find_spec("radeval") is None, reason="wants the package radeval")


class Fake:
    """RadEval's call, with its recorded answers."""

    bleu = 0.0

    def __init__(self, metrics: list[str], per_sample: bool = False, show_progress: bool = True) -> None:
        assert not show_progress
        self.metrics, self.per_sample = metrics, per_sample

    def __call__(self, refs: list[str], hyps: list[str]) -> dict[str, Any]:
        print("progress")
        if self.metrics == ["bleu"]:
            return {"bleu": self.bleu}
        places = [REPORTS.index(hyp) for hyp in hyps]
        return {
            k: [v[i] if r in REFERENCES else 0.0 for i, r in zip(places, refs, strict=True)]
            for k, v in RECORDED.items()
        }


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[Fake]:
    nltk = ModuleType("nltk")
    nltk.download = lambda *a, **k: pytest.fail("something was fetched")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nltk", nltk)
    monkeypatch.setitem(sys.modules, "radeval", SimpleNamespace(RadEval=Fake))  # type: ignore[arg-type]
    monkeypatch.setattr(Fake, "bleu", 0.0)
    return Fake


def test_rouge_stands_in_our_table_with_intervals_and_scores_of_single_reports(
    fake: type[Fake], capsys: pytest.CaptureFixture[str]
) -> None:
    texts, references = dict(zip("ab", REPORTS, strict=True)), dict(zip("ab", REFERENCES, strict=True))
    evaluation = evaluate(texts, references, metrics=("radeval:rouge",), protocol="raw", resamples=50, baselines=False)
    assert evaluation.problems == {}
    assert evaluation.scores == pytest.approx({f"radeval:{k}": sum(v) / 2 for k, v in RECORDED.items()})
    line = evaluation.systems[0].lines[0]
    assert (line.name, line.low, line.high) == ("radeval:rougeL", pytest.approx(2 / 3), pytest.approx(5 / 7))
    assert [s.scores["radeval:rougeL"] for s in evaluation.studies] == pytest.approx(RECORDED["rougeL"])
    assert capsys.readouterr().out == ""


def test_the_best_of_several_references_counts(fake: type[Fake]) -> None:
    score = reportgen_core.metrics.create("radeval:rouge").compute(
        REPORTS, [["x", REFERENCES[0]], [REFERENCES[1], "x"]]
    )
    assert list(score.each) == pytest.approx(RECORDED["rougeL"])


def test_bleu_has_the_value_of_radeval_or_none(fake: type[Fake], monkeypatch: pytest.MonkeyPatch) -> None:
    hyps, refs = (
        ["the heart is big today", "no effusion is seen here"],
        [["the heart is big now"], ["no effusion is seen here"]],
    )
    metric = reportgen_core.metrics.create("radeval:bleu")
    monkeypatch.setattr(Fake, "bleu", 0.8694)  # (.9 x .875 x .8333 x .75)^¼ = .83760
    with pytest.raises(MetricError, match=r"computes another BLEU than is known here: 0\.8694, not 0\.8376"):
        metric.compute(hyps, refs)
    monkeypatch.setattr(Fake, "bleu", 0.8376)
    assert metric.compute(hyps, refs).value == pytest.approx((0.9 * 0.875 * (5 / 6) * 0.75) ** 0.25)
    with pytest.raises(MetricError, match="takes one reference, and report 2 has 2"):
        metric.compute(hyps, [["a"], ["b", "c"]])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "radeval:bertscore",
            "RadEval's 'bertscore' needs a download; these work: radeval:bleu, radeval:rouge; these need",
        ),
        (
            "radeval:blue",
            "no metric radeval:blue is known; these work: radeval:bleu, radeval:rouge; .*: bertscore, crimson",
        ),
    ],
)
def test_another_name_lists_those_that_work_and_those_that_need_a_download(name: str, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        evaluate({"a": "b"}, {"a": "b"}, metrics=(name,), protocol="raw")


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "radeval", None)
    with pytest.raises(MetricError, match=r"radeval needs its package: docs/how-to/judges\.md"):
        reportgen_core.metrics.create("radeval:rouge").compute(["a"], [["a"]])


@real
def test_the_package_itself_gives_what_is_recorded_and_fetches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *a: pytest.fail("something was fetched"))
    rouge = reportgen_core.metrics.create("radeval:rouge")
    assert list(rouge.compute(REPORTS, [[r] for r in REFERENCES]).each) == pytest.approx(RECORDED["rougeL"])
    bleu = reportgen_core.metrics.create("radeval:bleu")
    texts = [f"the heart is {w} and the lungs are clear without effusion" for w in ("big", "normal", "enlarged")]
    score = bleu.compute(texts, [[t.replace("clear", "hazy")] for t in texts])  # raises if RadEval says otherwise
    assert 0.3 < score.value < 0.9 and bleu.version == "2.2.1"


@real
def test_every_metric_of_the_package_is_known() -> None:
    from reportgen_plugins.metrics.radeval import DOWNLOADS, KEYS

    registry = importlib.import_module("radeval.metrics._registry").METRIC_REGISTRY
    assert set(registry) == {*KEYS, *DOWNLOADS}
