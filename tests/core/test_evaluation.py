"""`evaluate`: what is scored, what is refused, and what every score says about itself."""

from collections.abc import Sequence
from typing import Any

import pytest

import reportgen_core
from reportgen_core import Collection, DataError, MetricError, Report, Score, Study, evaluate
from reportgen_core.metric import Metric
from reportgen_core.registry import Entry
from reportgen_core.scoring.baselines import BaselineData
from reportgen_core.scoring.scorecard import system_from_json, system_to_json
from reportgen_core.types import Audit

REFERENCES = {
    "a": "The lungs are clear. No effusion.",
    "b": "The heart is enlarged. Small left effusion.",
    "c": "There is a nodule in the right lung.",
    "d": "The lungs are clear. No effusion.",
}
GOOD = {"a": "The lungs are clear.", "b": "The heart is big.", "c": "A nodule is seen.", "d": "The lungs are clear."}
QUICK: dict[str, Any] = {"protocol": "raw", "metrics": ("bleu", "rouge-l", "cider"), "resamples": 50}


def test_scores_are_those_of_the_metrics_on_prepared_texts() -> None:
    evaluation = evaluate(GOOD, REFERENCES, **QUICK)
    words = [[GOOD[i].lower()] for i in "abcd"], [[REFERENCES[i].lower()] for i in "abcd"]
    bleu = reportgen_core.metrics.create("bleu").compute([w[0] for w in words[0]], words[1])
    assert evaluation.scores["bleu-4"] == pytest.approx(bleu.value)
    assert set(evaluation.scores) == {"bleu-1", "bleu-2", "bleu-3", "bleu-4", "rouge-l", "cider"}


def test_every_score_carries_how_it_was_made() -> None:
    evaluation = evaluate(GOOD, REFERENCES, sections=("findings",), split="test", dataset="made", seed=3, **QUICK)
    row = evaluation.to_json()["scores"][0]
    assert row["protocol"] == "raw 1"
    assert (row["sections"], row["split"], row["n"], row["seed"]) == ("findings", "test", 4, 3)
    assert (row["metric"], row["metric_version"], row["better"]) == ("bleu", "1", "higher")
    assert len(row["split_hash"]) == 12


def test_the_split_hash_changes_with_a_text_or_an_id_and_not_with_the_order() -> None:
    def hash_of(references: dict[str, str]) -> str:
        return evaluate(dict.fromkeys(references, "x"), references, **QUICK).card.split_hash

    first = hash_of(REFERENCES)
    assert hash_of(dict(reversed(REFERENCES.items()))) == first
    assert hash_of({**REFERENCES, "a": "Other."}) != first
    assert hash_of({("z" if k == "a" else k): v for k, v in REFERENCES.items()}) != first


def test_missing_predictions_are_listed_and_refused() -> None:
    with pytest.raises(DataError, match=r"2 studies \(b, d\) without a prediction; --partial"):
        evaluate({"a": "x", "c": "y"}, REFERENCES, **QUICK)


def test_a_partial_score_is_marked() -> None:
    evaluation = evaluate({"a": "x", "c": "y"}, REFERENCES, partial=True, **QUICK)
    assert (evaluation.card.n, evaluation.card.of, evaluation.card.partial) == (2, 4, True)
    assert "PARTIAL: 2 studies (b, d) without a prediction" in evaluation.notes
    assert evaluation.to_json()["scores"][0]["partial"] is True


def test_a_prediction_for_an_unknown_study_is_refused_and_left_out_when_asked() -> None:
    with pytest.raises(DataError, match=r"1 prediction \(z\) for studies that have no reference"):
        evaluate({**GOOD, "z": "x"}, REFERENCES, **QUICK)
    evaluation = evaluate({**GOOD, "z": "x"}, REFERENCES, partial=True, **QUICK)
    assert evaluation.card.n == 4


def test_empty_predictions_are_scored_and_told() -> None:
    evaluation = evaluate({**GOOD, "b": ""}, REFERENCES, **QUICK)
    assert "1 report is empty" in evaluation.notes
    assert next(s for s in evaluation.studies if s.id == "b").scores["rouge-l"] == 0


