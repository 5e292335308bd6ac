"""hier-lstm against a plain numpy reading of the paper's equations 1-9, and against a generation that re-reads every prefix."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reportgen_core import Features, FeatureSpec, GenerationSettings, OptionError, Targets, TargetSpec
from reportgen_core.registries import decoders
from reportgen_core.testing.parts import check_decoder
from reportgen_core.text.spec import BOS, EOS, SPECIAL

N, D, P, K, V = 6, 10, 7, 5, 14
WORDS = (*SPECIAL, *(f"w{i}" for i in range(V - len(SPECIAL))))


def make(**options):
    torch.manual_seed(3)
    targets = TargetSpec(WORDS, tuple(f"tag{i}" for i in range(K)), max_sentences=4, max_words=6)
    sizes = {"hidden": 8, "embedding": 8, "tags_used": 3}
    decoder = decoders.create("hier-lstm", FeatureSpec(D, P, (1, 2, 3)), targets, **(sizes | options))
    for p in decoder.parameters():  # larger than PyTorch's, so that a wrong equation shows
        torch.nn.init.normal_(p, std=0.6)
    return decoder.eval()


def features(studies=3, seed=5):
    draw = torch.Generator().manual_seed(seed)
    tokens = torch.randn(studies, N, D, generator=draw)
    mask = torch.ones(studies, N, dtype=torch.bool)
    mask[0, 4:] = False
    return Features(tokens, torch.randn(studies, P, generator=draw), mask)


def targets():
    sentences = torch.zeros(3, 3, 4, dtype=torch.long)
    sentences[0, 0] = torch.tensor([5, 6, EOS, 0])
    sentences[1, 0] = torch.tensor([7, 8, 9, EOS])
    sentences[1, 1] = torch.tensor([4, EOS, 0, 0])
    sentences[2, 0] = torch.tensor([10, EOS, 0, 0])
    sentences[2, 1] = torch.tensor([5, 5, EOS, 0])
    sentences[2, 2] = torch.tensor([13, 12, 11, EOS])
    tags = torch.tensor([[1.0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0]])
    return Targets(sentences=sentences, tags=tags)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


class Paper:
    """The equations, one study at a time, in float64."""

    def __init__(self, decoder):
        self.w = {k: v.detach().double().numpy() for k, v in decoder.state_dict().items()}
        self.M = 3

    def lstm(self, prefix, x, h, c, layer=""):
        w = self.w
        z = (
            w[f"{prefix}weight_ih{layer}"] @ x
            + w[f"{prefix}bias_ih{layer}"]
            + w[f"{prefix}weight_hh{layer}"] @ h
            + w[f"{prefix}bias_hh{layer}"]
        )
        i, f, g, o = np.split(z, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    def tags(self, pooled):
        return softmax(self.w["tags.own.weight"] @ pooled + self.w["tags.own.bias"])  # eq. 1

    def attend(self, name, vectors, h):
        w = self.w
        scores = [
            w[f"{name}.score.weight"][0] @ np.tanh(w[f"{name}.key.weight"] @ v + w[f"{name}.query.weight"] @ h)
            for v in vectors
        ]
        return softmax(np.array(scores))

    def sentence(self, regions, semantic, h, c):
        w = self.w
        alpha, beta = self.attend("visual", regions, h), self.attend("semantic", semantic, h)  # eq. 2, 3
        ctx = w["context.weight"] @ np.concatenate([alpha @ regions, beta @ semantic])  # eq. 4
        h1, c1 = self.lstm("sentence.", ctx, h, c)
        topic = np.tanh(w["topic_hidden.weight"] @ h1 + w["topic_context.weight"] @ ctx)  # eq. 5
        stop = softmax(w["stop.weight"] @ np.tanh(w["stop_before.weight"] @ h + w["stop_now.weight"] @ h1))  # eq. 6
        return alpha, beta, topic, stop, h1, c1

    def words(self, topic, sentence):
        """Distributions after START and after each word: the topic first, from zeros."""
        h = c = np.zeros(8)
        h, c = self.lstm("words.lstm.", topic, h, c, "_l0")
        out = []
        for word in [BOS, *sentence]:
            h, c = self.lstm("words.lstm.", self.w["words.embedding.weight"][word], h, c, "_l0")
            out.append(softmax(self.w["words.out.weight"] @ h))  # eq. 7
        return out

    def losses(self, f, t):
        sums = {"tag": 0.0, "sent": 0.0, "word": 0.0, "attention": 0.0}
        for b in range(len(f.tokens)):
            regions = f.tokens[b][f.mask[b]].double().numpy()
            p = self.tags(f.pooled[b].double().numpy())
            semantic = self.w["tags.embedding.weight"][np.argsort(-p)[: self.M]]
            labels = t.tags[b].numpy()
            if labels.sum():
                sums["tag"] -= (labels / labels.sum() * np.log(p)).sum()
            sentences = [[w for w in row if w] for row in t.sentences[b].tolist() if row[0]]
            h = c = np.zeros(8)
            alphas, betas = [], []
            for s, sentence in enumerate(sentences):
                alpha, beta, topic, stop, h, c = self.sentence(regions, semantic, h, c)
                alphas.append(alpha)
                betas.append(beta)
                sums["sent"] -= np.log(stop[int(s + 1 == len(sentences))])
                for word, dist in zip(sentence, self.words(topic, sentence[:-1]), strict=True):
                    sums["word"] -= np.log(dist[word])
            sums["attention"] += ((1 - sum(alphas)) ** 2).sum() + ((1 - sum(betas)) ** 2).sum()  # eq. 9
        return {k: v / len(f.tokens) for k, v in sums.items()}

    def report(self, f, b, limit=4, words=6):
        """Greedy: stop after the sentence whose p(STOP) > 0.5; every word from a prefix read anew."""
        regions = f.tokens[b][f.mask[b]].double().numpy()
        p = self.tags(f.pooled[b].double().numpy())
        semantic = self.w["tags.embedding.weight"][np.argsort(-p)[: self.M]]
        h = c = np.zeros(8)
        report = []
        for _ in range(limit):
            *_, topic, stop, h, c = self.sentence(regions, semantic, h, c)
            sentence = []
            for _ in range(words):
                dist = self.words(topic, sentence)[-1]
                dist[:2] = 0
                word = int(dist.argmax())
                if word == EOS:
                    break
                sentence.append(word)
            report.append(tuple(sentence))
            if stop[1] > 0.5:
                break
        return tuple(report)


def test_losses_are_the_papers_equations_in_numpy():
    decoder = make()
    with torch.no_grad():
        out = decoder(features(), targets())
    for name, value in Paper(decoder).losses(features(), targets()).items():
        assert float(out.losses[name]) == pytest.approx(value, rel=1e-5), name


def test_greedy_reports_are_those_of_a_plain_reading_of_the_paper():
    decoder = make()
    generated = decoder.generate(features(8, 11), GenerationSettings())
    paper = Paper(decoder)
    want = [paper.report(features(8, 11), b) for b in range(8)]
    assert [g.candidates[0].sentences for g in generated] == want
    assert len({len(r) for r in want}) > 1, "all reports have as many sentences: stop was not tried"


def test_sentences_and_words_of_absent_places_change_no_loss():
    decoder, few = make(), targets()
    wide = torch.nn.functional.pad(few.sentences, (0, 3, 0, 2))
    with torch.no_grad():
        a, b = decoder(features(), few), decoder(features(), Targets(sentences=wide, tags=few.tags))
    for name in a.losses:
        torch.testing.assert_close(a.losses[name], b.losses[name])


def test_masked_regions_get_no_attention_and_rows_sum_to_one():
    generated = make().generate(features(), GenerationSettings())
    for g in generated:
        attention = g.candidates[0].attention
        assert len(attention.regions) == len(attention.tags) == len(g.candidates[0].sentences)
        torch.testing.assert_close(attention.regions.sum(1), torch.ones(len(attention.regions)))
        torch.testing.assert_close(attention.tags.sum(1), torch.ones(len(attention.tags)))
    assert generated[0].candidates[0].attention.regions[:, 4:].abs().max() == 0


@pytest.mark.parametrize("options", [
    {"attention": "visual"}, {"attention": "semantic"}, {"attention": "none"}, {"word_layers": 2}, {"topic": "every"},
    {"topic": "every", "word_layers": 2}, {"bias": True}, {"tags_used": 99},
])  # fmt: skip
def test_every_option_keeps_the_interface(options, tmp_path):
    sizes = {"hidden": 16, "embedding": 16, "tags_used": 2}
    check_decoder("hier-lstm", tmp_path, sizes | options)


@pytest.mark.parametrize("options", [{}, {"word_layers": 2}, {"topic": "every"}, {"topic": "every", "word_layers": 2}])
def test_generation_step_by_step_scores_as_teacher_forcing_does(options):
    """The folded weights of generation and the packed LSTM of training are two ways to the same log-probability."""
    decoder = make(**options)
    f = features(5, 9)
    generated = decoder.generate(f, GenerationSettings(max_words=7))
    for b, g in enumerate(generated):
        sentences = [[*s, EOS][:7] for s in g.candidates[0].sentences]  # one cut by the limit has no end mark to score
        rows = torch.tensor([[s + [0] * (7 - len(s)) for s in sentences]])
        one = Features(f.tokens[b : b + 1], f.pooled[b : b + 1], f.mask[b : b + 1])
        with torch.no_grad():
            logits = decoder.decode(one, Targets(sentences=rows)).logits
        nats = torch.nn.functional.cross_entropy(logits, rows[rows != 0])
        assert g.candidates[0].score == pytest.approx(-float(nats), rel=1e-4)


def test_beam_search_finds_the_best_sentence_of_all_there_are():
    """With a beam as wide as the vocabulary and two words, search is exhaustive: compare with trying every pair."""
    decoder = make()
    f = features(1, 2)
    generated = decoder.generate(f, GenerationSettings(beams=V, max_words=2, max_sentences=1))
    paper = Paper(decoder)
    regions = f.tokens[0].double().numpy()[f.mask[0].numpy()]
    p = paper.tags(f.pooled[0].double().numpy())
    semantic = paper.w["tags.embedding.weight"][np.argsort(-p)[:3]]
    *_, topic, _, _, _ = paper.sentence(regions, semantic, np.zeros(8), np.zeros(8))
    start = paper.words(topic, [])[-1]
    best, score = (), np.log(start[EOS])
    for a in range(3, V):
        follow = paper.words(topic, [a])[-1]
        for b in range(2, V):
            mean = (np.log(start[a]) + np.log(follow[b])) / 2
            if mean > score:
                best, score = ((a,) if b == EOS else (a, b)), mean
    assert generated[0].candidates[0].sentences == (best,)
    assert generated[0].candidates[0].score == pytest.approx(score, rel=1e-4)


def test_n_best_reports_are_distinct_and_ranked():
    for g in make().generate(features(), GenerationSettings(beams=4, n_best=4)):
        texts = [c.sentences for c in g.candidates]
        assert len(set(texts)) == len(texts) == 4


def test_overfitting_four_studies_gives_their_reports_back():
    decoder, f, t = make().train(), features(), targets()
    optimizer = torch.optim.Adam(decoder.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        sum(decoder(f, t).losses.values()).backward()
        optimizer.step()
    generated = decoder.eval().generate(f, GenerationSettings())
    want = [tuple(tuple(w for w in row if w > EOS) for row in study.tolist() if row[0]) for study in t.sentences]
    assert [g.candidates[0].sentences for g in generated] == want
    assert decoder(f, t).losses["word"].item() < 0.1


@pytest.mark.parametrize("option", [{"attention": "both"}, {"topic": "last"}, {"word_layers": 3}, {"hiden": 5}])
def test_a_wrong_option_says_what_there_is(option):
    with pytest.raises(OptionError, match=r"hier-lstm"):
        make(**option)


def test_changing_a_weight_changes_what_generation_uses():
    """The folded tables follow the weights."""
    decoder, f = make(), features()
    before = [g.candidates[0].score for g in decoder.generate(f, GenerationSettings())]
    with torch.no_grad():
        decoder.words.out.weight.mul_(0.5)
    after = [g.candidates[0].score for g in decoder.generate(f, GenerationSettings())]
    assert before != after
