"""hier-lstm-dual: the switch and the choice of the word LSTM in plain numpy, and shuffled sentences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from row_case import lstm, softmax
from test_hier_lstm import WORDS, K, Paper, features, targets

from reportgen_core import DataError, FeatureSpec, GenerationSettings, ShapeError, Study, Targets, TargetSpec
from reportgen_core.models.composition import compose
from reportgen_core.registries import decoders
from reportgen_core.testing.parts import check_decoder
from reportgen_core.text.spec import BOS, EOS, Vocabulary
from reportgen_core.training.prepare import check_needs

LABELS = torch.tensor([[1.0, torch.nan, torch.nan], [0.0, 1.0, torch.nan], [torch.nan, 0.0, 1.0]])


def make(**options):
    torch.manual_seed(3)
    spec = TargetSpec(WORDS, tuple(f"tag{i}" for i in range(K)), max_sentences=4, max_words=6)
    sizes = {"hidden": 8, "embedding": 8, "tags_used": 3, "attention": "co", "word_layers": 1}
    decoder = decoders.create("hier-lstm-dual", FeatureSpec(10, 7, (1, 2, 3)), spec, **(sizes | options))
    for p in decoder.parameters():
        torch.nn.init.normal_(p, std=0.6)
    return decoder.eval()


def labelled():
    t = targets()
    return Targets(sentences=t.sentences, tags=t.tags, switches=LABELS)


class DualPaper(Paper):
    """The equations of hier-lstm with the switch on the topic."""

    def switch(self, topic):
        return softmax(self.w["switch.weight"] @ topic + self.w["switch.bias"])

    def words_of(self, topic, prefix, abnormal):
        speaker = "abnormal." if abnormal else "words."
        h, c = lstm(self.w, f"{speaker}lstm.", topic, np.zeros(8), np.zeros(8), "_l0")
        out = []
        for word in [BOS, *prefix]:
            h, c = lstm(self.w, f"{speaker}lstm.", self.w[f"{speaker}embedding.weight"][word], h, c, "_l0")
            out.append(softmax(self.w[f"{speaker}out.weight"] @ h))
        return out

    def topics(self, f, b, steps):
        regions = f.tokens[b][f.mask[b]].double().numpy()
        p = self.tags(f.pooled[b].double().numpy())
        semantic = self.w["tags.embedding.weight"][np.argsort(-p)[: self.M]]
        h = c = np.zeros(8)
        for _ in range(steps):
            *_, topic, stop, h, c = self.sentence(regions, semantic, h, c)
            yield topic, stop


def test_switch_and_word_losses_are_those_of_a_plain_reading():
    decoder, f, t = make(), features(), labelled()
    with torch.no_grad():
        out = decoder(f, t)
    paper, word, switch = DualPaper(decoder), 0.0, 0.0
    for b in range(3):
        sentences = [[w for w in row if w] for row in t.sentences[b].tolist() if row[0]]
        for (topic, _), sentence, label in zip(
            paper.topics(f, b, len(sentences)), sentences, LABELS[b].tolist(), strict=False
        ):
            p = paper.switch(topic)
            abnormal = p[1] > p[0] if np.isnan(label) else label == 1
            if not np.isnan(label):
                switch -= np.log(p[int(label)]) / 3
            dists = paper.words_of(topic, sentence[:-1], abnormal)
            word -= sum(np.log(dist[w]) for w, dist in zip(sentence, dists, strict=True)) / 3
    assert float(out.losses["word"]) == pytest.approx(word, rel=1e-5)
    assert float(out.losses["switch"]) == pytest.approx(switch, rel=1e-5)
    plain = Paper(decoder).losses(f, t)
    for name in ("tag", "sent", "attention"):
        assert float(out.losses[name]) == pytest.approx(plain[name], rel=1e-5), name


def test_logits_stand_in_the_order_of_the_targets():
    decoder, f, t = make(), features(), labelled()
    with torch.no_grad():
        out = decoder(f, t)
    nats = torch.nn.functional.cross_entropy(out.logits, t.sentences[t.sentences != 0], reduction="sum") / 3
    torch.testing.assert_close(nats, out.losses["word"])


def test_each_sentence_is_written_by_the_lstm_that_the_switch_picks():
    decoder, f = make(), features(8, 11)
    torch.nn.init.zeros_(decoder.switch.bias)  # so that both kinds come
    paper, picked = DualPaper(decoder), []
    for b, generated in enumerate(decoder.generate(f, GenerationSettings())):
        want = []
        for topic, stop in paper.topics(f, b, 4):
            abnormal = bool(paper.switch(topic)[1] > 0.5)
            picked.append(abnormal)
            sentence = []
            while len(sentence) < 6:
                dist = paper.words_of(topic, sentence, abnormal)[-1]
                dist[:2] = 0
                if (word := int(dist.argmax())) == EOS:
                    break
                sentence.append(word)
            want.append(tuple(sentence))
            if stop[1] > 0.5:
                break
        assert generated.candidates[0].sentences == tuple(want)
    assert len(set(picked)) == 2, "one kind of sentence alone: the switch was not tried"


@pytest.mark.parametrize("options", [{}, {"attention": "none"}, {"topic": "every", "word_layers": 1}])
def test_every_option_keeps_the_interface(options, tmp_path):
    check_decoder("hier-lstm-dual", tmp_path, {"hidden": 16, "embedding": 16, "tags_used": 2} | options)


def test_overfitting_gives_the_reports_back_and_the_kind_of_each_sentence():
    decoder, f, t = make(attention="visual").train(), features(), labelled()
    optimizer = torch.optim.Adam(decoder.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        sum(decoder(f, t).losses.values()).backward()
        optimizer.step()
    generated = decoder.eval().generate(f, GenerationSettings())
    want = [tuple(tuple(w for w in row if w > EOS) for row in study.tolist() if row[0]) for study in t.sentences]
    assert [g.candidates[0].sentences for g in generated] == want
    assert decoder(f, t).losses["switch"].item() < 0.1


def test_where_no_sentence_is_labelled_the_switch_picks_and_all_trains():
    decoder, t = make().train(), targets()
    out = decoder(features(), Targets(sentences=t.sentences, tags=t.tags, switches=torch.full((3, 3), torch.nan)))
    assert out.losses["switch"].item() == 0
    sum(out.losses.values()).backward()


def test_data_without_sentence_labels_says_how_to_make_them():
    model = compose(
        encoder="densenet121", encoder_options={"size": 32, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}},
        decoder="hier-lstm-dual", decoder_options={"hidden": 8, "embedding": 8}, vocabulary=Vocabulary(["clear"]),
    )  # fmt: skip
    study = Study("a", sections={"findings": "clear."}, tags=("normal",))
    with pytest.raises(
        DataError, match=r"hier-lstm-dual needs switches.*sentence labels, normal or abnormal \(rg data"
    ):
        check_needs(model, [study])
    with pytest.raises(ShapeError, match="cannot train without switches"):
        make()(features(), targets())


@pytest.mark.parametrize("name", ["hier-lstm", "hier-lstm-dual"])
def test_shuffled_sentences_are_the_same_sentences_by_seed(name):
    spec = TargetSpec(WORDS, max_sentences=4, max_words=6)
    sizes = {"hidden": 8, "embedding": 8, "attention": "visual"}
    torch.manual_seed(0)
    decoder = decoders.create(name, FeatureSpec(10, 7, (1, 2, 3)), spec, **sizes, shuffle=True)
    plain = decoders.create(name, FeatureSpec(10, 7, (1, 2, 3)), spec, **sizes)
    plain.load_state_dict(decoder.state_dict())
    f, t = features(), labelled()

    def word(model, seed):
        torch.manual_seed(seed)
        return model(f, t).losses["word"].item()

    trained = [word(decoder.train(), seed) for seed in (1, 1, 2, 3)]
    assert trained[0] == trained[1]
    assert len(set(trained)) > 1
    assert word(decoder.eval(), 1) == word(plain.train(), 1) == word(plain.eval(), 2), "validation keeps the order"


def test_shuffling_moves_sentences_with_their_labels_and_leaves_absent_ones_last():
    from reportgen_plugins.decoders.blocks.order import shuffled

    torch.manual_seed(4)
    sentences = torch.zeros(40, 5, 2, dtype=torch.long)
    sentences[:, :4, 0] = torch.arange(4, 8)
    moved = shuffled(Targets(sentences=sentences, switches=torch.arange(5.0).expand(40, 5)))
    assert (moved.sentences[:, 4] == 0).all()
    assert (moved.sentences[:, :4, 0] - 4 == moved.switches[:, :4]).all()
    assert len({tuple(row) for row in moved.switches.tolist()}) > 10