def test_an_empty_reference_is_left_out_and_told() -> None:
    evaluation = evaluate(GOOD, {**REFERENCES, "d": " "}, **QUICK)
    assert evaluation.card.n == 3
    assert "1 study (d) with an empty reference, left out" in evaluation.notes


def test_predictions_that_are_the_references_raise_a_question() -> None:
    assert any("are these the right files?" in n for n in evaluate(REFERENCES, REFERENCES, **QUICK).notes)


def test_nothing_in_common_is_nothing_to_score() -> None:
    with pytest.raises(DataError, match="nothing to score: 1 predictions, 4 references, no id in common"):
        evaluate({"z": "x"}, REFERENCES, partial=True, **QUICK)


def test_one_study_is_scored_and_cider_says_why_it_is_zero() -> None:
    evaluation = evaluate({"a": GOOD["a"]}, {"a": REFERENCES["a"]}, **QUICK)
    assert evaluation.scores["cider"] == 0
    assert any("cider of one study is 0 by definition" in n for n in evaluation.notes)


def test_bars_line_breaks_and_odd_signs_in_texts_do_no_harm() -> None:
    texts = {"a": "The lungs ||| are\nclear.", "b": "\u2028", "c": "\x00 \ud800 x", "d": "\r\n"}
    assert evaluate(texts, REFERENCES, **QUICK).card.n == 4


def test_several_references_and_n_best_are_taken() -> None:
    references = {"a": ["x y z w", "the lungs are clear now"], "b": "the heart is big today"}
    n_best = {"a": ["x", "the lungs are clear now"], "b": ["the heart is big today"]}
    evaluation = evaluate(n_best, references, name="model", **QUICK)
    assert [s.name for s in evaluation.systems] == ["model", "model, best of 2"]
    best, first = (s.line("rouge-l") for s in reversed(evaluation.systems))
    assert first is not None
    assert best is not None
    assert (best.value, first.value) == (
        pytest.approx(1.0),
        pytest.approx(evaluate({"a": "x", "b": n_best["b"][0]}, references, **QUICK).scores["rouge-l"]),
    )
    assert "ORACLE" in evaluation.systems[1].note


def test_the_interval_holds_the_value() -> None:
    for line in evaluate(GOOD, REFERENCES, **{**QUICK, "resamples": 300}).systems[0].lines:
        assert line.low is not None
        assert line.high is not None
        assert line.low <= line.value <= line.high


def test_baselines_and_subsets_stand_beside_the_reports() -> None:
    training = {"t1": REFERENCES["a"], "t2": REFERENCES["a"], "t3": "The heart is enlarged."}
    background = BaselineData(training, {"v1": "The lungs are clear."}, normal=dict(a=True, b=False, c=False, d=True))
    evaluation = evaluate(GOOD, REFERENCES, background=background, **QUICK)
    assert [s.name for s in evaluation.systems] == ["reports", "constant (validation)", "most frequent", "random"]
    assert evaluation.verbatim_share == 0.5
    assert evaluation.systems[0].size == {"seen in training": 2, "unseen in training": 2, "normal": 2, "abnormal": 2}
    seen = {k: v for k, v in REFERENCES.items() if k in "ad"}
    alone = evaluate({k: GOOD[k] for k in seen}, seen, **QUICK)
    assert {line.name: line.value for line in evaluation.systems[0].subsets["seen in training"]} == pytest.approx(
        alone.scores
    )
    assert evaluation.studies[0].subsets == ("seen in training", "normal")
    constant = evaluation.systems[1].line("bleu-1")
    assert constant is not None
    assert constant.value == pytest.approx(
        evaluate(dict.fromkeys(REFERENCES, REFERENCES["a"]), REFERENCES, **QUICK).scores["bleu-1"]
    )


