"""lrcn against a plain numpy reading: [image; word] is the LSTM's input at every step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from row_case import features, greedy, lstm, make, nats, numbers, reports, softmax, targets, weights

from reportgen_core import GenerationSettings


def decoder_of(layers=1):
    return make("lrcn", hidden=8, embedding=6, layers=layers)


def paper(decoder, f, b):
    """The distributions after each word of study b."""
    w, (_, pooled) = weights(decoder), numbers(f, b)

    def words(prefix):
        layers = [(np.zeros(8), np.zeros(8)) for _ in range(decoder.words.layers)]
        out = []
        for i in (1, *prefix):
            x = np.concatenate([pooled, w["words.embedding.weight"][i]])
            for n, (h, c) in enumerate(layers):
                layers[n] = lstm(w, "words.lstm.", x, h, c, f"_l{n}")
                x = layers[n][0]
            out.append(softmax(w["words.out.weight"] @ x))
        return out

    return words


@pytest.mark.parametrize("layers", [1, 2])
def test_the_loss_is_the_papers(layers):
    decoder, f, t = decoder_of(layers), features(), targets()
    with torch.no_grad():
        out = decoder(f, t)
    want = sum(sum(nats(paper(decoder, f, b), r)) for b, r in enumerate(reports(t))) / 4
    assert float(out.losses["word"]) == pytest.approx(want, rel=1e-5)


@pytest.mark.parametrize("layers", [1, 2])
def test_greedy_reports_are_those_of_a_reading_that_starts_anew_for_each_word(layers):
    decoder, f = decoder_of(layers), features(8, 11)
    generated = decoder.generate(f, GenerationSettings())
    assert [g.candidates[0].sentences for g in generated] == [(greedy(paper(decoder, f, b)),) for b in range(8)]
