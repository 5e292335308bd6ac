"""A metric that fails on one report loses the score of that study alone, and an expensive metric spares the baselines."""

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import reportgen_core
from reportgen_core import OptionError, Score, evaluate
from reportgen_core.metric import Metric
from reportgen_core.registry import Entry
from reportgen_core.scoring.baselines import BaselineData
from reportgen_core.scoring.comparison import compare_evaluations
from reportgen_core.scoring.evaluation_folder import load_evaluation, save_evaluation
from reportgen_core.scoring.score_tables import as_markdown, evaluation_csv, tables
from reportgen_core.scoring.studies.failed import MAX_TRIES, FailedStudy, MetricResult, failure_lines, measure_apart

IDS = [f"s{i:02d}" for i in range(20)]
REFERENCES = {id: f"The lungs are clear {id}." for id in IDS}
PREDICTIONS = {id: f"The lungs are clear {id}." if i % 2 else "A nodule." for i, id in enumerate(IDS)}
TRAINING = BaselineData({"t1": "Clear lungs.", "t2": "Clear lungs."}, {"v": "Clear lungs."})
asked: list[str] = []


def is_bad(text: str) -> bool:
    return "s03" in text or "s07" in text


class Means(Metric):
    """The share of reports with "clear", as a score that has no statistics; `wrong` says what it does on a bad report."""

    wrong: ClassVar[Callable[[], float]] = staticmethod(lambda: 0.0)
    name = "means"

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        each = [type(self).wrong() if is_bad(r) else float("clear" in r) for r in reports]
        return Score(self.name, sum(each) / len(each), each, {self.name: sum(each) / len(each)}, version="1")


class Sums(Means):
    """The same by statistics."""

    name = "sums"

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
        return np.array([(1.0, v) for v in super().compute(reports, references).each])

    def scores(self, totals: Any) -> Mapping[str, Any]:
        with np.errstate(invalid="ignore"):
            return {"sums": totals[..., 1] / totals[..., 0]}


