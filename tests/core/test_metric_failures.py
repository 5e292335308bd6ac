"""A metric that fails in any way loses its own score and no other, and its reason is in every output."""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import reportgen_core
from reportgen_core import Collection, MetricError, Report, Score, Study, UnknownName, evaluate
from reportgen_core.metric import Metric
from reportgen_core.registry import Entry
from reportgen_core.scoring.baselines import BaselineData
from reportgen_core.scoring.comparison import compare_evaluations
from reportgen_core.scoring.evaluation_folder import load_evaluation, save_evaluation
from reportgen_core.scoring.score_tables import as_csv, as_latex, as_markdown, tables
from reportgen_core.types import Audit, ScoreLine

REFERENCES = {"a": "The lungs are clear.", "b": "The heart is enlarged.", "c": "A nodule is seen.", "d": "No effusion."}
PREDICTIONS = {"a": "The lungs are clear.", "b": "The heart is big.", "c": "A nodule.", "d": "No effusion."}
TRAINING = BaselineData({"t1": "The lungs are clear.", "t2": "The lungs are clear."}, {"v": "Clear."})


def fails(error: BaseException) -> Callable[[], Any]:
    def step() -> Any:
        raise error

    return step


class Returns(Metric):
    """A metric whose `compute` returns what `answer` returns."""

    answer: Callable[[], Any] = staticmethod(lambda: Score("x", 1.0))

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        value: Score = type(self).answer()
        return value


class Sums(Metric):
    """A metric of statistics whose steps can be replaced."""

    rows: Callable[[int], Any] = staticmethod(lambda n: np.ones((n, 2)))
    values: Callable[[Any], Any] = staticmethod(lambda totals: {"sums": totals[..., 0] / totals[..., 1]})
    warning: Callable[[], Any] = staticmethod(lambda: "")
    names: Callable[[int], Any] = staticmethod(lambda n: [{}] * n)
    starts: Callable[[], Any] = staticmethod(lambda: None)

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        raise NotImplementedError

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
        return type(self).rows(len(reports))

    def scores(self, totals: Any) -> Any:
        return type(self).values(totals)

    def caveat(self, references: Sequence[Sequence[str]]) -> Any:
        return type(self).warning()

    def labels(self, texts: Sequence[str]) -> Any:
        return type(self).names(len(texts))

    def start(self) -> None:
        type(self).starts()


class CannotBuild(Metric):
    """A metric whose constructor fails."""

    def __init__(self) -> None:
        sys.exit(0)

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        raise NotImplementedError


class OfModels(Metric):
    """A metric of a model's outputs whose steps can be replaced."""

    lines: Callable[[], Any] = staticmethod(lambda: [ScoreLine("of-models", 1.0)])
    points: Callable[[], Any] = staticmethod(lambda: [])
    pairs: Callable[[], Any] = staticmethod(lambda: {})

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        raise MetricError("scores models alone")

    def score_outputs(self, outputs: Any) -> Any:
        return type(self).lines()

    def reliability(self, reports: Sequence[Report], studies: Sequence[Study]) -> Any:
        return type(self).points()

    def probabilities(self, reports: Sequence[Report], studies: Sequence[Study]) -> Any:
        return type(self).pairs()