def test_a_protocol_that_learns_asks_for_the_training_reports() -> None:
    evaluation = evaluate(GOOD, REFERENCES, protocol="r2gen", metrics=("bleu", "chexpert-rules"), resamples=0)
    assert "must see the training reports" in evaluation.problems["bleu"]
    assert "chexpert-rules micro-14 f1" in evaluation.scores


def test_a_metric_for_english_keeps_off_chinese() -> None:
    evaluation = evaluate(
        {"a": "肺部清晰"}, {"a": "肺部清晰"}, protocol="chinese-characters", metrics=("meteor", "rouge-l")
    )
    assert evaluation.problems == {"meteor": "meteor knows 'en' only, and this protocol is for 'zh'"}
    assert evaluation.scores["rouge-l"] == 1


def test_the_strongest_constant_is_chosen_by_findings_too_and_differences_have_intervals() -> None:
    """By words the first sentence is the best constant; it says No Finding, and by findings another one is."""
    training = dict(enumerate(["The lungs are clear. The heart is normal."] * 3 + ["Cardiomegaly."] * 2))
    normal = "The lungs are clear. The heart is normal in size today."
    validation = {"v1": normal, "v2": "Cardiomegaly.", "v3": "Cardiomegaly."}
    background = BaselineData({str(k): v for k, v in training.items()}, validation)
    references = {f"s{i}": "Cardiomegaly." if i % 3 else "The heart is normal." for i in range(12)}
    reports = {k: v if i % 4 else "Pneumothorax." for i, (k, v) in enumerate(references.items())}
    evaluation = evaluate(
        reports, references, background=background, protocol="raw", metrics=("rouge-l", "chexpert-rules"), resamples=50
    )
    systems = {s.name: s for s in evaluation.systems}
    by_findings = systems["constant by findings (validation)"]
    headline = "chexpert-rules micro-14 f1"
    assert evaluation.problems == {}
    assert by_findings.line(headline).value > systems["constant (validation)"].line(headline).value
    value, low, high = by_findings.differences[headline]
    assert value == pytest.approx(evaluation.scores[headline] - by_findings.line(headline).value)
    assert low <= value <= high
    assert set(by_findings.differences) == {"rouge-l", headline, "chexpert-rules macro-14 f1"}
    assert systems["random"].differences == {}
    assert system_from_json(system_to_json(by_findings)) == by_findings


class Fails(Metric):
    """A metric that never has an answer."""

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        raise MetricError("no answer today")


class Lengths(Metric):
    """A third party's metric without statistics: the mean number of words."""

    higher_is_better = False
    version = "7"

    def compute(self, reports: Sequence[str], references: Sequence[Sequence[str]]) -> Score:
        each = [float(len(r.split())) for r in reports]
        return Score("lengths", sum(each) / len(each), each, higher_is_better=False, version="7")


@pytest.fixture
def third_party(monkeypatch: pytest.MonkeyPatch) -> None:
    classes = {"fails": Fails, "lengths": Lengths}
    entries = dict(reportgen_core.metrics._entries())
    for name, kind in classes.items():
        entries[name] = ("test", Entry(name, f"{__name__}:{kind.__name__}", name))
    monkeypatch.setattr(reportgen_core.metrics, "_entries", lambda: entries)
    monkeypatch.setitem(__import__("sys").modules, __name__, __import__("sys").modules[__name__])


@pytest.mark.usefixtures("third_party")
def test_a_metric_that_fails_is_named_and_the_others_are_scored() -> None:
    evaluation = evaluate(GOOD, REFERENCES, protocol="raw", metrics=("fails", "rouge-l"))
    assert evaluation.problems == {"fails": "no answer today"}
    assert list(evaluation.scores) == ["rouge-l"]


@pytest.mark.usefixtures("third_party")
def test_a_metric_without_statistics_has_the_interval_of_a_mean() -> None:
    line = evaluate(GOOD, REFERENCES, protocol="raw", metrics=("lengths",), resamples=200).systems[0].lines[0]
    assert (line.value, line.version, line.arrow) == (4.0, "7", "↓")
    assert line.low is not None
    assert line.low <= 4 <= (line.high or 0)


