"""The n-best reports of the hierarchical decoders: every combination of sentences takes part, ranked by its own score."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from reportgen_plugins.decoders.hier_lstm import combine
from test_hier_lstm import V, features, make
from test_hier_lstm_dual import DualPaper
from test_hier_lstm_dual import make as make_dual

from reportgen_core import GenerationSettings
from reportgen_core.text.spec import BOS, EOS, PAD


def beams(seed, sentences=4, width=3):
    """Beams of (summed log-probability, length, words), best mean first, with lengths that differ."""
    draw, rows = np.random.default_rng(seed), []
    for s in range(sentences):
        lengths = draw.integers(1, 9, width)
        row = [(float(-draw.gamma(2.0) * n), int(n), [100 * s + 10 * k + 4] * int(n)) for k, n in enumerate(lengths)]
        rows.append(sorted(row, key=lambda beam: -beam[0] / beam[1]))
    return rows


def by_hand(rows):
    """Return (score, sentences) of every combination, by the mean log-probability of a word, best first."""
    reports = []
    for chosen in product(*rows):
        mean = sum(score for score, _, _ in chosen) / sum(length for _, length, _ in chosen)
        reports.append((mean, tuple(tuple(words) for _, _, words in chosen)))
    return sorted(reports, key=lambda report: -report[0])


@pytest.mark.parametrize("n_best", [1, 5, 81, 100])
@pytest.mark.parametrize("seed", range(5))
def test_reports_are_the_best_of_all_combinations_in_the_order_of_their_scores(seed, n_best):
    rows = beams(seed)
    candidates, want = combine(rows, n_best), by_hand(rows)[:n_best]
    assert [c.score for c in candidates] == pytest.approx([score for score, _ in want])
    assert [c.sentences for c in candidates] == [sentences for _, sentences in want]


def test_alternatives_differ_in_the_first_sentence_too_if_that_costs_less():
    rows = [[(-1.0, 1, [5]), (-1.1, 1, [6])], [(-1.0, 1, [7]), (-9.0, 1, [8])]]
    assert [c.sentences for c in combine(rows, 2)] == [((5,), (7,)), ((6,), (7,))]


def test_a_report_without_a_sentence_is_one_report():
    assert [(c.sentences, c.score) for c in combine([], 3)] == [((), 0.0)]


@pytest.mark.parametrize("build", [make, make_dual])
def test_fewer_reports_are_the_first_of_more_and_every_sentence_has_alternatives(build):
    decoder, f = build(), features(8, 11)
    few, many = (decoder.generate(f, GenerationSettings(beams=3, n_best=n)) for n in (4, 81))
    varied = set()
    for first, all_of_study in zip(few, many, strict=True):
        texts = [c.sentences for c in all_of_study.candidates]
        scores = [c.score for c in all_of_study.candidates]
        assert len(texts) == len(set(texts)) == 3 ** len(texts[0])
        assert scores == sorted(scores, reverse=True)
        assert [c.sentences for c in first.candidates] == texts[:4][: len(first.candidates)]
        varied |= {s for text in texts[:4] for s, words in enumerate(text) if words != texts[0][s]}
    assert len(varied) > 1, "only one sentence of a report has alternatives"


def best_sentences(paper, topic, abnormal):
    """Return every sentence of at most two words with its summed log-probability, by trying all pairs of words."""
    start = paper.words_of(topic, [], abnormal)[-1]
    rows = [(float(np.log(start[EOS])), 1, ())]
    for a in range(EOS + 1, V):
        follow = paper.words_of(topic, [a], abnormal)[-1]
        rows += [
            (float(np.log(start[a]) + np.log(follow[b])), 2, (a,) if b == EOS else (a, b))
            for b in range(V)
            if b not in (PAD, BOS)
        ]
    return sorted(rows, key=lambda row: -row[0] / row[1])


def test_the_n_best_of_the_dual_decoder_are_those_of_the_word_lstms_that_the_switch_picks():
    decoder, f, n = make_dual(), features(6, 11), 5
    torch.nn.init.zeros_(decoder.switch.bias)  # so that both kinds come
    paper, kinds = DualPaper(decoder), set()
    settings = GenerationSettings(beams=V * V, n_best=n, max_words=2, max_sentences=2)
    for b, generated in enumerate(decoder.generate(f, settings)):
        rows = []
        for topic, stop in paper.topics(f, b, 2):
            abnormal = bool(paper.switch(topic)[1] > 0.5)
            kinds.add(abnormal)
            rows.append(best_sentences(paper, topic, abnormal))
            if stop[1] > 0.5:
                break
        want = by_hand([[(score, length, words) for score, length, words in row[:40]] for row in rows])[:n]
        assert [c.score for c in generated.candidates] == pytest.approx([score for score, _ in want], rel=1e-4)
        assert [c.sentences for c in generated.candidates] == [sentences for _, sentences in want]
    assert kinds == {True, False}, "one kind of sentence alone: the switch was not tried"
