"""Self-critical training: the gradient against one study at a time, what it teaches, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_training import model, studies

from reportgen_core import DataError, OptionError, ReportgenError, TrainSettings, compose, train
from reportgen_core.data.batches import StudyReader, batches
from reportgen_core.metric import Metric
from reportgen_core.models.reports import ReportBuilder
from reportgen_core.registries import decoders, metrics
from reportgen_core.text.spec import BOS, EOS, TextSpec, report_words
from reportgen_core.training.prepare import prepare_model
from reportgen_core.training.steps.reward import make_reward
from reportgen_core.training.steps.self_critical import log_probabilities, self_critical
from reportgen_core.types import Generated, GenerationSettings, Score, Targets

TINY = {"size": 32, "depth": -2, "model_args": {"channels": [4, 4, 8, 8]}}
ROWS = ("soft-att", "lstm", "lrcn", "att-rk", "tienet", "densenet-lstm", "gpt2")


def row_model(name="soft-att", **options):
    sizes = {"hidden": 12, "embedding": 12} if name != "gpt2" else {"config": {"n_layer": 1, "n_head": 2, "n_embd": 8}}
    known = {k: v for k, v in {**sizes, **options}.items() if k in decoders.options(name)}
    return compose(
        encoder="timm/resnet18", encoder_options=TINY, decoder=name, decoder_options=known,
        text=TextSpec(max_sentences=4, max_words=8), seed=0,
    )  # fmt: skip


def first_batch(given, data):
    reader = StudyReader(given.encoder.image, given.text, given.targets)
    return next(batches(data, reader, [list(range(len(data)))]))


@pytest.mark.parametrize("name", [*ROWS, "hier-lstm"])
def test_the_gradient_is_that_of_the_sum_over_studies_one_at_a_time(name, tmp_path):
    """Eq. 8 by hand: each drawn report alone through the decoder, its own word loss as -log p, its own rewards."""
    data = [replace(s, labels={"Effusion": 1.0, "Nodule": 0.0}) for s in studies(tmp_path, 3)]
    given = prepare_model(row_model(name) if name != "hier-lstm" else model(), data).eval()
    batch = first_batch(given, data)
    reward = make_reward(given, {"rouge-l": 1.0}, data)
    taught = self_critical(given, reward, batch, None, given, seed=5)
    parameters = [p for p in given.head.parameters() if p.requires_grad]
    got = torch.autograd.grad(taught.loss, parameters, allow_unused=True)

    builder = ReportBuilder(given.text, given.vocabulary, given.targets)
    with torch.no_grad():
        features = given.encode(batch)
        drawn = given.decoder.generate(features, GenerationSettings(sample=True, seed=5))
        greedy = given.decoder.generate(features, GenerationSettings())
    metric, total = metrics.create("rouge-l"), 0.0
    for b, study in enumerate(data):
        texts = [builder.from_words("", Generated(g[b].candidates[:1])).text for g in (drawn, greedy)]
        wanted, *made = (" ".join(report_words(t, given.text)) for t in (study.sections["findings"], *texts))
        scores = metric.compute(made, [[wanted]] * 2).each
        rows = drawn[b].candidates[0].sentences
        if name == "hier-lstm":
            width = max(map(len, rows)) + 1
            padded = [[*row, *[EOS] * (len(row) < given.targets.max_words)] for row in rows]
            targets = Targets(sentences=torch.tensor([[r + [0] * (width - len(r)) for r in padded]]))
        else:
            flat = [i for row in rows for i in row]
            targets = Targets(words=torch.tensor([[BOS, *flat, *[EOS] * (len(flat) < given.targets.max_length)]]))
        if batch.targets.tags is not None:
            targets = replace(targets, tags=batch.targets.tags[b : b + 1])
        targets = replace(targets, findings=batch.targets.findings[b : b + 1])
        alone = replace(
            batch, ids=batch.ids[b : b + 1], pixels=batch.pixels[b : b + 1], mask=batch.mask[b : b + 1], targets=targets
        )
        total = total + (scores[0] - scores[1]) * nats(given(alone), name)
    want = torch.autograd.grad(total / 3, parameters, allow_unused=True)
    assert any(w is not None and w.abs().max() > 1e-6 for w in want)
    for a, b in zip(got, want, strict=True):
        if b is not None:
            torch.testing.assert_close(a, b, rtol=2e-3, atol=2e-5)


def test_reports_are_written_without_dropout_and_taught_in_the_modes_of_training(tmp_path, monkeypatch):
    data = studies(tmp_path, 3)
    given = prepare_model(row_model(), data).train()
    given.encoder.eval()  # as a fixed encoder is
    before = {part: part.training for part in given.modules()}
    written, taught, write = [], [], given.decoder.generate

    def writes(*arguments):
        written.append({part.training for part in given.modules()})
        return write(*arguments)

    def forward(batch):
        taught.append({part: part.training for part in given.modules()})
        return given(batch)

    monkeypatch.setattr(given.decoder, "generate", writes)
    self_critical(given, make_reward(given, {"rouge-l": 1.0}, data), first_batch(given, data), None, forward, seed=5)
    assert written == [{False}, {False}]
    assert taught == [before]
    assert set(before.values()) == {True, False}


def nats(out, name):
    """-log p of the only report, from the decoder's own word loss: a sum, or a mean over words for densenet-lstm."""
    return out.losses["word"] * (len(out.logits) if name == "densenet-lstm" else 1)


