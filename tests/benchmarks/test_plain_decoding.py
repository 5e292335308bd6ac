"""The plain reading that the benchmark compares with writes the same words as the decoder."""

from __future__ import annotations

import torch

from benchmarks import tienet
from benchmarks.decoding import decoder, features, plain
from reportgen_core import GenerationSettings


def test_the_plain_reading_and_the_decoder_write_the_same_words_in_fp32():
    hier, seen = decoder(width=64, vocabulary=50), features(4)
    words = plain(hier, seen, 3, 8)
    reports = hier.generate(seen, GenerationSettings(max_sentences=3, max_words=8))
    assert [g.candidates[0].sentences for g in reports] == [tuple(map(tuple, r)) for r in words.tolist()]
    assert len({tuple(s) for r in words.tolist() for s in r}) > 3, "the same words everywhere: nothing was compared"


def test_the_plain_reading_of_tienet_and_its_search_write_the_same_words_and_find_the_same():
    made, seen = tienet.writer(width=48, vocabulary=60), features(4)
    words, findings = tienet.plain(made, seen, 12)
    reports = made.generate(seen, GenerationSettings(max_words=11, max_sentences=1))
    assert [g.candidates[0].sentences[0] for g in reports] == [tuple(r) for r in words.tolist()]
    torch.testing.assert_close(torch.stack([g.findings for g in reports]), findings)
    assert len({tuple(r) for r in words.tolist()}) > 1, "the same words everywhere: nothing was compared"
