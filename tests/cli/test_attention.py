"""Attention in times of even attention, and the sentences and words that its rows belong to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reportgen_cli.pages.attention import (
    attended_sentences,
    attended_words,
    describe_peak,
    preferred,
    region_times,
    row_names,
    tag_times,
    word_times,
)

from reportgen_core import Attention, Report


def test_an_even_row_is_one_everywhere_whatever_the_number_of_views() -> None:
    attention = Attention("sentence", torch.tensor([[0.25] * 4 + [0.0] * 4]))
    one = region_times(Report("s", "a.", ("a.",), attention=attention, views=("front.png",)), (2, 2, 2))
    assert one is not None and one.shape == (1, 1, 2, 2) and np.allclose(one, 1)
    attention = Attention(
        "sentence", torch.full((1, 8), 0.125), torch.full((1, 5), 0.2), words=torch.full((2, 3), 1 / 3)
    )
    report = Report(
        "s", "a.", ("a.",), attention=attention, views=("a", "b"), attended_tags=tuple("abcde"), words=("a", "b", "c")
    )
    for times in (region_times(report, (2, 2, 2)), tag_times(report), word_times(report)):
        assert times is not None and np.allclose(times, 1)


def test_each_row_has_the_sentence_that_the_report_gives_it() -> None:
    attention = Attention("sentence", torch.full((4, 4), 0.25))
    report = Report("s", "", ("first.", "second."), attention=attention, rows=((0, 1), (2, 4)))
    assert [(s.number, s.text, s.rows) for s in attended_sentences(report, 4)] == [
        (1, "first.", (0,)), (2, "second.", (2, 3)),
    ]  # fmt: skip
    assert row_names(report, 4) == ["first.", "", "second.", "second."]
    assert attended_words(report, 4) == []
    plain = Report("s", "", ("first.",), attention=attention)
    assert row_names(plain, 2) == ["first.", ""]


def test_a_word_keeps_its_row_where_marks_have_rows_too() -> None:
    attention = Attention("word", torch.full((4, 4), 0.25))
    report = Report(
        "s", "a-b. c", ("a-b.", "c"), attention=attention, words=("a", "-", "b", "c"), rows=((0, 3), (3, 4))
    )
    assert [(w.number, w.text, w.rows) for w in attended_words(report, 3)] == [
        (1, "a", (0,)), (2, "-", (1,)), (3, "b", (2,)),
    ]  # fmt: skip
    assert [s.rows for s in attended_sentences(report, 4)] == [(0, 1, 2), (3,)]


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ([1.0, 1.0], "no preferred place: at most 1.0 × uniform"),
        ([1.4, 0.6], "no preferred place: at most 1.4 × uniform"),
        ([1.5, 0.5], "up to 1.5 × uniform"),
    ],
)
def test_a_row_below_half_as_much_again_prefers_no_place(times: list[float], words: str) -> None:
    assert describe_peak(np.array(times)) == words


def test_preferred_names_are_those_above_even_and_none_of_an_even_row() -> None:
    assert preferred(np.array([0.4, 2.2, 1.3, 0.1]), "abcd") == "b 2.2×, c 1.3×"
    assert preferred(np.ones(4), "abcd") == "no preferred tag: at most 1.0 × uniform"
