"""`normality` by a trained classifier in place of the rule of words."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_language import labelled

from reportgen_core import CheckpointError
from reportgen_core.registries import metrics, sentence_classifiers

REPORTS = ["The lungs show no mass. There is effusion.", "Scar has worsened. Edema is absent."]
REFERENCES = [["There is mass."], ["No scar. No edema. Nodule is absent."]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    classifier = sentence_classifiers.create("tfidf")
    classifier.fit(labelled())
    return classifier.save(tmp_path_factory.mktemp("c") / "tfidf")


def test_a_trained_classifier_knows_a_normal_sentence_without_the_words_of_the_rule(folder: Path) -> None:
    # "edema is absent" and "nodule is absent" have none of the rule's words
    by_rule, trained = metrics.create("normality"), metrics.create("normality", classifier=str(folder))
    assert by_rule.compute(REPORTS, REFERENCES).parts == {
        "normality difference": 0.25, "normality share": 0.25, "normality share in references": 0.5,
    }  # fmt: skip
    assert trained.compute(REPORTS, REFERENCES).parts == {
        "normality difference": 0.25, "normality share": 0.5, "normality share in references": 0.75,
    }  # fmt: skip


def test_scores_of_two_classifiers_are_of_two_versions(folder: Path, tmp_path: Path) -> None:
    other = sentence_classifiers.create("tfidf", ngrams=1)
    other.fit(labelled())
    versions = [metrics.create("normality", classifier=str(f)).version for f in (folder, other.save(tmp_path / "o"))]
    assert len({*versions, metrics.create("normality").version}) == 3


def test_a_folder_without_a_classifier_is_refused_when_the_metric_is_made(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no sentence classifier"):
        metrics.create("normality", classifier=str(tmp_path))
