"""Annotating tables: what a tienet-r learns of planted findings, order, batches, thresholds, bad rows, memory."""

from __future__ import annotations

import json
import math
import random
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import planted
import pytest

from reportgen_core import CheckpointError, CompositionError, DataError, Study, View, compose, load
from reportgen_core.annotation.findings import WINDOW, Annotated, BadRow, ReportRow, annotate, tune
from reportgen_core.annotation.thresholds import Thresholds, choose_thresholds, load_thresholds, save_thresholds
from reportgen_core.data.batches import pad_words
from reportgen_core.testing.parts import tiny_model
from reportgen_core.text.spec import BOS, EOS
from reportgen_core.training.prepare import prepare_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return planted.trained(tmp_path_factory.mktemp("planted") / "model")


def rows(studies):
    return [ReportRow(i + 2, s) for i, s in enumerate(studies)]


def texts(*reports):
    return rows([Study(f"t{i}", sections={"findings": text}) for i, text in enumerate(reports)])


def test_a_trained_tienet_r_finds_planted_findings_and_looks_at_their_words(model):
    held = [s for s in planted.studies(40, 9) if sum(s.labels.values()) == 1][:10]
    annotations = list(annotate(model, rows(held), explain=True))
    assert [a.labels for a in annotations] == [tuple(n for n in planted.FINDINGS if s.labels[n]) for s in held]
    best = [max(a.words, key=lambda w: w[1])[0] for a in annotations]
    assert sum(word == a.labels[0].lower() for word, a in zip(best, annotations, strict=True)) >= 8


def test_permuting_the_words_that_get_no_look_leaves_the_label(model):
    annotations = list(annotate(model, rows(planted.studies(30, 9)), explain=True))
    draw = random.Random(4)
    for one in annotations:
        ignored = [i for i, (_, look) in enumerate(one.words[:-1]) if look < 0.2]
        mixed = draw.sample(ignored, len(ignored))
        words = [w for w, _ in one.words[:-1]]
        for to, of in zip(ignored, mixed, strict=True):
            words[to] = one.words[of][0]
        again = next(iter(annotate(model, texts(" ".join(words) + "."))))
        assert again.labels == one.labels


def test_an_image_beside_a_report_changes_nothing_in_tienet_r(model, tmp_path):
    without = Study("a", sections={"findings": "lungs are stable with effusion."})
    with_ = replace(without, views=(View(tmp_path / "there is no such file.png", "frontal"),))
    a, b = annotate(model, rows([without, with_]))
    assert a.findings == b.findings


def test_rows_come_back_in_their_order_and_alone_as_in_any_batch(model):
    held = rows(planted.studies(25, 5))
    many = list(annotate(model, held, batch_size=7))
    assert [a.line for a in many] == [r.line for r in held] and [a.id for a in many] == [r.study.id for r in held]
    for row, one in zip(held, many, strict=True):
        alone = next(iter(annotate(model, [row], batch_size=1)))
        assert list(alone.findings.values()) == pytest.approx(list(one.findings.values()), abs=1e-5)


def test_bad_rows_stay_in_their_places(model):
    given = [BadRow(1, "broken"), *texts("effusion."), BadRow(3, "broken too")]
    annotations = list(annotate(model, given))
    assert annotations[0] == given[0] and annotations[2] == given[2] and isinstance(annotations[1], Annotated)


def test_reports_of_no_word_and_of_five_thousand_are_annotated_and_noted(model):
    none, one, many = annotate(model, texts("", "effusion", "the lungs are well. " * 1250), explain=True)
    assert none.note == "the report has no words" and none.words == ()
    assert one.labels == ("Effusion",) and one.note == ""
    assert many.note.startswith("99 % of the report was not read: the model reads ")
    assert many.note.endswith(" 40 words and marks in all")
    for said in (none, one, many):
        assert all(0 <= p <= 1 for p in said.findings.values())


def test_ids_that_stand_twice_are_two_rows(model):
    a, b = annotate(model, [ReportRow(2, Study("x", sections={"findings": "effusion."})), ReportRow(3, Study("x"))])
    assert (a.line, b.line) == (2, 3) and a.labels != b.labels


@pytest.mark.services  # half a minute
def test_memory_does_not_grow_with_the_table(model):
    def peak(count):
        stream = (ReportRow(i, Study(str(i), sections={"findings": "lungs are stable."})) for i in range(count))
        tracemalloc.start()
        total = sum(1 for _ in annotate(model, stream, batch_size=1024))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert total == count
        return top

    assert peak(WINDOW * 3) < peak(WINDOW) * 1.5


def test_images_with_reports_are_read_and_a_missing_one_is_a_bad_row(tmp_path):
    from PIL import Image

    model = tiny_model("densenet121", "tienet").eval()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)).save(tmp_path / "a.png")
    named = [("a.png", "word1 word2"), ("gone.png", "word1"), ("a.png", "word3 word4 word5")]
    studies = [Study(n, (View(tmp_path / n, "frontal"),), {"findings": text}) for n, text in named]
    first, gone, second = annotate(model, rows(studies))
    assert isinstance(gone, BadRow) and gone.line == 3 and "gone.png" in gone.why
    assert first.id == second.id == "a.png" and first.findings != second.findings


