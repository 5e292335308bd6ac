"""Tags, findings, pointing and normality: what a model gives next to its text."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reportgen_plugins.metrics.findings import auc
from sklearn.metrics import roc_auc_score

import reportgen_core
from reportgen_core import Attention, Box, MetricError, Report, Study
from reportgen_core.scoring.abilities.metrics import ModelOutputs
from reportgen_core.scoring.ranking_metrics import median_rank_line, ranking_lines


def score(
    name: str, reports: list[Report], studies: list[Study], options: dict[str, Any] | None = None, **how: Any
) -> dict[str, float]:
    metric: Any = reportgen_core.metrics.create(name, **(options or {}))
    return {
        line.name: line.value
        for line in metric.score_outputs(ModelOutputs(reports, studies, **{"resamples": 20, **how}))
    }


def test_recall_precision_and_map_by_hand() -> None:
    lines = ranking_lines("x", [["a", "b", "c"], ["d", "e", "f"]], [{"b", "z"}, {"d", "e"}], [2], resamples=0)
    assert {line.name: line.value for line in lines} == {
        "x recall@2": (1 / 2 + 2 / 2) / 2,
        "x precision@2": (1 / 2 + 2 / 2) / 2,
        "x map@2": ((1 / 2) / 2 + 1) / 2,
    }


def test_queries_without_anything_to_find_are_left_out() -> None:
    (line,) = ranking_lines("x", [["a"], ["b"]], [{"a"}, set()], [1], words=("recall",), resamples=10)
    assert (line.value, line.low, line.high) == (1, 1, 1)


def test_tags_are_recalled_over_studies_that_have_some() -> None:
    reports = [
        Report("1", "", tags={f"t{i}": 0.9 - i / 10 for i in range(6)}),
        Report("2", "", tags={f"t{i}": 0.4 for i in range(6)}),
    ]
    studies = [Study("1", tags=("t0", "t5")), Study("2", tags=())]
    training = [Study("3", tags=("t5", "t0")), Study("4", tags=("t5",))]
    lines = score("tags", reports, studies, training=training)
    assert lines == {"tags recall@5": 0.5, "tags commonest recall@5": 1.0, "tags micro f1": pytest.approx(2 / 7)}


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_auc_is_scikit_learns_with_ties_and_weights(pairs: list[tuple[int, bool]]) -> None:
    scores, gold = np.array([s / 5 for s, _ in pairs]), np.array([float(g) for _, g in pairs])
    weights = np.random.default_rng(0).integers(0, 4, (3, len(pairs))).astype(float)
    for value, w in zip(auc(scores, gold, weights), weights, strict=True):
        drawn = w > 0
        if len(set(gold[drawn])) < 2:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(roc_auc_score(gold[drawn], scores[drawn], sample_weight=w[drawn]))


def test_findings_have_auc_means_f1_and_calibration() -> None:
    p = {"A": [0.9, 0.8, 0.3, 0.1], "B": [0.2, 0.6, 0.7, 0.1], "No Finding": [0.1, 0.2, 0.3, 0.9]}
    gold = {"A": [1, 0, 1, 0], "B": [0, 1, 1, -1], "No Finding": [0, 0, 0, 1]}
    reports = [Report(str(i), "", findings={k: v[i] for k, v in p.items()}) for i in range(4)]
    studies = [Study(str(i), labels={k: float(v[i]) for k, v in gold.items()}) for i in range(4)]
    lines = score("findings", reports, studies)
    assert lines["findings A auc"] == 0.75
    assert lines["findings B auc"] == 1  # the uncertain one is left out
    assert lines["findings mean auc"] == 0.875  # without No Finding
    assert lines["findings weighted-mean auc"] == pytest.approx((2 * 0.75 + 2 * 1) / 4)
    assert lines["findings A f1"] == 0.5
    assert lines["findings A references"] == 2


def test_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    reports = [Report(str(i), "", findings={"A": p}) for i, p in enumerate([0.1, 0.1, 0.9, 0.9])]
    studies = [Study(str(i), labels={"A": g}) for i, g in enumerate([0.0, 1.0, 1.0, 1.0])]
    metric: Any = reportgen_core.metrics.create("findings", bins=2)
    assert score("findings", reports, studies, {"bins": 2})["findings ece"] == pytest.approx((2 * 0.4 + 2 * 0.1) / 4)
    assert metric.reliability(reports, studies) == [(pytest.approx(0.1), 0.5, 2), (pytest.approx(0.9), 1.0, 2)]


def test_the_interval_of_the_calibration_error_is_that_of_redrawn_studies() -> None:
    draw = np.random.default_rng(0)
    p = draw.random((30, 2))
    gold = (draw.random((30, 2)) < 0.5).astype(float)
    reports = [Report(str(i), "", findings=dict(zip("AB", row, strict=True))) for i, row in enumerate(p.tolist())]
    studies = [Study(str(i), labels=dict(zip("AB", row, strict=True))) for i, row in enumerate(gold.tolist())]
    metric: Any = reportgen_core.metrics.create("findings", bins=5)

    def error(which: list[int]) -> float:
        bins = metric.reliability([reports[i] for i in which], [studies[i] for i in which])
        return sum(n * abs(share - mean) for mean, share, n in bins) / sum(n for *_, n in bins)

    counts = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), 50)
    redrawn = [error([i for i, k in enumerate(row) for _ in range(k)]) for row in counts.tolist()]
    lines = metric.score_outputs(ModelOutputs(reports, studies, resamples=50, seed=0))
    (line,) = [line for line in lines if line.name == "findings ece"]
    assert (line.value, line.low, line.high) == pytest.approx(
        (error(list(range(30))), *np.percentile(redrawn, (2.5, 97.5)))
    )
    assert line.higher_is_better is False


def test_probabilities_come_with_the_labels_that_are_scored() -> None:
    reports = [
        Report("1", "", findings={"A": 0.9, "B": 0.5}, tags={"t": 0.7, "u": 0.2}),
        Report("2", "", findings={"A": 0.1}),
    ]
    studies = [Study("1", labels={"A": 1.0}, tags=("u",)), Study("2", labels={"A": -1.0, "C": 1.0})]

    def of(name: str, **options: Any) -> Any:
        metric: Any = reportgen_core.metrics.create(name, **options)
        return metric.probabilities(reports, studies)

    assert of("findings") == {"A": [(0.9, 1.0), (0.1, None)]}  # B is not stated, and C not predicted
    assert of("tags") == {"t": [(0.7, 0.0), (None, 0.0)], "u": [(0.2, 1.0), (None, 0.0)]}
    studies = [Study("1"), Study("2")]
    assert of("tags") == {}


def test_a_finding_that_is_not_stated_is_left_out_or_absent() -> None:
    reports = [Report("1", "", findings={"A": 0.9}), Report("2", "", findings={"A": 0.1})]
    studies = [Study("1", labels={"A": 1.0}), Study("2")]
    assert np.isnan(score("findings", reports, studies)["findings A auc"])
    assert score("findings", reports, studies, {"unsaid": "absent"})["findings A auc"] == 1


def test_where_nothing_is_predicted_or_known_nothing_is_judged() -> None:
    for name in ("tags", "findings", "pointing"):
        assert score(name, [Report("1", "x")], [Study("1")], grid=(1, 2, 2)) == {}


@pytest.mark.parametrize("name", ["tags", "findings", "pointing"])
def test_texts_alone_cannot_be_judged(name: str) -> None:
    with pytest.raises(MetricError, match=f"{name} scores .* --model"):
        reportgen_core.metrics.create(name).compute(["a"], [["b"]])


def looks_at(cell: int, per: str = "sentence") -> Attention:
    weights = torch.full((2, 4), 0.1)
    weights[1, cell] = 0.7
    return Attention("sentence" if per == "sentence" else "word", regions=weights)


@pytest.mark.parametrize(("cell", "hit"), [(3, 1.0), (0, 0.0)])
def test_a_hit_is_the_most_attended_cell_of_the_sentence_that_mentions_the_finding(cell: int, hit: float) -> None:
    report = Report("1", "", ("The heart is normal.", "There is a left effusion."), attention=looks_at(cell))
    study = Study("1", boxes=(Box("Effusion", 0.6, 0.6, 0.3, 0.3), Box("Mass", 0.0, 0.0, 0.1, 0.1)))
    lines = score("pointing", [report], [study], grid=(1, 2, 2))
    assert lines == {
        "pointing hit": hit,
        "pointing centre": 0.0,
        "pointing by chance": pytest.approx(0.09),
        "pointing mentioned": 0.5,  # the mass is not mentioned: no miss
    }


def test_attention_by_word_counts_for_the_words_of_the_sentence_alone() -> None:
    weights = torch.tensor([[0.7, 0.1, 0.1, 0.1]] * 5 + [[0.1, 0.1, 0.1, 0.7]] * 2)
    rows = ((0, 4), (5, 7))
    report = Report(
        "1", "", ("The heart is normal.", "Effusion left."), attention=Attention("word", weights), rows=rows
    )
    lines = score("pointing", [report], [Study("1", boxes=(Box("Effusion", 0.6, 0.6, 0.3, 0.3),))], grid=(1, 2, 2))
    assert lines["pointing hit"] == 1.0


def test_a_finding_that_the_rules_cannot_name_is_not_in_the_game() -> None:
    report = Report("1", "", ("Heart normal.", "There is a left effusion."), attention=looks_at(3))
    boxes = (Box("Effusion", 0.6, 0.6, 0.3, 0.3), Box("Kyphosis", 0.0, 0.0, 0.1, 0.1))
    assert score("pointing", [report], [Study("1", boxes=boxes)], grid=(1, 2, 2))["pointing mentioned"] == 1.0
    assert score("pointing", [report], [Study("1", boxes=boxes[1:])], grid=(1, 2, 2)) == {}


def test_a_model_that_looks_at_tags_alone_plays_no_game() -> None:
    looked = Attention("word", tags=torch.ones(1, 1), tag_ids=torch.tensor([0]))
    report = Report("1", "", ("Left effusion.",), attention=looked, rows=((0, 1),))
    assert score("pointing", [report], [Study("1", boxes=(Box("Effusion", 0.6, 0.6, 0.3, 0.3),))], grid=(1, 2, 2)) == {}


def test_a_denied_finding_is_no_mention() -> None:
    report = Report("1", "", ("Heart normal.", "No effusion."), attention=looks_at(3))
    lines = score("pointing", [report], [Study("1", boxes=(Box("Effusion", 0.6, 0.6, 0.3, 0.3),))], grid=(1, 2, 2))
    assert lines["pointing mentioned"] == 0


def test_normal_sentences_are_counted_by_whole_words_and_pooled() -> None:
    metric = reportgen_core.metrics.create("normality")
    score = metric.compute(["No effusion. Abnormal heart."], [["Lungs are clear. Stable. Unstable nodule. Normal."]])
    assert score.parts == {"normality difference": 0.25, "normality share": 0.5, "normality share in references": 0.75}
    assert not score.higher_is_better


def test_the_median_rank_is_that_of_the_first_relevant_item() -> None:
    ranked = [["a", "b", "c"], ["d", "e", "f"], ["g"], ["h", "i"]]
    relevant = [{"c", "b"}, {"zz"}, set(), {"h"}]  # places 2, 4 (one after the end), nothing to find, 1
    (line,) = median_rank_line("x", ranked, relevant, resamples=0)
    assert (line.name, line.value, line.higher_is_better) == ("x median-rank", 2.0, False)
    (line,) = median_rank_line("x", ranked, relevant)
    assert 1 <= line.low <= line.value <= line.high <= 4
    assert median_rank_line("x", ranked[:1], [set()]) == []
