"""att-rk against a plain numpy reading of the equations (a)-(f) of its docstring."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from row_case import WORDS, features, greedy, lstm, make, nats, numbers, reports, softmax, targets, weights

from reportgen_core import FeatureSpec, GenerationSettings, TargetSpec
from reportgen_core.registries import decoders

M = 3


def decoder_of():
    return make("att-rk", std=0.5, hidden=8, tags_used=M)


def paper(decoder, f, b):
    """The distributions after each word of study b, with α and β of each."""
    w, (_, pooled) = weights(decoder), numbers(f, b)
    tags = w["tags.own.weight"] @ pooled + w["tags.own.bias"]
    a = w["tags.embedding.weight"][np.argsort(-tags)[:M]]
    E = w["embedding.weight"]

    def run(prefix):
        image = w["image.weight"] @ pooled + w["image.bias"]  # (a)
        h, c = lstm(w, "cell.", image, np.zeros(8), np.zeros(8))
        out, alphas, betas = [], [], []
        for i in (1, *prefix):
            alpha = softmax(np.array([E[i] @ w["before.weight"] @ x for x in a]))  # (b)
            x = w["word.weight"] @ (E[i] + w["before_scale"] * (alpha @ a))  # (c)
            h, c = lstm(w, "cell.", x, h, c)
            beta = softmax(np.array([h @ w["after.weight"] @ np.tanh(x) for x in a]))  # (d)
            out.append(softmax(E @ w["out.weight"] @ (h + w["after_scale"] * (beta @ np.tanh(a)))))  # (e)
            alphas.append(alpha)
            betas.append(beta)
        return out, np.stack(alphas), np.stack(betas)

    return run, softmax(tags)


def spread(weights, p=2.0, q=0.5):
    """(f), by the formula."""
    return (weights.sum(0) ** p).sum() ** (1 / p) + ((weights**q).sum(1) ** (1 / q)).sum()


def test_losses_are_the_papers():
    decoder, f, t = decoder_of(), features(), targets()
    with torch.no_grad():
        out = decoder(f, t)
    word = attention = tag = 0.0
    for b, report in enumerate(reports(t)):
        run, p = paper(decoder, f, b)
        word += sum(nats(lambda prefix, run=run: run(prefix)[0], report)) / 4
        _, alphas, betas = run(report[:-1])
        attention += (spread(alphas) + spread(betas)) / 4
        labels = t.tags[b].numpy()
        tag -= (labels / max(labels.sum(), 1) * np.log(p)).sum() / 4
    assert float(out.losses["word"]) == pytest.approx(word, rel=1e-5)
    assert float(out.losses["tag"]) == pytest.approx(tag, rel=1e-5)
    assert float(out.losses["attention"]) == pytest.approx(attention, rel=1e-4)  # roots of tiny weights


@pytest.mark.parametrize("beams", [1, 3])
def test_reports_and_attention_are_those_of_a_reading_that_starts_anew_for_each_word(beams):
    decoder, f = decoder_of(), features(8, 11)
    for b, g in enumerate(decoder.generate(f, GenerationSettings(beams=beams))):
        (run, p), best = paper(decoder, f, b), g.candidates[0]
        if beams == 1:
            assert best.sentences[0] == greedy(lambda prefix, run=run: run(prefix)[0])
        np.testing.assert_allclose(best.attention.tags, run(best.sentences[0][:-1])[2], atol=1e-5)
        np.testing.assert_allclose(g.tags, p, atol=1e-6)
        assert best.attention.tag_ids.tolist() == np.argsort(-p)[:M].tolist()


def test_without_any_tag_known_it_composes_and_writes():
    """Composed before data is seen there is no tag: the sums over tags are empty."""
    decoder = decoders.create("att-rk", FeatureSpec(10, 7, (1, 2, 3)), TargetSpec(WORDS), hidden=8).eval()
    generated = decoder.generate(features(), GenerationSettings(beams=2))
    assert len(generated) == 4
    assert generated[0].tags.shape == (0,)
