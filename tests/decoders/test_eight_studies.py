"""Overfitting eight studies gives their reports back word for word, whatever a hierarchical decoder attends to.

The decoders that write one row are in test_row_decoders.py.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from reportgen_core import Features, FeatureSpec, GenerationSettings, Targets, TargetSpec
from reportgen_core.registries import decoders
from reportgen_core.text.spec import EOS, SPECIAL

STUDIES, N, D, K, V = 8, 4, 12, 6, 24
WORDS = (*SPECIAL, *(f"w{i}" for i in range(V - len(SPECIAL))))
REPORTS = (
    ((5, 6, 7), (8, 9)), ((10,),), ((5, 6, 11, 12), (13,), (14, 15, 16)), ((17, 18), (8, 9)), ((5, 6, 7), (19,)),
    ((20, 21, 22, 23), (10,)), ((13,), (13,)), ((8, 9), (5, 6, 7)),
)  # fmt: skip


def studies() -> tuple[Features, Targets]:
    """Random features, and reports that share sentences; a study of one word, and one that repeats itself."""
    draw = torch.Generator().manual_seed(2)
    tokens = torch.randn(STUDIES, N, D, generator=draw)
    sentences = torch.zeros(STUDIES, 3, 5, dtype=torch.long)
    for b, report in enumerate(REPORTS):
        for s, words in enumerate(report):
            sentences[b, s, : len(words) + 1] = torch.tensor([*words, EOS])
    tags = torch.rand(STUDIES, K, generator=draw).round()
    switches = torch.tensor([[float((b + s) % 2) for s in range(3)] for b in range(STUDIES)])
    features = Features(tokens, tokens.mean(1), torch.ones(STUDIES, N, dtype=torch.bool))
    return features, Targets(sentences=sentences, tags=tags, switches=switches)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("hier-lstm", {"attention": a}) for a in ("co", "visual", "semantic", "none")),
        ("hier-lstm", {"attention": "co", "topic": "every", "word_layers": 2}),
        ("hier-lstm-dual", {"attention": "visual", "word_layers": 1}),
    ],
)
def test_eight_reports_come_back_word_for_word(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(1)
    spec = TargetSpec(WORDS, tuple(f"tag{i}" for i in range(K)), max_sentences=4, max_words=6)
    decoder = decoders.create(
        name, FeatureSpec(D, D, (1, 2, 2)), spec, **{"hidden": 32, "embedding": 32, "tags_used": 3, **options}
    )
    features, targets = studies()
    optimizer = torch.optim.Adam(decoder.train().parameters(), 0.01)
    for _ in range(300):
        optimizer.zero_grad()
        torch.stack(list(decoder(features, targets).losses.values())).sum().backward()
        optimizer.step()
    generated = decoder.eval().generate(features, GenerationSettings())
    assert tuple(g.candidates[0].sentences for g in generated) == REPORTS
