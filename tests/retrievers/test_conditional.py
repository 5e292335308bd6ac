"""Equations 2, 3 and 4 of CVSE against sums written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from reportgen_plugins.retrievers.conditional import Conditional
from reportgen_plugins.retrievers.triplets import draw, hinge, images_without, not_of_report

from reportgen_core import Features, OptionError


def sample(form: str = "tanh", views: int = 2, seed: int = 0) -> tuple[Conditional, Features, torch.Tensor]:
    torch.manual_seed(seed)
    module = Conditional(5, 7, joint=6, units=4, form=form, views=views)
    mask = torch.ones(3, views * 4, dtype=torch.bool)
    mask[1, 4:] = False  # a study with one view
    mask[2, 2] = False  # a region that is padding
    return module, Features(torch.randn(3, views * 4, 5), torch.randn(3, 5), mask), torch.randn(9, 7)


def by_hand(module: Conditional, features: Features, text: np.ndarray, b: int) -> tuple[float, np.ndarray]:
    """Eq. 2 and 3 for one study and one text, region by region."""
    p = {k: v.detach().double().numpy() for k, v in module.named_parameters()}
    v = p["text.weight"] @ text + p["text.bias"]
    v = v / np.linalg.norm(v)
    scores, weights = [], np.zeros(features.mask.shape[1])
    for view in range(module.views):
        here = [j for j in range(view * 4, view * 4 + 4) if features.mask[b, j]]
        if not here:
            continue
        logits, near = [], []
        for j in here:
            m = p["region.weight"] @ features.tokens[b, j].double().numpy() + p["region.bias"]
            m = m / np.linalg.norm(m)
            joined = np.concatenate([m, v])  # [m_j; v]
            W = np.concatenate([p["from_region.weight"], p["from_text.weight"]], 1)
            inner = W @ joined + p["from_region.bias"]
            logits.append(float(p["attention.weight"][0] @ (np.tanh(inner) if module.form == "tanh" else inner)))
            near.append(((m - v) ** 2).sum())
        a = np.exp(logits) / np.exp(logits).sum()
        scores.append(-(a * near).sum())
        weights[here] = a
    return float(np.mean(scores)), weights / len(scores)


@pytest.mark.parametrize("form", ["tanh", "linear"])
def test_scores_and_attention_are_those_of_the_equations(form: str) -> None:
    module, features, texts = sample(form)
    with torch.no_grad():
        regions, vectors = module.regions(features), module.texts(texts)
        scores = module.scores(regions, vectors)
        attention = module.attention_weights(regions, vectors.expand(3, -1, -1))
    for b in range(3):
        for a in range(9):
            score, weights = by_hand(module, features, texts[a].double().numpy(), b)
            assert scores[b, a].item() == pytest.approx(score, abs=1e-5)
            np.testing.assert_allclose(attention[b, a].numpy(), weights, atol=1e-5)
    assert float(scores.min()) >= -4 and float(scores.max()) <= 0


def test_pairs_score_as_the_whole_table_does() -> None:
    module, features, texts = sample()
    regions, vectors = module.regions(features), module.texts(texts)
    image, text = torch.tensor([0, 2, 1, 2]), torch.tensor([8, 0, 3, 3])
    paired = module.pairs(regions, vectors, image, text)
    torch.testing.assert_close(paired.detach(), module.scores(regions, vectors)[image, text])


def test_texts_of_its_own_for_each_image_score_as_shared_ones_do() -> None:
    module, features, texts = sample()
    with torch.no_grad():
        regions, vectors = module.regions(features), module.texts(texts)
        own = torch.stack([vectors[:4], vectors[3:7], vectors[5:]])
        shared = module.scores(regions, vectors)
    expected = torch.stack([shared[0, :4], shared[1, 3:7], shared[2, 5:]])
    torch.testing.assert_close(module.scores(regions, own), expected)


def test_blocks_do_not_change_a_score(monkeypatch: pytest.MonkeyPatch) -> None:
    module, features, texts = sample()
    with torch.no_grad():
        regions, vectors = module.regions(features), module.texts(texts)
        whole = module.scores(regions, vectors)
        monkeypatch.setattr("reportgen_plugins.retrievers.conditional.MAX_INNER_CPU", 64)
        monkeypatch.setattr("reportgen_plugins.retrievers.conditional.MAX_SCORES", 32)
        torch.testing.assert_close(module.scores(regions, vectors), whole)


def test_only_the_tanh_makes_attention_depend_on_the_finding() -> None:
    for form, same in (("linear", True), ("tanh", False)):
        module, features, texts = sample(form)
        with torch.no_grad():
            weights = module.attention_weights(module.regions(features), (5 * module.texts(texts)).expand(3, -1, -1))
        assert torch.allclose(weights[:, 0], weights[:, 1], atol=1e-6) is same


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(OptionError, match="no form of attention 'relu'; there are: tanh, linear"):
        Conditional(2, 2, joint=2, units=2, form="relu", views=1)


def test_no_negative_is_of_a_group_of_the_same_report() -> None:
    owner, group = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])  # report 0 has groups 0 and 1
    pool = torch.tensor([0, 0, 1, 2, 3, 3, 4])
    texts = not_of_report(owner, group, pool, groups=5, reports=3)[owner]
    for seed in range(50):
        rows, columns = draw(texts, 3, torch.Generator().manual_seed(seed))
        for p, c in zip(rows.tolist(), columns.tolist(), strict=True):
            mine = {int(g) for o, g in zip(owner, group, strict=True) if o == owner[p]}
            assert int(pool[c]) not in mine
        pairs = list(zip(rows.tolist(), columns.tolist(), strict=True))
        assert len(set(pairs)) == len(pairs), "without replacement"
        assert torch.bincount(rows).tolist() == [3, 3, 3, 3]
    images = images_without(owner, group, groups=5, reports=3)
    assert images.tolist() == [[False, True, True], [False, False, True], [False, False, True], [True, True, False]]


def test_where_too_few_qualify_all_of_them_are_drawn() -> None:
    rows, columns = draw(torch.tensor([[True, False, True], [False, False, False]]), 8)
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 0), (0, 2)]


def test_the_hinge_counts_what_comes_within_the_margin() -> None:
    matched, wrong = torch.tensor([-1.0, -1.0, -1.0]), torch.tensor([-2.0, -1.1, -0.5])
    assert hinge(matched, wrong, 0.2).item() == pytest.approx(0.1 + 0.7)