class Costly(Sums):
    """A metric that costs something; it says which reports it had no answer on."""

    expensive = True
    sends_to, may_send = "", False

    def statistics(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Any:
        asked.extend(reports)
        return np.array([(0.0, 0.0) if is_bad(r) else (1.0, 1.0) for r in reports])

    def failures(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Mapping[int, str]:
        return {i: "no answer" for i, r in enumerate(reports) if is_bad(r)}

    def run_notes(self) -> list[str]:
        return ["it cost 3"]


class Elsewhere(Costly):
    """The same at another address."""

    sends_to = "https://judge.example/v1"


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = dict(reportgen_core.metrics._entries())
    for kind in (Means, Sums, Costly, Elsewhere):
        name = kind.__name__.lower()
        entries[name] = ("a test", Entry(name, f"{__name__}:{kind.__name__}", "for tests"))
    monkeypatch.setattr(reportgen_core.metrics, "_entries", lambda: entries)
    asked.clear()


def raises() -> float:
    raise RuntimeError("cannot read this one")


def scored(*metrics: str, **options: Any) -> Any:
    options = {"protocol": "raw", "resamples": 20, "background": TRAINING, **options}
    return evaluate(PREDICTIONS, REFERENCES, metrics=(*metrics, "rouge-l"), **options)


CASES = [
    ("means", raises, "RuntimeError: cannot read this one"),
    ("sums", raises, "RuntimeError: cannot read this one"),
    ("means", lambda: math.nan, "its score is nan"),
    ("sums", lambda: math.nan, "its statistics of this report are not finite"),
]


@pytest.mark.parametrize(("name", "wrong", "why"), CASES, ids=["means raises", "sums raises", "means nan", "sums nan"])
def test_a_metric_that_fails_on_one_report_scores_the_others(
    name: str, wrong: Callable[[], float], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Means, "wrong", staticmethod(wrong))
    evaluation = scored(name)
    assert evaluation.problems == {}
    assert {(f.metric, f.system, f.study) for f in evaluation.failed} == {
        (name, "reports", "s03"),
        (name, "reports", "s07"),
    }
    assert all(why in f.why for f in evaluation.failed)
    assert evaluation.scores[name] == pytest.approx(8 / 18)  # of the other eighteen, eight say "clear"
    line = evaluation.systems[0].line(name)
    assert line is not None and line.note == "18 of 20 studies have a score"
    assert line.low is not None and line.low < 8 / 18 < (line.high or 0)
    rows = {s.id: s.scores[name] for s in evaluation.studies}
    assert [id for id, v in rows.items() if math.isnan(v)] == ["s03", "s07"] and rows["s05"] == 1.0
    assert "rouge-l" in evaluation.scores


def test_the_studies_without_a_score_are_in_every_output(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Means, "wrong", staticmethod(raises))
    evaluation = scored("sums")
    (table,) = [t for t in tables(evaluation) if t.title == "Without a score"]
    assert [row[0] for row in table.rows] == ["sums, studies s03, s07 of reports"]
    assert "| sums, studies s03, s07 of reports | RuntimeError: cannot read this one (" in as_markdown(
        tables(evaluation)
    )
    rows = [r for r in csv.DictReader(evaluation_csv(evaluation).splitlines()) if r["problem"]]
    assert [(r["metric"], r["subset"], r["value"]) for r in rows] == [
        ("sums", "study s03", ""),
        ("sums", "study s07", ""),
    ]
    save_evaluation(evaluation, tmp_path)
    values = json.loads((tmp_path / "scores.json").read_text())
    assert [f["study"] for f in values["failed"]] == ["s03", "s07"]
    assert load_evaluation(tmp_path).failed == {"sums": frozenset({"s03", "s07"})}


def test_a_metric_that_fails_on_all_or_returns_a_wrong_length_is_its_own_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.is_bad", lambda text: True)
    for wrong, why in ((raises, "cannot read this one"), (lambda: math.nan, "is nan")):
        monkeypatch.setattr(Means, "wrong", staticmethod(wrong))
        evaluation = scored("means", "sums")
        assert set(evaluation.problems) == {"means", "sums"} and why in evaluation.problems["sums"]
        assert evaluation.failed == () and "rouge-l" in evaluation.scores
    monkeypatch.setattr(Sums, "statistics", lambda self, reports, references: np.ones((3, 2)))
    assert "an array (3, 2) for 20 reports" in scored("sums").problems["sums"]


def test_a_metric_that_fails_on_the_reports_of_another_row_stands_in_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Means, "wrong", staticmethod(raises))
    evaluation = scored("sums", others={"second": dict.fromkeys(IDS, "A nodule s03.")})
    assert evaluation.systems[1].name == "second" and evaluation.systems[1].line("sums") is None
    assert evaluation.systems[1].line("rouge-l") is not None
    assert any(note.startswith("no sums for second: RuntimeError: cannot read this one") for note in evaluation.notes)
    assert "sums" in evaluation.scores and evaluation.problems == {}


def test_tests_of_two_runs_leave_out_what_one_of_them_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    save_evaluation(scored("sums", name="whole"), tmp_path / "whole")
    monkeypatch.setattr(Means, "wrong", staticmethod(raises))
    save_evaluation(scored("sums", name="part"), tmp_path / "part")
    comparison = compare_evaluations([load_evaluation(tmp_path / n) for n in ("whole", "part")], rounds=20)
    assert comparison.differences["part"]["sums"].value == pytest.approx(0)  # the other eighteen are the same
    assert "sums has no score for 2 of 20 studies of part: tests leave these out of both runs" in comparison.table.foot


@pytest.mark.parametrize("n", [1, 2, 3, 50, 1000])
def test_the_search_for_failing_studies_finds_them_and_gives_up_soon_where_all_fail(n: int) -> None:
    calls: list[int] = []

    def measure(places: Sequence[int]) -> MetricResult:
        calls.append(len(places))
        if any(i in bad for i in places):
            raise RuntimeError("bad")
        return MetricResult(statistics=np.ones((len(places), 1)))

    bad = {0, n // 3}
    if n > 2:
        assert set(measure_apart(measure, n).failed) == bad
        assert len(calls) <= MAX_TRIES
    bad, before = set(range(n)), len(calls)
    with pytest.raises(RuntimeError, match="bad"):
        measure_apart(measure, n)
    assert len(calls) - before <= 4


def test_many_failing_studies_are_one_line() -> None:
    rows = failure_lines([FailedStudy("a", "judge", f"s{i}", "no answer") for i in range(7)])
    assert rows == [("judge, studies s0, s1, s2, s3, s4 and 2 more of a", "no answer")]


def test_an_expensive_metric_is_not_run_on_the_baselines_unless_asked() -> None:
    evaluation = scored("costly", others={"second": dict.fromkeys(IDS, "A mass.")})
    assert set(asked) == {*PREDICTIONS.values(), "A mass."}
    systems = {s.name: s.line("costly") or s.line("sums") for s in evaluation.systems}
    assert systems["reports"] is not None
    assert all(line is None for name, line in systems.items() if name not in ("reports", "second"))
    assert any("costly is expensive and was not run on the baselines" in note for note in evaluation.notes)
    assert "it cost 3" in evaluation.notes


def test_asked_for_it_runs_on_the_baselines_too() -> None:
    evaluation = scored("costly", expensive_baselines=True)
    assert "Clear lungs." in asked
    assert all(s.line("sums") for s in evaluation.systems)
    assert not any("expensive" in note for note in evaluation.notes)
    assert [f.study for f in evaluation.failed if f.system == "reports"] == ["s03", "s07"]


def test_a_metric_that_sends_texts_elsewhere_needs_the_users_word() -> None:
    with pytest.raises(
        OptionError, match=r"elsewhere sends reports and references to https://judge\.example/v1, .*--send-reports"
    ):
        scored("elsewhere")
    assert asked == []
    assert "sums" in scored("elsewhere", send_reports=True).scores
