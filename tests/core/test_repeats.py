"""Reports that say nothing twice."""

from __future__ import annotations

import pytest
import torch

from reportgen_core import Attention, Candidate, GenerationSettings
from reportgen_core.models.repeats import first_sentences, without_repeats
from reportgen_core.testing.parts import sample_batch, tiny_model
from reportgen_core.types import Generated

MARK = 4


def test_a_sentence_said_before_goes_with_its_look():
    attention = Attention("sentence", torch.eye(4), torch.eye(4)[:, :2], torch.tensor([7, 8]))
    shorter = without_repeats(Candidate(((5, 6), (7,), (5, 6), (8, 9)), -0.5, attention), MARK)
    assert shorter.sentences == ((5, 6), (7,), (8, 9))
    assert shorter.score == -0.5
    assert shorter.attention.regions.argmax(1).tolist() == [0, 1, 3]
    assert shorter.attention.tags.shape == (3, 2)
    assert shorter.attention.tag_ids.tolist() == [7, 8]


def test_within_a_row_a_sentence_goes_with_its_mark_and_the_looks_of_its_words():
    row = (5, 6, MARK, 7, MARK, 5, 6, MARK, 8)
    attention = Attention("word", torch.eye(9), words=torch.eye(9)[:2])
    shorter = without_repeats(Candidate((row,), 0.0, attention), MARK)
    assert shorter.sentences == ((5, 6, MARK, 7, MARK, 8),)
    assert shorter.attention.regions.argmax(1).tolist() == [0, 1, 2, 3, 4, 8]
    assert shorter.attention.words.shape == (2, 6)


@pytest.mark.parametrize("sentences", [
    (), ((),), ((5,), (6,)), ((5, MARK, 6, MARK),), ((5, 6), (6, 5)), ((5, MARK, 5, 6),),
])  # fmt: skip
def test_a_report_without_repeats_stays_as_it_is(sentences):
    candidate = Candidate(sentences, 0.0)
    assert without_repeats(candidate, MARK) is candidate


def test_an_unfinished_last_sentence_counts_as_said_before():
    assert without_repeats(Candidate(((5, MARK, 5),), 0.0), MARK).sentences == ((5, MARK),)


def test_without_a_mark_a_row_is_one_sentence():
    assert without_repeats(Candidate(((5, 5), (5, 5)), 0.0), None).sentences == ((5, 5),)


@pytest.mark.parametrize("distinct", [True, False])
def test_alternatives_that_became_equal_are_one(distinct, monkeypatch):
    """Three beams that differ only in how often they repeat a sentence are one report without repeats."""
    model = tiny_model()
    lungs, heart = (5, 6), (7,)
    texts = [(lungs, heart), (lungs, heart, heart), (lungs, lungs, heart), (heart, lungs), (heart, lungs, (), lungs)]
    candidates = tuple(Candidate(text, -float(i)) for i, text in enumerate(texts))
    batch = sample_batch(model)
    made = [Generated(candidates)] * len(batch.ids)
    monkeypatch.setattr(model.decoder, "generate", lambda features, settings: made)
    settings = GenerationSettings(beams=5, n_best=5, distinct=distinct)
    (report, *_) = model.write_batch(model.encode(batch), batch, settings)
    assert report.score == 0.0
    every = (report.text, *report.alternatives)
    assert len(set(every)) == len(every) == (2 if distinct else 5)


def test_a_row_of_words_is_cut_after_the_sentences_asked_for_with_its_attention():
    row = (5, 6, MARK, 7, MARK, 8, 9)
    attention = Attention("word", torch.arange(14.0).reshape(7, 2))
    shorter = first_sentences(Candidate((row,), -0.5, attention), MARK, 2)
    assert shorter.sentences == ((5, 6, MARK, 7, MARK),)
    assert torch.equal(shorter.attention.regions, torch.arange(10.0).reshape(5, 2))
    assert shorter.score == -0.5


def test_a_row_for_each_sentence_is_cut_with_the_rows_of_attention():
    attention = Attention("sentence", torch.arange(6.0).reshape(3, 2))
    shorter = first_sentences(Candidate(((5, 6), (7,), (8, 9)), 0.0, attention), None, 1)
    assert shorter.sentences == ((5, 6),)
    assert torch.equal(shorter.attention.regions, torch.tensor([[0.0, 1.0]]))


@pytest.mark.parametrize("sentences", [((5, MARK, 7),), ((5,), (7,)), ((), (5,)), ((5, MARK, 7, MARK),)])
def test_a_report_of_no_more_sentences_stays_as_it_is(sentences):
    candidate = Candidate(sentences, 0.0)
    assert first_sentences(candidate, MARK, 2) is candidate
