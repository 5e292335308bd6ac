"""Batches of reports of like length."""

from __future__ import annotations

import random

from reportgen_core import compose, train
from reportgen_core.text.spec import TextSpec
from reportgen_core.training.order import by_length
from reportgen_core.training.settings import TrainSettings
from reportgen_core.types import Study


def test_every_study_comes_once_and_batches_hold_like_lengths():
    draw = random.Random(0)
    lengths = [draw.randint(1, 300) for _ in range(103)]
    order = list(range(103))
    draw.shuffle(order)
    ordered = by_length(order, lengths, 8, 13, seed=1)
    assert sorted(ordered) == list(range(103)) and ordered != by_length(order, lengths, 8, 13, seed=2)
    spans = [[lengths[i] for i in ordered[at : at + 8]] for at in range(0, 96, 8)]
    assert max(max(s) - min(s) for s in spans) < 60, "of 300"
    assert sorted(lengths[i] for i in ordered[96:])[0] >= max(max(s) for s in spans), "the rest of the only pool"
    firsts = [s[0] for s in spans]
    assert firsts != sorted(firsts)


def test_pools_are_cut_in_the_order_they_were_given():
    lengths = [9, 1, 8, 2, 7, 3]
    assert {frozenset(by_length(range(6), lengths, 2, 1, 0)[at : at + 2]) for at in (0, 2, 4)} == {
        frozenset((0, 1)), frozenset((2, 3)), frozenset((4, 5)),
    }  # fmt: skip
    assert by_length(range(6), [], 2, 0, 0) == list(range(6))


def test_training_by_like_lengths_goes_through_all_studies(tmp_path):
    studies = [Study(str(i), sections={"findings": "a word " * (i % 5 + 1)}, labels={"x": i % 2}) for i in range(11)]
    options = {"hidden": 4, "embedding": 3, "attention_units": 4, "writes": False}
    model = compose(encoder="none", decoder="tienet", decoder_options=options, text=TextSpec(min_count=1))
    seen = []
    train(model, studies, out=tmp_path, settings=TrainSettings(epochs=2, batch_size=4, bucket=2), watch=seen.append)
    assert [r["kind"] for r in seen].count("step") == 6