def test_without_java_the_other_scores_are_given_under_their_own_protocol(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("REPORTGEN_JAVA", str(tmp_path / "none"))
    monkeypatch.setattr(
        "reportgen_plugins.metrics.nlg.meteor.PROCESS",
        __import__("reportgen_plugins.metrics.nlg.meteor", fromlist=["x"]).MeteorProcess(),
    )
    evaluation = evaluate(GOOD, REFERENCES, resamples=0)
    assert evaluation.card.protocol == "raw 1"
    assert any(n.startswith("protocol raw in place of coco: ") and "cannot be started" in n for n in evaluation.notes)
    assert "cannot be started" in evaluation.problems["meteor"]
    assert "bleu-4" in evaluation.scores
    with_coco = evaluate(GOOD, REFERENCES, protocol="coco", resamples=0)
    assert {"bleu", "meteor", "rouge-l", "cider"} == set(with_coco.problems)


class Writer:
    """A model as far as evaluation goes: it says what it is told to, with tags and findings."""

    def report_studies(self, studies: Sequence[Study], **how: Any) -> list[Report]:
        reports = [
            Report(s.id, GOOD[s.id], tags={"nodule": 0.9, "heart": 0.2}, findings={"Nodule": 0.7}) for s in studies
        ]
        return [Report("d", "", problem="d.png is truncated") if r.study == "d" else r for r in reports] + []


def studies() -> Collection:
    tags = {"a": ("heart",), "b": ("heart",), "c": ("nodule",), "d": ()}
    test = [
        Study(
            i,
            sections={"findings": t},
            tags=tags[i],
            labels={"Nodule": float(i == "c")},
            split="test",
            extra={"normal": i in "ad"},
        )
        for i, t in REFERENCES.items()
    ]
    train = [Study("t", sections={"findings": "Lungs clear."}, tags=("heart",), split="train")]
    return Collection((*train, *test), Audit("made", 5, 0))


def test_a_model_writes_its_reports_and_is_judged_on_tags_and_findings_too() -> None:
    evaluation = evaluate(Writer(), studies(), split="test", partial=True, **QUICK)
    assert evaluation.card.sections == ("findings",)
    assert (evaluation.card.n, evaluation.card.of) == (3, 4)  # the study that cannot be read is missing
    assert evaluation.scores["tags commonest recall@2"] == pytest.approx(2 / 3)
    assert "findings Nodule auc" in evaluation.scores
    assert evaluation.curves["findings"] == ((pytest.approx(0.7), pytest.approx(1 / 3), 3),)
    assert "random" in [s.name for s in evaluation.systems]


def test_a_study_that_cannot_be_read_is_a_missing_prediction() -> None:
    with pytest.raises(DataError, match=r"1 study \(d\) without a prediction"):
        evaluate(Writer(), studies(), split="test", **QUICK)


def test_a_split_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(DataError, match=r"no study is in split 'dev'; there are: test, train"):
        evaluate(Writer(), studies(), split="dev", **QUICK)


def test_a_model_needs_studies() -> None:
    with pytest.raises(DataError, match="a model is evaluated on studies"):
        evaluate(Writer(), REFERENCES, **QUICK)


@pytest.mark.parametrize(("side", "what"), [(0, "predictions"), (1, "references")])
def test_texts_without_sentence_ends_are_told(side: int, what: str) -> None:
    bare = {k: "the lungs are clear there is no effusion or pneumothorax the heart is normal" for k in REFERENCES}
    sides: list[dict[str, str]] = [GOOD, REFERENCES]
    sides[side] = bare
    notes = [n for n in evaluate(sides[0], sides[1], **QUICK).notes if "no sentence ends" in n]
    assert notes == [f"4 of 4 {what} have no sentence ends; chexpert-rules guesses where their sentences begin"]


def test_short_texts_need_no_sentence_ends() -> None:
    short = dict.fromkeys(REFERENCES, "no acute disease")
    assert not [n for n in evaluate(short, REFERENCES, **QUICK).notes if "no sentence ends" in n]
