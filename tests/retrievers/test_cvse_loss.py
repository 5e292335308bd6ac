"""CVSE's training loss, eq. 4, against sums over all pairs and negatives that are written out in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from reportgen_plugins.retrievers.bank import make_bank, plain
from reportgen_plugins.retrievers.cvse import CVSE
from test_conditional import by_hand

from reportgen_core import Features, FeatureSpec, Targets, TargetSpec
from reportgen_core.registries import retrievers
from reportgen_core.sentences.parts import Group
from reportgen_core.text.spec import EOS, SPECIAL

WORDS = (*SPECIAL, "left", "right", "effusion", "nodule", "small", "heart", "large", "scar")
REPORTS = (("left effusion", "small nodule"), ("small nodule",), ("large heart", "right effusion"), (), ("scar",))
GROUPS = (  # two sentences in one group, and a group that no report of the batch has
    Group(("left effusion", "right effusion"), "left effusion"),
    Group(("small nodule",), "small nodule"),
    Group(("large heart",), "large heart"),
    Group(("small scar", "scar"), "scar"),
    Group(("left nodule",), "left nodule"),
)


def make(reader: dict[str, Any], *, stored: bool, **options: Any) -> CVSE:
    torch.manual_seed(2)
    retriever = retrievers.create(
        "cvse", FeatureSpec(5, 5, (2, 2, 2)), TargetSpec(WORDS), **{**reader, "negatives": 99, "margin": 0.5, **options}
    )
    assert isinstance(retriever, CVSE)
    if stored:
        retriever._bank = make_bank(GROUPS, retriever._encoder)
    return retriever.eval()


def batch() -> tuple[Features, Targets]:
    draw = torch.Generator().manual_seed(4)
    mask = torch.ones(len(REPORTS), 8, dtype=torch.bool)
    mask[1, 4:] = False  # a study with one view
    features = Features(torch.randn(len(REPORTS), 8, 5, generator=draw), torch.zeros(len(REPORTS), 5), mask)
    sentences = torch.zeros(len(REPORTS), 2, 3, dtype=torch.long)
    for b, report in enumerate(REPORTS):
        for s, sentence in enumerate(report):
            ids = [WORDS.index(w) for w in sentence.split()]
            sentences[b, s, : len(ids) + 1] = torch.tensor([*ids, EOS])
    return features, Targets(sentences=sentences)


def group_of(sentence: str) -> object:
    """Return the group of a sentence that is stored; without stored sentences each is a group of its own."""
    return next((n for n, group in enumerate(GROUPS) if sentence in group.sentences), sentence)


def paper(retriever: CVSE, *, stored: bool) -> tuple[float, float]:
    """Return both directions of eq. 4, with every possible negative, as means over the studies."""
    features, _ = batch()
    pairs = [(b, sentence) for b, report in enumerate(REPORTS) for sentence in report]
    key = group_of if stored else plain
    pool = [s for group in GROUPS for s in group.sentences] if stored else [s for _, s in pairs]
    groups_of = [{key(s) for s in report} for report in REPORTS]

    def d(sentence: str, b: int) -> float:
        vector = retriever._encoder.encode([sentence])[0].astype(np.float64)
        return by_hand(retriever.conditional, features, vector, b)[0]

    texts = images = 0.0
    for b, sentence in pairs:
        matched = d(sentence, b) - retriever.margin
        texts += sum(max(0.0, d(other, b) - matched) for other in pool if key(other) not in groups_of[b])
        images += sum(
            max(0.0, d(sentence, other) - matched)
            for other in range(len(REPORTS))
            if key(sentence) not in groups_of[other]
        )
    return texts / len(REPORTS), images / len(REPORTS)


@pytest.mark.parametrize("stored", [True, False], ids=["against the training sentences", "against the batch"])
def test_the_loss_sums_both_directions_over_every_negative_and_none_is_of_the_report_itself(
    reader: dict[str, Any], stored: bool
) -> None:
    retriever = make(reader, stored=stored)
    texts, images = paper(retriever, stored=stored)
    assert texts > 0.1 and images > 0.1, "one direction is zero: the test would not notice that it is missing"
    with torch.no_grad():
        loss = retriever.loss(*batch()).losses["triplet"]
    assert float(loss) == pytest.approx(texts + images, rel=1e-4)


@pytest.mark.parametrize("count", [1, 2])
def test_each_pair_and_direction_has_as_many_negatives_as_the_option_says_and_others_in_each_step(
    reader: dict[str, Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    retriever, scored = make(reader, stored=True, negatives=count).train(), []
    pairs = retriever.conditional.pairs
    monkeypatch.setattr(
        retriever.conditional, "pairs", lambda *args: scored.append([x.tolist() for x in args[2:]]) or pairs(*args)
    )
    torch.manual_seed(0)
    for _ in range(20):
        retriever.loss(*batch())
    matched = sum(map(len, REPORTS))
    assert {len(image) for image, _ in scored} == {matched * (1 + 2 * count)}, "a pair, a text and an image each"
    assert len({tuple(text) for _, text in scored}) > 10
