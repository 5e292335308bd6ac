"""Classifiers of sentences: each learns, is saved without pickle, and says the same when it is loaded."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from plain_language import labelled

from reportgen_core import CheckpointError, DataError, OptionError
from reportgen_core.registries import sentence_classifiers
from reportgen_core.sentences.classifiers import f1, hold_out, load_classifier, measure, saved_digest
from reportgen_core.sentences.parts import LabelledSentence

TINY = {"epochs": 12, "lr": 3e-3, "batch": 4, "frozen": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def learned(tiny_bert: Path):
    classifier = sentence_classifiers.create("bert", model=str(tiny_bert), held_out=0, **TINY)
    classifier.fit(labelled())
    return classifier


def test_a_tiny_transformer_learns_which_wording_is_abnormal(learned) -> None:
    texts = ["no nodule .", "there is nodule .", "mass has worsened .", "scar is absent ."]
    assert learned.abnormal(texts) == [False, True, True, False]


def test_the_epoch_that_is_best_on_held_out_studies_is_taken(tiny_bert: Path) -> None:
    classifier = sentence_classifiers.create("bert", model=str(tiny_bert), held_out=0.2, **TINY | {"epochs": 3})
    chosen = classifier.fit(labelled(80))
    scores = chosen["F1 of held-out studies by epoch"]
    assert len(scores) == 3 and scores[chosen["epochs"] - 1] == max(scores)


@pytest.mark.parametrize("name", ["bert", "tfidf", "words"])
def test_a_saved_classifier_says_the_same_and_holds_no_pickle(
    name: str, tiny_bert: Path, learned, tmp_path: Path
) -> None:
    classifier = learned if name == "bert" else sentence_classifiers.create(name)
    if name == "tfidf":
        classifier.fit(labelled())
    texts = [s.text for s in labelled(40)]
    folder = classifier.save(tmp_path / "c", about={"table": "t"})
    assert {p.suffix for p in folder.iterdir()} <= {".json", ".safetensors", ".txt"}
    again = load_classifier(folder)
    assert type(again) is type(classifier)
    np.testing.assert_allclose(again.probabilities(texts), classifier.probabilities(texts), atol=1e-6)
    assert json.loads((folder / "classifier.json").read_text())["about"] == {"table": "t"}


@pytest.fixture
def voting(tiny_bert: Path):
    options = {"bert": {"model": str(tiny_bert), "held_out": 0, **TINY | {"epochs": 2}}}
    classifier = sentence_classifiers.create("vote", options=options)
    classifier.fit(labelled())
    return classifier


def test_a_vote_is_the_mean_of_what_its_members_say_also_when_it_is_loaded(voting, tmp_path: Path) -> None:
    texts = [s.text for s in labelled(40)]
    bert, tfidf = (voting.members[name].probabilities(texts) for name in ("bert", "tfidf"))
    assert np.abs(bert - tfidf).max() > 0.05
    np.testing.assert_allclose(voting.probabilities(texts), (bert + tfidf) / 2, atol=1e-6)
    folder = voting.save(tmp_path / "vote")
    assert {p.suffix for p in folder.rglob("*") if p.is_file()} <= {".json", ".safetensors", ".txt"}
    np.testing.assert_allclose(load_classifier(folder).probabilities(texts), (bert + tfidf) / 2, atol=1e-6)


def test_the_digest_of_a_vote_changes_with_a_member(voting, tmp_path: Path) -> None:
    folder = voting.save(tmp_path / "vote")
    before = saved_digest(folder)
    voting.members["tfidf"].fit(labelled(30))
    voting.members["tfidf"].save(folder / "tfidf")
    assert saved_digest(folder) != before


@pytest.mark.parametrize("of", ["bert", "bert,bert", "vote,tfidf", ""])
def test_a_vote_is_of_two_or_more_others(of: str) -> None:
    with pytest.raises(OptionError, match="two classifiers or more"):
        sentence_classifiers.create("vote", of=of)


@pytest.mark.parametrize("of", [["../x", "tfidf"], "bert,tfidf", [1, 2], None])
def test_a_saved_vote_is_not_trusted_with_names(of: object, tmp_path: Path) -> None:
    config = {"format": 1, "classifier": "vote", "settings": {"of": of}, "about": {}}
    (tmp_path / "classifier.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="names no classifiers that vote"):
        load_classifier(tmp_path)


def test_a_sentence_is_judged_alike_alone_and_among_others(learned) -> None:
    classifier, texts = learned, [s.text for s in labelled(30)]
    together = classifier.probabilities(texts)
    np.testing.assert_allclose([classifier.probabilities([t])[0] for t in texts], together, atol=1e-5)


def test_case_spaces_and_the_closing_stop_do_not_matter(learned) -> None:
    a, b = learned.probabilities(["There is  NODULE", "there is nodule ."])
    assert a == b


@pytest.mark.slow
def test_the_same_seed_learns_the_same_weights_and_the_callers_random_state_stays(tiny_bert: Path) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(7), random.seed(7)
        before = torch.get_rng_state()
        classifier = sentence_classifiers.create("bert", model=str(tiny_bert), **TINY | {"epochs": 1, "held_out": 0})
        classifier.fit(labelled(40))
        assert torch.equal(before, torch.get_rng_state())
        states.append(classifier.probabilities(["there is nodule ."])[0])
    assert states[0] == states[1]


def test_a_sentence_is_learned_once_with_the_root_of_its_count_and_its_share() -> None:
    from reportgen_plugins.sentences.bert import count_sentences

    labels = [("A.", True), ("a", False), ("a", True), (" a .", True), ("b", False)]
    texts, shares, weights = count_sentences([LabelledSentence(t, a, "s") for t, a in labels])
    assert texts == ["a", "b"] and shares.tolist() == [0.75, 0]
    assert weights[0] == 2 * weights[1] and weights.mean() == pytest.approx(1)


def test_frozen_layers_and_embeddings_stay_as_they_were(tiny_bert: Path) -> None:
    from safetensors.torch import load_file

    classifier = sentence_classifiers.create(
        "bert", model=str(tiny_bert), **TINY | {"epochs": 1, "frozen": 1, "held_out": 0}
    )
    classifier.fit(labelled(40))
    ours, theirs = classifier._model.state_dict(), load_file(tiny_bert / "model.safetensors")
    moved = {k for k, v in theirs.items() if not torch.equal(ours[f"bert.{k}"], v)}
    assert moved and not any(k.startswith(("embeddings", "encoder.layer.0")) for k in moved)


def test_tfidf_agrees_with_scikit_learns_own_pipeline() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts, labels = [s.text for s in labelled()], [s.abnormal for s in labelled()]
    theirs = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000)).fit(texts, labels)
    ours = sentence_classifiers.create("tfidf")
    ours.fit(labelled())
    np.testing.assert_allclose(ours.probabilities(texts), theirs.predict_proba(texts)[:, 1], atol=1e-6)


def test_the_rule_of_words_reads_whole_words() -> None:
    rule = sentence_classifiers.create("words")
    texts = [
        "No nodule.",
        "Heart is NORMAL",
        "abnormal heart",
        "a nodule",
        "unstable",
        "stable scar",
        "unclear",
        "clear",
    ]
    assert rule.abnormal(texts) == [False, False, True, True, True, False, True, False]


@pytest.mark.parametrize("name", ["bert", "tfidf"])
def test_one_class_alone_teaches_nothing(name: str) -> None:
    with pytest.raises(DataError, match="all of one class"):
        sentence_classifiers.create(name).fit([LabelledSentence("a b", True, "s")] * 3)


def test_a_score_is_that_of_hand_counting_and_its_interval_holds_it() -> None:
    class Says:
        def abnormal(self, sentences):
            return [s.startswith("x") for s in sentences]

    dev = [
        LabelledSentence(t, a, f"s{i % 5}")
        for i, (t, a) in enumerate([("x", True)] * 6 + [("x", False), ("y", True), ("y", False), ("y", False)])
    ]
    score = measure("says", Says(), dev)
    assert (score.precision, score.recall, score.errors) == (6 / 7, 6 / 7, 2)
    assert score.f1 == pytest.approx(6 / 7) and score.interval[0] <= score.f1 <= score.interval[1]
    assert f1([False], [False]) == 0


def test_held_out_studies_share_no_study_with_the_rest() -> None:
    learn, judge = hold_out(labelled(), 0.1, 3)
    assert len({s.study for s in judge}) == 6
    assert not {s.study for s in learn} & {s.study for s in judge}
    assert hold_out(labelled(), 0.1, 3)[1] == judge != hold_out(labelled(), 0.1, 4)[1]
    with pytest.raises(DataError, match="at least 2"):
        hold_out(labelled(4), 0.1, 0)


def test_a_folder_that_is_no_classifier_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="rg data abnormal TABLE --train"):
        load_classifier(tmp_path)
    (tmp_path / "classifier.json").write_text('{"format": 2, "classifier": "bert", "settings": {}}')
    with pytest.raises(CheckpointError, match="format 2; this reportgen reads 1"):
        load_classifier(tmp_path)


def test_damaged_weights_are_refused_in_one_line(learned, tmp_path: Path) -> None:
    folder = learned.save(tmp_path / "c")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises((OptionError, CheckpointError), match="cannot be read as a model") as caught:
        load_classifier(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_trained_layer_is_not_filled_at_random(learned, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = learned.save(tmp_path / "c") / "model.safetensors"
    save_file({k: v for k, v in load_file(weights).items() if k != "classifier.weight"}, weights, {"format": "pt"})
    with pytest.raises(
        CheckpointError, match=r"is no trained classifier: model\.safetensors has no classifier\.weight"
    ):
        load_classifier(tmp_path / "c")


def test_a_pickle_is_not_read_where_safetensors_are_missing(tiny_bert: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_bert, tmp_path / "b")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    classifier = sentence_classifiers.create("bert", model=str(folder))
    with pytest.raises(OptionError, match=r"has no model\.safetensors"):
        classifier.fit(labelled(40))


def test_a_model_that_is_nowhere_is_named() -> None:
    with pytest.raises(OptionError, match="'no/such-bert' is no folder and not in the hub's cache"):
        sentence_classifiers.create("bert", model="no/such-bert").fit(labelled(40))
    with pytest.raises(OptionError, match="has learned nothing"):
        sentence_classifiers.create("bert").probabilities(["x"])
