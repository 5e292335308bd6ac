"""densenet-lstm against a plain numpy reading of the paper's gates and equations 4-7."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from row_case import N, features, greedy, lstm, make, nats, numbers, reports, softmax, targets, weights

from reportgen_core import GenerationSettings


def decoder_of():
    return make("densenet-lstm", hidden=8, embedding=6)


def paper(decoder, f, b):
    """The distributions after each word of study b, and the attention of each."""
    w, (regions, pooled) = weights(decoder), numbers(f, b)
    real = f.mask[b].numpy()

    def run(prefix):
        h = c = np.zeros(8)
        out, alphas = [], []
        for i in (1, *prefix):
            x = np.concatenate([w["embedding.weight"][i], pooled])  # E y_(t-1) and V_gav
            h, c = lstm(w, "lstm.", x, h, c, "_l0", bias=False)
            alpha = softmax((w["place.weight"] @ h)[real] + regions @ w["region.weight"][0])  # eq. 4
            context = alpha @ regions  # eq. 5
            out.append(softmax(w["from_hidden.weight"] @ h + w["from_context.weight"] @ context))  # eq. 6
            alphas.append(alpha)
        return out, alphas

    return run


def test_the_loss_is_equation_seven():
    decoder, f, t = decoder_of(), features(), targets()
    with torch.no_grad():
        out = decoder(f, t)
    means = [np.mean(nats(lambda prefix, b=b: paper(decoder, f, b)(prefix)[0], r)) for b, r in enumerate(reports(t))]
    assert float(out.losses["word"]) == pytest.approx(np.mean(means), rel=1e-5)


@pytest.mark.parametrize("beams", [1, 3])
def test_reports_and_attention_are_those_of_a_reading_that_starts_anew_for_each_word(beams):
    decoder, f = decoder_of(), features(8, 11)
    for b, g in enumerate(decoder.generate(f, GenerationSettings(beams=beams))):
        run, best = paper(decoder, f, b), g.candidates[0]
        if beams == 1:
            assert best.sentences[0] == greedy(lambda prefix, run=run: run(prefix)[0])
        np.testing.assert_allclose(
            best.attention.regions[:, f.mask[b]], np.stack(run(best.sentences[0][:-1])[1]), atol=1e-5
        )


def test_the_number_of_positions_is_part_of_the_model():
    """W_p,h gives one number to each position (eq. 4)."""
    assert decoder_of().place.weight.shape == (N, 8)
