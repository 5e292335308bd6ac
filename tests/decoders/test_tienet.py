"""tienet against a plain numpy reading of the paper's equations 2-7, and what follows from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from row_case import WORDS, N, greedy, lstm, nats, numbers, one, reports, sigmoid, softmax, targets, weights
from row_case import features as image_features

from reportgen_core import (
    Annotation,
    Collection,
    CompositionError,
    Features,
    FeatureSpec,
    GenerationSettings,
    OptionError,
    Study,
    Targets,
    TargetSpec,
)
from reportgen_core.models.abilities import Annotates
from reportgen_core.registries import decoders
from reportgen_core.testing.parts import check_decoder
from reportgen_core.text.spec import BOS, EOS, UNK
from reportgen_core.types import Audit

FINDINGS = ("Effusion", "Nodule", "No Finding")
SIZES = {"hidden": 8, "embedding": 6, "transition": 7, "attention_units": 9, "attention_rows": 3}
TOKENS, NOTHING = FeatureSpec(10, 7, (1, 2, 3)), FeatureSpec(1, 1, count=0)
STUDIES = (
    Study("a", labels={"Effusion": 1, "Nodule": 0, "No Finding": 0}),
    Study("b", labels={"No Finding": 1}),
    Study("c", labels={"Effusion": 1, "Nodule": 1}),
    Study("d", labels={"Effusion": -1}),
    Study("e", labels={"Effusion": 1}),
    Study("f"),  # nobody said anything: left out
)


def make(spec=TOKENS, std=0.5, **options):
    torch.manual_seed(3)
    decoder = decoders.create("tienet", spec, TargetSpec(WORDS, findings=FINDINGS, max_length=9), **(SIZES | options))
    for p in decoder.parameters():  # larger than PyTorch's, so that a wrong equation shows
        torch.nn.init.normal_(p, std=std)
    decoder.learn(Collection(STUDIES, Audit("", 6, 0)))
    return decoder.eval()


def no_image(studies=4):
    return Features(torch.zeros(studies, 0, 1), torch.zeros(studies, 1), torch.zeros(studies, 0, dtype=torch.bool))


def labelled():
    findings = torch.tensor([[1.0, 0, 0], [torch.nan, torch.nan, 1], [-1, 1, 0], [torch.nan] * 3])
    return Targets(words=targets().words, findings=findings)


class Paper:
    """The equations for one study, in float64; X is None where there is no image."""

    def __init__(self, decoder, f, b):
        self.w = weights(decoder)
        self.X = None
        if f.tokens.shape[1]:
            regions, _ = numbers(f, b)
            self.X = np.maximum(regions @ self.w["transition.weight"].T + self.w["transition.bias"], 0)

    def states(self, prefix):
        """H, A and the word distributions after START and each of the words."""
        w, H, A, words = self.w, [], [], []
        h = c = np.zeros(8)
        if self.X is not None:
            mean = self.X.mean(0)
            h = np.tanh(w["first_hidden.weight"] @ mean + w["first_hidden.bias"])
            c = np.tanh(w["first_cell.weight"] @ mean + w["first_cell.bias"])
        for i in (BOS, *prefix):
            x = w["embedding.weight"][i]
            if self.X is not None:
                key, query, score = (w[f"attention.{n}.weight"] for n in ("key", "query", "score"))
                a = softmax(np.array([score[0] @ np.tanh(key @ v + query @ h) for v in self.X]))
                x = np.concatenate([x, a @ self.X])
                A.append(a)
            h, c = lstm(w, "lstm.", x, h, c, "_l0")  # eq. 2
            H.append(h)
            if "out.weight" in w:
                words.append(softmax(w["out.weight"] @ h + w["out.bias"]))
        return np.array(H), np.array(A), words

    def classes(self, prefix):
        """f(I, S), G over the words."""
        w = self.w
        H, A, _ = self.states(prefix)
        if prefix:  # START has no share
            H, A = H[1:], A[1:]
        G = softmax(w["text.second.weight"] @ np.tanh(w["text.first.weight"] @ H.T))  # eq. 3
        joint = (G @ H).max(0)
        if self.X is not None:
            g = G.max(0)
            a_ws = np.einsum("tn,t->n", A, g)  # eq. 4
            joint = np.concatenate([joint, a_ws @ self.X])  # eq. 5
        return sigmoid(w["findings.weight"] @ joint + w["findings.bias"]), G


BETA_P, BETA_N = 2 / 5, 3 / 5  # a, c and e have a disease; b and d have none
RARE = np.array([2 / 5, 4 / 5, 4 / 5])  # Effusion 3 of 5, Nodule 1, No Finding 1


@pytest.mark.parametrize("image", [True, False])
def test_losses_are_equations_6_and_7_with_their_penalty(image):
    f, t = (image_features(), labelled()) if image else (no_image(), labelled())
    decoder = make(TOKENS if image else NOTHING)
    with torch.no_grad():
        out = decoder(f, t)
    finding = word = penalty = 0.0
    for b, (report, row) in enumerate(zip(reports(t), t.findings.numpy(), strict=True)):
        paper = Paper(decoder, f, b)
        p, G = paper.classes(report[:-1])
        penalty += ((G @ G.T - np.eye(3)) ** 2).sum() / 4
        word += sum(nats(lambda prefix, paper=paper: paper.states(prefix)[2], report)) / 4
        if np.isnan(row).all():
            continue
        for y, f_m, rare in zip(np.nan_to_num(row), p, RARE, strict=True):  # eq. 6; what is not prefix is absent
            finding += {1: -BETA_P * np.log(f_m), 0: -BETA_N * np.log(1 - f_m), -1: 0}[int(y)] * rare / 3
    assert float(out.losses["finding"]) == pytest.approx(finding, rel=1e-5)
    assert float(out.losses["word"]) == pytest.approx(word, rel=1e-5)
    assert float(out.losses["penalty"]) == pytest.approx(penalty, rel=1e-4)
    assert set(out.losses) == {"finding", "word", "penalty"}


@pytest.mark.parametrize("image", [True, False])
def test_annotations_are_equations_3_to_5(image):
    f, t = image_features() if image else no_image(), targets()
    decoder = make(TOKENS if image else NOTHING, writes=False)
    with torch.no_grad():
        annotation = decoder.annotate(f, t)
    assert isinstance(decoder, Annotates) and isinstance(annotation, Annotation)
    for b, report in enumerate(reports(t)):
        p, G = Paper(decoder, f, b).classes(report[:-1])
        np.testing.assert_allclose(annotation.findings[b], p, rtol=1e-5)
        np.testing.assert_allclose(annotation.words[b, :, : G.shape[1]], G, atol=1e-6)


def test_text_attention_sums_to_one_over_the_words_and_is_nothing_beyond():
    rows = make(writes=False).annotate(image_features(), targets()).words
    torch.testing.assert_close(rows.sum(-1), torch.ones(4, 3))
    for row, report in zip(rows, reports(targets()), strict=True):
        assert row[:, len(report) - 1 :].abs().max() == 0, "the end mark and the padding get no look"


def test_saliency_is_the_largest_weight_of_a_word_and_lies_between_one_and_r():
    from reportgen_plugins.decoders.blocks.aete import saliency

    weights = make(writes=False).annotate(image_features(), targets()).words
    g = saliency(weights)
    np.testing.assert_array_equal(g.detach(), weights.detach().numpy().max(1))
    assert bool((g.sum(1) >= 1 - 1e-6).all()) and bool((g.sum(1) <= 3 + 1e-6).all())


def test_rows_that_look_at_different_words_cost_nothing_and_equal_rows_do():
    from reportgen_plugins.decoders.blocks.aete import penalty

    apart, same = torch.eye(3)[None], torch.tensor([[[1.0, 0, 0]] * 3])
    assert penalty(apart).item() == 0
    assert penalty(same).item() == 6  # 9 ones less the identity


def test_the_doubly_term_is_xus():
    f, t = image_features(), labelled()
    decoder = make(doubly=True)
    with torch.no_grad():
        more = float(decoder(f, t).losses["word"] - make()(f, t).losses["word"])
    wanted = sum(((1 - Paper(decoder, f, b).states(r[:-1])[1].sum(0)) ** 2).sum() / 4 for b, r in enumerate(reports(t)))
    assert more == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("beams", [1, 3])
def test_a_written_report_is_classified_as_if_it_had_been_given(beams):
    decoder, f = make(), image_features(8, 11)
    for b, g in enumerate(decoder.generate(f, GenerationSettings(beams=beams))):
        paper, best = Paper(decoder, f, b), g.candidates[0]
        words = best.sentences[0]
        if beams == 1:
            assert words == greedy(lambda s, paper=paper: paper.states(s)[2])
        p, G = paper.classes(words)
        np.testing.assert_allclose(g.findings, p, rtol=1e-4)
        if words:
            np.testing.assert_allclose(best.attention.words, G, atol=1e-5)
            attention = paper.states(words[:-1])[1]
            np.testing.assert_allclose(best.attention.regions[:, f.mask[b]], attention, atol=1e-5)
        given = decoder.annotate(one(f, b), Targets(words=torch.tensor([[BOS, *words, EOS]])))
        torch.testing.assert_close(given.findings[0], g.findings)


def test_a_report_alone_is_read_as_in_any_batch():
    decoder, f, t = make(writes=False), image_features(), targets()
    together = decoder.annotate(f, t).findings
    for b, report in enumerate(reports(t)):
        alone = decoder.annotate(one(f, b), Targets(words=torch.tensor([[BOS, *report]]))).findings
        torch.testing.assert_close(alone[0], together[b])


def test_without_an_image_nothing_of_an_image_is_built_and_any_features_give_the_same():
    decoder = make(NOTHING, writes=False)
    assert not [n for n, _ in decoder.named_parameters() if n.startswith(("transition", "attention", "first"))]
    some = Features(torch.rand(4, 0, 1), torch.rand(4, 1), torch.ones(4, 0, dtype=torch.bool))
    first, second = decoder.annotate(no_image(), targets()), decoder.annotate(some, targets())
    assert torch.equal(first.findings, second.findings)


def test_the_encoder_none_gives_tienet_the_same_for_any_pixels_and_for_none():
    from reportgen_core.testing.parts import sample_batch, tiny_model

    model = tiny_model("none", "tienet").eval()
    batch = sample_batch(model)
    pixels, mask = torch.randint(0, 256, (3, 2, 5, 7), dtype=torch.uint8), torch.ones(3, 2, dtype=torch.bool)
    without = model.encoder(batch.pixels[:, :, None].float(), batch.mask)
    with_ = model.encoder(pixels[:, :, None].float(), mask)
    a, b = (model.decoder.annotate(f, batch.targets) for f in (without, with_))
    assert torch.equal(a.findings, b.findings)


@pytest.mark.parametrize("words", [[], [5], [5, 6, 7] * 200])
def test_a_report_of_no_word_of_one_and_of_very_many_has_findings(words):
    for decoder, f in ((make(writes=False), image_features(1)), (make(NOTHING, writes=False), no_image(1))):
        annotation = decoder.annotate(f, Targets(words=torch.tensor([[BOS, *words, EOS]])))
        assert bool(annotation.findings.isfinite().all())
        p, _ = Paper(decoder, f, 0).classes(words)
        np.testing.assert_allclose(annotation.findings[0], p, rtol=1e-3)


@pytest.mark.parametrize(
    ("value", "beta"), [(1.0, (0.5, 0.5)), (0.0, (0.5, 0.5))], ids=["all positive", "all negative"]
)
def test_labels_all_of_one_kind_train_all_the_same(value, beta):
    decoder = make()
    decoder = decoders.create("tienet", TOKENS, TargetSpec(WORDS, findings=FINDINGS), **SIZES)
    studies = tuple(Study(str(i), labels=dict.fromkeys(FINDINGS, value)) for i in range(4))
    decoder.learn(Collection(studies, Audit("", 4, 0)))
    assert tuple(decoder.loss.beta.tolist()) == beta
    out = decoder(image_features(), Targets(words=targets().words, findings=torch.full((4, 3), value)))
    sum(out.losses.values()).backward()
    assert all(bool(p.grad.isfinite().all()) for p in decoder.parameters())


def test_a_finding_that_nobody_stated_can_be_skipped():
    skip, t = make(unsaid="skip"), labelled()
    with torch.no_grad():
        first = float(skip(image_features(), t).losses["finding"])
        changed = t.findings.clone()
        changed[1, 0] = 0.0
        second = float(skip(image_features(), Targets(words=t.words, findings=changed)).losses["finding"])
    assert first != second, "stated as absent counts, not stated does not"


@pytest.mark.parametrize("options", [{}, {"writes": True, "doubly": True}, {"dropout": 0.0, "balanced": False}])
def test_every_option_keeps_the_interface(options, tmp_path):
    check_decoder("tienet", tmp_path / "image", SIZES | options)
    check_decoder("tienet", tmp_path / "none", SIZES | options, encoder="none")


def test_a_tienet_that_only_reads_says_so_when_asked_to_write():
    with pytest.raises(CompositionError, match=r"reads reports and writes none.*rg annotate"):
        make(writes=False).generate(image_features(), GenerationSettings())


def test_word_dropout_hides_words_in_training_alone():
    decoder, f, t = make(dropout=0.0, word_dropout=0.6), image_features(), labelled()
    plain = make(dropout=0.0)
    with torch.no_grad():
        assert float(decoder(f, t).losses["finding"]) == float(plain(f, t).losses["finding"])
        torch.manual_seed(0)
        out = decoder.train()(f, t)
        torch.manual_seed(0)
        dropped = torch.rand(t.words[:, :-1].shape) < 0.6
        hidden = torch.where(dropped & (t.words[:, :-1] > UNK), UNK, t.words[:, :-1])  # marks stay
        logits, _ = plain.classify(plain.read(plain.start(f), hidden), t.words[:, :-1])
    assert float(out.losses["finding"]) == pytest.approx(float(plain.loss(logits, t.findings)), rel=1e-5)
    assert (hidden == UNK).any()


def test_an_option_that_cannot_be_says_what_can():
    with pytest.raises(OptionError, match=r"word_dropout=1.5 is a share of words: from 0 to below 1"):
        make(word_dropout=1.5)
    with pytest.raises(OptionError, match="absent or skip, not 'ignored'"):
        make(unsaid="ignored")


def test_the_image_classifier_pools_by_log_sum_exp_over_what_is_real():
    torch.manual_seed(1)
    decoder = decoders.create("chestxray8", TOKENS, TargetSpec(WORDS, findings=FINDINGS), transition=5).eval()
    f, w = image_features(), weights(decoder)
    generated = decoder.generate(f, GenerationSettings())
    for b, g in enumerate(generated):
        regions, _ = numbers(f, b)
        X = np.maximum(regions @ w["transition.weight"].T + w["transition.bias"], 0)
        pooled = np.log(np.exp(10 * X).mean(0)) / 10  # Wang et al. 2017, eq. 1
        np.testing.assert_allclose(g.findings, sigmoid(w["findings.weight"] @ pooled + w["findings.bias"]), rtol=1e-5)
        assert g.candidates[0].sentences == ((),)
    assert len(regions) == N and isinstance(decoder, Annotates)


@pytest.mark.parametrize("transition", [0, 5])
@pytest.mark.parametrize("pooling", ["lse", "mean", "max"])
def test_the_image_classifier_keeps_the_interface(pooling, transition, tmp_path):
    check_decoder("chestxray8", tmp_path, {"transition": transition, "pooling": pooling})


def test_the_image_classifier_needs_an_image():
    with pytest.raises(CompositionError, match="looks at images"):
        decoders.create("chestxray8", NOTHING, TargetSpec(WORDS, findings=FINDINGS))
