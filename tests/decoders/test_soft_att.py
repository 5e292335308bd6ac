"""soft-att against a plain numpy reading of Show, Attend and Tell's equations 1-7 and 14."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from row_case import features, greedy, lstm, make, nats, numbers, reports, sigmoid, softmax, targets, weights

from reportgen_core import GenerationSettings


def decoder_of():
    return make("soft-att", hidden=8, embedding=6)


def paper(decoder, f, b):
    """The distributions after each word of study b, and the attention of each."""
    w, (regions, _) = weights(decoder), numbers(f, b)

    def run(prefix):
        mean = regions.mean(0)
        h = np.tanh(w["first_hidden.weight"] @ mean + w["first_hidden.bias"])
        c = np.tanh(w["first_cell.weight"] @ mean + w["first_cell.bias"])
        out, alphas = [], []
        for i in (1, *prefix):
            e = [
                w["attention.score.weight"][0]
                @ np.tanh(w["attention.key.weight"] @ a + w["attention.query.weight"] @ h)
                for a in regions
            ]
            alpha = softmax(np.array(e))  # eq. 4-5
            z = sigmoid(w["gate.weight"][0] @ h + w["gate.bias"][0]) * (alpha @ regions)  # section 4.2.1
            word = w["embedding.weight"][i]
            h, c = lstm(w, "cell.", np.concatenate([word, z]), h, c)  # eq. 1-3
            out.append(
                softmax(w["out.weight"] @ (word + w["from_hidden.weight"] @ h + w["from_context.weight"] @ z))
            )  # eq. 7
            alphas.append(alpha)
        return out, alphas

    return run


def test_losses_are_the_papers():
    decoder, f, t = decoder_of(), features(), targets()
    with torch.no_grad():
        out = decoder(f, t)
    word = spread = 0.0
    for b, report in enumerate(reports(t)):
        run = paper(decoder, f, b)
        word += sum(nats(lambda prefix, run=run: run(prefix)[0], report)) / 4
        spread += ((1 - sum(run(report[:-1])[1])) ** 2).sum() / 4  # eq. 14, over real regions
    assert float(out.losses["word"]) == pytest.approx(word, rel=1e-5)
    assert float(out.losses["attention"]) == pytest.approx(spread, rel=1e-5)


@pytest.mark.parametrize("beams", [1, 3])
def test_reports_and_attention_are_those_of_a_reading_that_starts_anew_for_each_word(beams):
    decoder, f = decoder_of(), features(8, 11)
    for b, g in enumerate(decoder.generate(f, GenerationSettings(beams=beams))):
        run, best = paper(decoder, f, b), g.candidates[0]
        if beams == 1:
            assert best.sentences[0] == greedy(lambda prefix, run=run: run(prefix)[0])
        attention = np.stack(run(best.sentences[0][:-1])[1])
        np.testing.assert_allclose(best.attention.regions[:, f.mask[b]], attention, atol=1e-5)