@pytest.fixture(autouse=True)
def third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the metrics of this file."""
    entries = dict(reportgen_core.metrics._entries())
    targets = {
        "returns": "Returns", "sums": "Sums", "cannot-build": "CannotBuild", "of-models": "OfModels", "gone": "Gone",
    }  # fmt: skip
    for name, kind in targets.items():
        entries[name] = ("test", Entry(name, f"{__name__}:{kind}", name))
    monkeypatch.setattr(reportgen_core.metrics, "_entries", lambda: entries)


def scored(*names: str, **options: Any) -> Any:
    settings = {"protocol": "raw", "resamples": 20, "background": TRAINING, **options}
    return evaluate(PREDICTIONS, REFERENCES, metrics=(*names, "rouge-l"), **settings)


def each_failed(evaluation: Any, name: str, why: str) -> None:
    """Check that the metric `name` has a reason and no score, and that rouge-l has its scores."""
    assert why in evaluation.problems[name]
    assert list(evaluation.problems) == [name]
    assert evaluation.problems[name].isprintable()
    assert list(evaluation.scores) == ["rouge-l"]
    assert all([line.name for line in s.lines] == ["rouge-l"] for s in evaluation.systems)
    assert all(set(s.scores) == {"rouge-l"} for s in evaluation.studies)
    assert set(evaluation.statistics) == {"rouge-l"}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            fails(ConnectionRefusedError(111, "Connection refused")),
            "ConnectionRefusedError: [Errno 111] Connection ref",
        ),
        (fails(SystemExit(0)), "it called sys.exit(0)"),
        (fails(MetricError("no answer\ntoday")), "no answer today"),
        (fails(KeyError("x")), "KeyError: 'x' (test_metric_failures.py, line "),
        (fails(ZeroDivisionError()), "ZeroDivisionError ("),
        (fails(ValueError("\x1b[31mred\x07")), "[31mred"),
        (lambda: 0.5, "compute returned a float, and a Score is due"),
        (lambda: None, "compute returned a NoneType"),
        (lambda: {"x": 1.0}, "compute returned a dict"),
        (lambda: np.float64(1), "compute returned a float64"),
        (lambda: Score("x", float("nan")), "its score is nan"),
        (lambda: Score("x", float("inf")), "its score is inf"),
        (lambda: Score("x", "1.0"), "its score is a str, and a number is due"),  # type: ignore[arg-type]
        (lambda: Score("x", True), "its score is a bool"),
        (lambda: Score("x", None), "its score is a NoneType"),  # type: ignore[arg-type]
        (lambda: Score("x", 1.0, [1.0] * 3), "it returned 3 scores of single reports for 4 reports"),
        (lambda: Score("x", 1.0, [1.0] * 5), "it returned 5 scores of single reports for 4 reports"),
        (lambda: Score("x", 1.0, np.ones((4, 1))), "a score of a single report is a ndarray"),  # type: ignore[arg-type]
        (lambda: Score("x", 1.0, 1.0), "the scores of single reports is a float, and a list is due"),  # type: ignore[arg-type]
        (lambda: Score("x", 1.0, parts={"x": float("nan")}), "its score 'x' is nan"),
        (lambda: Score("x", 1.0, parts={"x": [1.0]}), "its score 'x' is a list"),  # type: ignore[dict-item]
        (lambda: Score("x", 1.0, parts=[1.0]), "the parts of its score is a list, and a mapping"),  # type: ignore[arg-type]
        (lambda: Score(None, 1.0), "the name of its score is None"),  # type: ignore[arg-type]
        (lambda: Score("", 1.0), "the name of its score is ''"),
    ],
)
def test_a_metric_that_computes_no_score_has_its_reason(
    answer: Callable[[], Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Returns, "answer", staticmethod(answer))
    each_failed(scored("returns"), "returns", why)


@pytest.mark.parametrize(
    ("step", "replacement", "why"),
    [
        ("rows", lambda n: np.ones((n - 1, 2)), "statistics returned an array (3, 2) for 4 reports, and (4, k) is due"),
        ("rows", lambda n: np.ones(n), "statistics returned an array (4,)"),
        ("rows", lambda n: 0.5, "statistics returned an array ()"),
        ("rows", lambda n: None, "statistics returned an array ()"),
        ("rows", lambda n: [["a"]] * n, "statistics returned a list that is no array of numbers"),
        ("rows", lambda n: np.full((n, 2), np.nan), "its score 'sums' is nan"),
        ("rows", lambda n: sys.exit("bye"), "it called sys.exit(bye)"),
        ("values", lambda totals: 0.5, "the scores of its statistics is a float64, and a mapping"),
        ("values", lambda totals: {}, "its statistics have no score"),
        ("values", lambda totals: {"sums": "high"}, "its score 'sums' is a str"),
        ("values", lambda totals: {"sums": np.ones(3)}, "its score 'sums' has the shape (3,), and () is due"),
        ("values", lambda totals: {"sums": float(totals[0])}, "TypeError"),  # cannot score several draws at once
        ("values", lambda totals: {0: totals[..., 0]}, "the name of a score is 0"),
        ("warning", fails(OSError("no net")), "OSError: no net"),
        ("names", lambda n: [{}] * (n + 1), "labels returned 5 rows for 4 texts"),
        ("names", lambda n: 3, "TypeError: 'int' object is not iterable"),
        ("starts", fails(RuntimeError("no helper")), "RuntimeError: no helper"),
    ],
)
def test_a_metric_that_fails_at_any_later_step_has_its_reason(
    step: str, replacement: Callable[..., Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "the scores of its statistics is a float64, and a mapping":
        replacement = lambda totals: totals.sum()  # noqa: E731
    monkeypatch.setattr(Sums, step, staticmethod(replacement))
    each_failed(scored("sums"), "sums", why)


def test_a_metric_that_cannot_be_built_or_imported_has_its_reason() -> None:
    each_failed(scored("cannot-build"), "cannot-build", "it called sys.exit(0)")
    each_failed(scored("gone"), "gone", "has no attribute 'Gone'")


def test_a_misspelt_metric_is_the_callers_to_correct() -> None:
    with pytest.raises(UnknownName, match="no metric named 'ruoge'"):
        scored("ruoge")


def test_an_interrupt_is_no_failure_of_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Returns, "answer", staticmethod(fails(KeyboardInterrupt())))
    with pytest.raises(KeyboardInterrupt):
        scored("returns")


def test_numbers_of_numpy_are_numbers_and_a_missing_score_of_one_report_is_null(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    score = Score("x", np.float32(0.5), np.array([0.5, 0.5, 0.5, np.nan]))  # type: ignore[arg-type]
    monkeypatch.setattr(Returns, "answer", staticmethod(lambda: score))
    evaluation = scored("returns", background=BaselineData())
    assert evaluation.problems == {}
    assert evaluation.scores["x"] == 0.5
    save_evaluation(evaluation, tmp_path)
    rows = [
        json.loads(line, parse_constant=lambda name: pytest.fail(name)) for line in (tmp_path / "studies.jsonl").open()
    ]
    assert [row["scores"]["x"] for row in rows] == [0.5, 0.5, 0.5, None]


def test_the_reason_is_a_row_of_every_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Returns, "answer", staticmethod(fails(TimeoutError("the judge | is down"))))
    evaluation = scored("returns")
    (table,) = [t for t in tables(evaluation) if t.title == "Without a score"]
    assert [row[0] for row in table.rows] == ["returns"]
    assert "| returns | TimeoutError: the judge \\| is down (" in as_markdown(tables(evaluation))
    assert r"returns & TimeoutError: the judge \textbar{} is down (" in as_latex(tables(evaluation))
    rows = list(csv.DictReader(as_csv(evaluation.card, evaluation.systems, evaluation.problems).splitlines()))
    assert [(r["metric"], r["value"]) for r in rows if r["problem"]] == [("returns", "")]
    save_evaluation(evaluation, tmp_path)
    values = json.loads((tmp_path / "scores.json").read_text())
    assert values["problems"]["returns"].startswith("TimeoutError: the judge | is down")
    assert [(r["metric"], r["value"]) for r in values["scores"] if r["problem"]] == [("returns", None)]
    for name in ("scores.csv", "scores.md", "scores.tex"):
        assert "is down" in (tmp_path / name).read_text()


def test_where_every_metric_fails_the_reasons_are_all_there_is(tmp_path: Path) -> None:
    evaluation = evaluate(PREDICTIONS, REFERENCES, metrics=("cannot-build",), protocol="raw", background=TRAINING)
    assert evaluation.scores == {}
    save_evaluation(evaluation, tmp_path)
    assert load_evaluation(tmp_path).systems[0].lines == ()
    assert "sys.exit" in (tmp_path / "scores.csv").read_text()


def test_several_reports_of_a_study_and_subsets_stand_without_the_failed_metric(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Sums, "values", staticmethod(lambda totals: {"sums": np.float64(totals[0])}))
    evaluation = evaluate(
        {k: [v, "Other."] for k, v in PREDICTIONS.items()}, REFERENCES, metrics=("sums", "rouge-l"), protocol="raw",
        resamples=20, background=TRAINING,
    )  # fmt: skip
    assert list(evaluation.problems) == ["sums"]
    assert [s.name for s in evaluation.systems][1] == "reports, best of 2"
    for system in evaluation.systems:
        assert {line.metric for lines in (system.lines, *system.subsets.values()) for line in lines} == {"rouge-l"}


class Writer:
    """A model as far as evaluation goes."""

    def report_studies(self, studies: Sequence[Study], *_: Any, **__: Any) -> list[Report]:
        return [Report(s.id, PREDICTIONS[s.id], tags={"heart": 0.9}) for s in studies]


@pytest.mark.parametrize(
    ("step", "replacement", "why"),
    [
        ("lines", fails(RuntimeError("CUDA error")), "RuntimeError: CUDA error"),
        ("lines", fails(SystemExit(1)), "it called sys.exit(1)"),
        ("lines", lambda: 0.5, "score_outputs is a float, and a list is due"),
        ("lines", lambda: [0.5], "score_outputs returned a float, and every entry must be a ScoreLine"),
        ("lines", lambda: [ScoreLine("of-models", float("nan"))], "its score 'of-models' is nan"),
        ("lines", lambda: [ScoreLine("of-models", "high")], "its score 'of-models' is a str"),
        ("points", lambda: [(0.5, 0.5)], "points that have no three numbers"),
        ("points", fails(ValueError("no bins")), "ValueError: no bins"),
        ("pairs", lambda: {"A": [(0.5, 1.0)]}, "probabilities returned 1 pairs of 'A' for 4 studies"),
        ("pairs", lambda: {"A": [(0.5, 1.0, 2.0)] * 4}, "pairs of 'A' for 4 studies, or no pairs"),
        ("pairs", lambda: {"A": [(1.5, 1.0)] * 4}, "a probability or label of 'A' is 1.5"),
        ("pairs", lambda: {"A": [("high", 1.0)] * 4}, "a probability of 'A' is a str"),
        ("pairs", lambda: [0.5] * 4, "probabilities"),
    ],
)
def test_a_metric_of_models_that_fails_has_its_reason_and_the_others_stand(
    step: str, replacement: Callable[[], Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OfModels, step, staticmethod(replacement))
    studies = [Study(k, sections={"findings": v}, tags=("heart",)) for k, v in REFERENCES.items()]
    evaluation = evaluate(
        Writer(), Collection(tuple(studies), Audit("made", 4, 0)), metrics=("of-models", "rouge-l"), protocol="raw",
        resamples=0,
    )  # fmt: skip
    assert why in evaluation.problems["of-models"]
    assert {"rouge-l", "tags recall@1"} <= set(evaluation.scores)
    assert not any(line.metric == "of-models" for line in evaluation.systems[0].lines)


def test_a_run_is_compared_though_a_metric_of_it_is_not_installed_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        save_evaluation(scored("sums"), tmp_path / name)
    entries = {k: v for k, v in reportgen_core.metrics._entries().items() if k != "sums"}
    monkeypatch.setattr(reportgen_core.metrics, "_entries", lambda: entries)
    comparison = compare_evaluations([load_evaluation(tmp_path / n) for n in ("one", "two")], rounds=20)
    assert "rouge-l" in comparison.differences["two"]
    assert any(line.startswith("no test of sums: no metric named 'sums'") for line in comparison.table.foot)