def test_an_image_classifier_annotates_and_does_not_read(tmp_path):
    from PIL import Image

    model = tiny_model("densenet121", "chestxray8").eval()
    Image.new("L", (64, 64), 90).save(tmp_path / "a.png")
    studies = [Study("a", (View(tmp_path / "a.png"),), {"findings": text}) for text in ("word1", "word2 word3")]
    a, b = annotate(model, rows(studies), explain=True)
    assert a.findings == b.findings and a.words == ()


def test_a_decoder_that_does_not_annotate_says_which_does():
    with pytest.raises(CompositionError, match=r"hier-lstm reads no findings.*decoder tienet"):
        next(annotate(tiny_model(), texts("x")))


def test_a_model_that_was_not_trained_knows_no_findings():
    model = compose(encoder="none", decoder="tienet")
    with pytest.raises(CompositionError, match="knows no findings yet: train it first"):
        next(annotate(model, texts("x")))


def test_rows_of_words_are_padded_to_the_longest():
    assert pad_words([[BOS, 5, 6, EOS], [BOS, EOS]]).tolist() == [[BOS, 5, 6, EOS], [BOS, EOS, 0, 0]]
    assert pad_words([[], []]).tolist() == [[0], [0]]
    assert pad_words([]).shape == (0, 1)


def f1(threshold, scores, true):
    predicted = scores >= threshold
    return 2 * (predicted & true).sum() / max(predicted.sum() + true.sum(), 1)


def test_thresholds_have_the_largest_f1_that_any_threshold_has():
    draw = np.random.default_rng(2)
    scores = np.round(draw.random((60, 3)), 1)  # with ties
    labels = (draw.random((60, 3)) < scores).astype(float)
    labels[0, 0], labels[1, 1] = -1, math.nan  # uncertain is left out, unsaid is absent
    thresholds = choose_thresholds("abc", scores, labels, "here")
    for k, name in enumerate("abc"):
        keep = labels[:, k] != -1
        s, true = scores[keep, k], np.nan_to_num(labels[keep, k]) == 1
        most = max(f1(t, s, true) for t in np.linspace(0, 1, 201))
        assert f1(thresholds.of(name), s, true) == pytest.approx(most) == pytest.approx(thresholds.f1[name])
    assert thresholds.studies == 60 and thresholds.source == "here"


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_finding_of_one_kind_only_has_no_threshold_of_its_own(value):
    thresholds = choose_thresholds("a", np.array([[0.1], [0.9]]), np.full((2, 1), value))
    assert thresholds.values == {} and thresholds.of("a") == 0.5 and thresholds.positives == {"a": int(2 * value)}


def test_thresholds_lie_with_the_model_and_decide_its_labels(model, tmp_path):
    folder = model.save(tmp_path / "model")
    assert load_thresholds(folder, model.findings) is None
    thresholds = tune(model, rows(planted.studies(40, 3)), "val.csv")
    save_thresholds(folder, thresholds)
    again = load_thresholds(folder, load(folder).findings)
    assert again == thresholds and thresholds.studies == 40 and thresholds.f1["Effusion"] > 0.9
    all_, none = (Thresholds(dict.fromkeys(planted.FINDINGS, t)) for t in (0.0, 1.1))
    assert next(annotate(model, texts("lungs."), thresholds=all_)).labels == planted.FINDINGS
    assert next(annotate(model, texts("effusion."), thresholds=none)).labels == ()


def test_thresholds_go_where_the_model_is_saved_and_training_drops_them(model, tmp_path):
    first = model.save(tmp_path / "first")
    chosen = Thresholds({"Effusion": 0.25}, {"Effusion": 0.5}, dict.fromkeys(planted.FINDINGS, 3), 9, "val.csv")
    save_thresholds(first, chosen)
    second = load(first).save(tmp_path / "second")
    assert (second / "thresholds.json").read_bytes() == (first / "thresholds.json").read_bytes()
    third = prepare_model(load(second), planted.studies(8, 1)).save(tmp_path / "third")
    assert load_thresholds(third, planted.FINDINGS) is None


def test_tuning_needs_labels_that_the_model_knows(model):
    with pytest.raises(DataError, match=r"val\.csv has no row with a label of: Effusion, Nodule"):
        tune(model, [ReportRow(2, Study("a", labels={"Hernia": 1})), BadRow(3, "broken")], "val.csv")


@pytest.mark.parametrize(
    "body",
    [
        "{}", '{"format": 2, "findings": {}}', '{"format": 1, "findings": {"Hernia": {}}}', "nothing",
        '{"format": 1, "findings": {"Effusion": {"threshold": "x"}}}',
    ],
)  # fmt: skip
def test_damaged_thresholds_name_their_file(body, tmp_path):
    (tmp_path / "thresholds.json").write_text(body)
    with pytest.raises(CheckpointError, match=r"thresholds\.json"):
        load_thresholds(tmp_path, planted.FINDINGS)


def test_thresholds_are_plain_json(tmp_path):
    path = save_thresholds(tmp_path, Thresholds({"a": 0.3}, {"a": 0.8}, {"a": 4, "b": 0}, 9, "val.csv"))
    assert json.loads(Path(path).read_text()) == {
        "format": 1, "rule": "largest F1", "studies": 9, "source": "val.csv",
        "findings": {"a": {"threshold": 0.3, "f1": 0.8, "positives": 4}, "b": {"threshold": 0.5, "f1": None, "positives": 0}},
    }  # fmt: skip
