"""lstm against a plain numpy reading of Show and Tell's equations 10-13."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from row_case import best_of_all, features, greedy, lstm, make, nats, numbers, reports, targets, weights

from reportgen_core import GenerationSettings


def decoder_of(layers=1):
    return make("lstm", hidden=8, embedding=6, layers=layers)


def paper(decoder, f, b):
    """The distributions after the image and each word of study b: x_(-1) = CNN(I), x_t = W_e S_t."""
    w, (_, pooled) = weights(decoder), numbers(f, b)

    def words(prefix):
        layers = [(np.zeros(8), np.zeros(8)) for _ in range(decoder.words.layers)]
        out = []
        image = w["image.weight"] @ pooled + w["image.bias"]
        for x in [image, *(w["words.embedding.weight"][i] for i in (1, *prefix))]:
            for n, (h, c) in enumerate(layers):
                layers[n] = lstm(w, "words.lstm.", x, h, c, f"_l{n}")
                x = layers[n][0]
            out.append(_softmax(w["words.out.weight"] @ x))
        return out[1:]  # what follows the image predicts nothing

    return words


def _softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


@pytest.mark.parametrize("layers", [1, 2])
def test_the_loss_is_the_papers(layers):
    decoder, f, t = decoder_of(layers), features(), targets()
    with torch.no_grad():
        out = decoder(f, t)
    want = sum(sum(nats(paper(decoder, f, b), r)) for b, r in enumerate(reports(t))) / 4
    assert float(out.losses["word"]) == pytest.approx(want, rel=1e-5)
    assert float(out.log["nats_per_word"]) == pytest.approx(want * 4 / sum(map(len, reports(t))), rel=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_greedy_reports_are_those_of_a_reading_that_starts_anew_for_each_word(layers):
    decoder, f = decoder_of(layers), features(8, 11)
    generated = decoder.generate(f, GenerationSettings())
    assert [g.candidates[0].sentences for g in generated] == [(greedy(paper(decoder, f, b)),) for b in range(8)]


def test_a_beam_as_wide_as_the_vocabulary_finds_the_best_report_of_two_words():
    decoder, f = decoder_of(), features(2, 4)
    decoder.targets = type(decoder.targets)(decoder.targets.words, max_length=2)
    for b, g in enumerate(decoder.generate(f, GenerationSettings(beams=14))):
        best, score = best_of_all(paper(decoder, f, b))
        assert g.candidates[0].sentences == (best,)
        assert g.candidates[0].score == pytest.approx(score, rel=1e-4)