class Hearts(Metric):
    """The share of the words that are "heart": a reward that is easy to raise."""

    version = "1"

    def compute(self, reports, references):
        words = [report.lower().replace(".", " ").split() for report in reports]
        each = [row.count("heart") / max(len(row), 1) for row in words]
        return Score("hearts", sum(each) / len(each), each)


class WholeSet(Metric):
    version = "1"

    def compute(self, reports, references):
        return Score("whole", 1.0)


class NoHearts(Hearts):
    higher_is_better = False


@pytest.fixture
def own_metrics(monkeypatch):
    made = {"hearts": Hearts, "whole": WholeSet, "no-hearts": NoHearts}
    create = type(metrics).create

    def own(self, name, *args, **options):
        return made[name]() if name in made else create(self, name, *args, **options)

    monkeypatch.setattr(type(metrics), "create", own)


def test_a_reward_moves_the_reports_towards_it(own_metrics, tmp_path):
    data = studies(tmp_path / "data", 8)
    given = prepare_model(row_model(), data)
    reward, batch = make_reward(given, {"hearts": 1.0}, data), first_batch(given, data)
    optimizer = torch.optim.Adam(given.head.parameters(), 0.03)
    drawn = []
    for seed in range(60):
        taught = self_critical(given.eval(), reward, batch, None, given, seed)
        optimizer.zero_grad()
        taught.loss.backward()
        optimizer.step()
        drawn.append(taught.drawn)
    assert np.mean(drawn[:10]) < 0.2 < 0.7 < np.mean(drawn[-10:])


def test_a_metric_where_lower_is_better_is_a_reward_turned_round(own_metrics, tmp_path):
    data = studies(tmp_path / "data", 2)
    given = prepare_model(row_model(), data)
    up, down = (make_reward(given, {name: 2.0}, data) for name in ("hearts", "no-hearts"))
    texts = ["Heart heart.", "Clear heart of old.", ""]
    assert up.of(["train0"] * 3, texts) == [2.0, 0.5, 0.0] == [-value for value in down.of(["train0"] * 3, texts)]


def test_a_run_with_a_reward_resumes_to_the_same_weights(tmp_path):
    data = studies(tmp_path / "data", 4)
    whole = TrainSettings(epochs=2, batch_size=2, lr=0.01, reward={"rouge-l": 1.0})
    want = train(row_model(), data, out=tmp_path / "a", settings=whole)
    train(row_model(), data, out=tmp_path / "b", settings=replace(whole, epochs=1))
    got = train(row_model(), data, out=tmp_path / "b", settings=whole, resume=True)
    for key, value in want.state_dict().items():
        assert torch.equal(value, got.state_dict()[key]), key


def test_cider_as_a_reward_does_not_depend_on_which_studies_are_in_the_batch(tmp_path):
    data = studies(tmp_path, 8)
    given = prepare_model(row_model(), data)
    reward = make_reward(given, {"cider": 1.0, "rouge-l": 0.5}, data)
    ids, texts = [s.id for s in data], ["The heart is large. No effusion."] * 8
    together = reward.of(ids, texts)
    alone = [reward.of([id], [text])[0] for id, text in zip(ids, texts, strict=True)]
    assert together[0] > 1 > together[1]
    np.testing.assert_allclose(together, alone, rtol=0.6)
    assert reward.of(ids[:1], [""]) == [0.0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reward": {"cidre": 1.0}}, "no metric named 'cidre'; did you mean 'cider'"),
        ({"reward": {"whole": 1.0}}, "gives no score for each report"),
        ({"reward": {"cider": 0}}, "a weight above 0 for cider, got 0"),
        ({"reward": {"cider": 1.0}, "steps": [["word"]]}, "either reward or steps"),
    ],
)
def test_a_reward_that_cannot_be_is_one_line(options, words, own_metrics, tmp_path):
    with pytest.raises(ReportgenError, match=words) as caught:
        train(row_model(), studies(tmp_path / "d", 2), out=tmp_path / "r", settings=TrainSettings(epochs=1, **options))
    assert "\n" not in str(caught.value)


def test_a_reward_without_references_or_without_drawing_is_one_line(tmp_path):
    data = studies(tmp_path / "data", 3)
    settings = TrainSettings(epochs=1, reward={"rouge-l": 1.0})
    bare = [*data[:2], replace(data[2], sections={"findings": ""})]
    with pytest.raises(DataError, match="1 of 3 training studies have no findings: train2"):
        train(row_model(), bare, out=tmp_path / "a", settings=settings)
    labelled = [replace(s, labels={"Effusion": 1.0}) for s in data]
    silent = compose(encoder="timm/resnet18", encoder_options=TINY, decoder="chestxray8")
    with pytest.raises(OptionError, match="reward needs a decoder that draws reports, and chestxray8 does not"):
        train(silent, labelled, out=tmp_path / "b", settings=settings)


def test_a_decoder_that_changes_the_order_of_its_sentences_is_refused(tmp_path):
    data = studies(tmp_path / "data", 6)
    given = prepare_model(model(shuffle=True), data).train()
    batch = first_batch(given, data)
    with torch.no_grad():
        given.head.words.out.weight.mul_(50)  # a decoder that has learned is sure of its words
    torch.manual_seed(0)
    mixed = [given(batch) for _ in range(5)]
    with pytest.raises(OptionError, match="hier-lstm with shuffle"):
        [log_probabilities(out, batch.targets, "sentences") for out in mixed]
    log_probabilities(given.eval()(batch), batch.targets, "sentences")
