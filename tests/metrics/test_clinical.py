"""Clinical agreement: the conventions of papers, against scikit-learn on the same labels."""

import numpy as np
import pytest
from reportgen_plugins.metrics.agreement import Agreement
from reportgen_plugins.metrics.labeler.labeler import LABELS
from sklearn.metrics import precision_recall_fscore_support

import reportgen_core
from reportgen_core import OptionError

CLASSES = LABELS["chexpert14"]
RANDOM = np.random.default_rng(0)
OURS, THEIRS = RANDOM.choice([1, 0, -1, 9], (2, 60, 14), p=[0.3, 0.2, 0.1, 0.4])  # 9: not mentioned


def labels(matrix: np.ndarray) -> list[dict[str, float]]:
    return [{c: float(v) for c, v in zip(CLASSES, row, strict=True) if v != 9} for row in matrix]


@pytest.mark.parametrize(("convention", "positive"), [("r2gen", [1]), ("rrg", [1, -1]), ("micro-14", [1])])
def test_averages_are_those_of_scikit_learn(convention: str, positive: list[int]) -> None:
    agreement = Agreement("x", CLASSES, convention)
    scores = agreement.scores(agreement.statistics(labels(OURS), [[r] for r in labels(THEIRS)]).sum(0))
    ours, theirs = np.isin(OURS, positive), np.isin(THEIRS, positive)
    five = [CLASSES.index(c) for c in ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")]
    for size, columns in (("14", list(range(14))), ("5", five)):
        for average in ("micro", "macro"):
            expected = precision_recall_fscore_support(
                theirs[:, columns], ours[:, columns], average=average, zero_division=0
            )
            got = [scores[f"x {average}-{size} {word}"] for word in ("precision", "recall", "f1")]
            assert got == pytest.approx(expected[:3])
    by_class = precision_recall_fscore_support(theirs, ours, average=None, zero_division=0)
    assert [scores[f"x {c} f1"] for c in CLASSES] == pytest.approx(by_class[2])
    assert [scores[f"x {c} accuracy"] for c in CLASSES] == pytest.approx((ours == theirs).mean(0))
    assert scores["x macro-14 accuracy"] == pytest.approx((ours == theirs).mean())
    assert [scores[f"x {c} references"] for c in CLASSES] == pytest.approx(by_class[3])


def test_per_example_is_scikit_learns_samples_average() -> None:
    agreement = Agreement("x", CLASSES, "per-example")
    scores = agreement.scores(agreement.statistics(labels(OURS), [[r] for r in labels(THEIRS)]).sum(0))
    expected = precision_recall_fscore_support(THEIRS == 1, OURS == 1, average="samples", zero_division=0)
    assert next(iter(scores)) == "x example f1"
    assert scores["x example f1"] == pytest.approx(expected[2])


@pytest.mark.parametrize(
    ("convention", "headline"), [("r2gen", "macro-14"), ("rrg", "micro-14"), ("per-example", "example")]
)
def test_a_convention_names_its_headline(convention: str, headline: str) -> None:
    metric = reportgen_core.metrics.create("chexpert-rules", convention=convention)
    score = metric.compute(["There is an effusion."], [["There is an effusion."]])
    assert next(iter(score.parts)) == f"chexpert-rules {headline} f1"
    assert score.value == score.parts[f"chexpert-rules {headline} f1"]
    assert convention in score.version


def test_an_uncertain_finding_counts_by_the_convention() -> None:
    report, reference = ["Possible pneumonia."], [["There is pneumonia."]]
    f1 = "chexpert-rules Pneumonia f1"
    assert reportgen_core.metrics.create("chexpert-rules", convention="rrg").compute(report, reference).parts[f1] == 1
    assert reportgen_core.metrics.create("chexpert-rules", convention="r2gen").compute(report, reference).parts[f1] == 0


def test_several_references_have_a_finding_where_one_has_it() -> None:
    metric = reportgen_core.metrics.create("chexpert-rules")
    score = metric.compute(["Small left effusion."], [["Lungs clear.", "Small left effusion."]])
    assert score.parts["chexpert-rules Pleural Effusion f1"] == 1


def test_the_classes_of_chestxray14_are_scored_without_normal() -> None:
    metric = reportgen_core.metrics.create("chexpert-rules", scheme="chestxray14")
    parts = metric.compute(["There is emphysema."], [["There is emphysema."]]).parts
    assert parts["chexpert-rules Emphysema f1"] == 1
    assert not any("normal" in name or "micro-5" in name for name in parts)


def test_an_unknown_convention_is_named_with_those_there_are() -> None:
    with pytest.raises(OptionError, match="no convention named 'rgr'; did you mean 'rrg'"):
        reportgen_core.metrics.create("chexpert-rules", convention="rgr")


def test_references_in_another_language_are_told() -> None:
    metric = reportgen_core.metrics.create("chexpert-rules")
    assert metric.caveat([["No effusion."]]) == ""
    assert metric.caveat([["No effusion."], ["Kein Erguss."]]) == (
        "chexpert-rules: 1 of 2 references are not in English and have no labels"
    )
