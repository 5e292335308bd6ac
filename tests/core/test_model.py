"""A model writes the same report for a study alone, in any batch, and after a round trip; a bad image spoils no other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from reportgen_core import (
    Attention,
    Candidate,
    CompositionError,
    Decoder,
    Generated,
    GenerationSettings,
    Model,
    Study,
    View,
    compose,
    load,
    save,
)
from reportgen_core.models.composition import check_composition
from reportgen_core.models.model import target_spec
from reportgen_core.models.precision import to_channels_last
from reportgen_core.models.reports import ReportBuilder
from reportgen_core.testing.parts import tiny_model
from reportgen_core.text.spec import TextSpec, Vocabulary
from reportgen_core.types import TargetSpec


@pytest.fixture
def studies(tmp_path):
    rows = []
    for i in range(7):
        views = []
        for v in range(1 + i % 2):
            path = tmp_path / f"{i}-{v}.png"
            Image.fromarray(np.random.default_rng(10 * i + v).integers(0, 256, (90, 80)).astype(np.uint8)).save(path)
            views.append(View(path, ("frontal", "lateral")[v]))
        rows.append(Study(f"study{i}", tuple(views)))
    return rows


@pytest.fixture
def two_views():
    model = tiny_model(
        encoder_options={"size": 64, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}, "views": 2}
    )
    with torch.no_grad():
        model.decoder.context.weight.mul_(40)  # random encoders tell images little apart: let that little matter
        model.decoder.visual.key.weight.mul_(40)
    return model


@pytest.mark.parametrize("settings", [GenerationSettings(), GenerationSettings(beams=3, n_best=2)])
def test_a_report_is_the_same_alone_in_any_batch_and_after_save_and_load(studies, two_views, tmp_path, settings):
    together = two_views.report_studies(studies, settings=settings)
    assert [r.study for r in together] == [s.id for s in studies]
    for size in (1, 2, 3):
        apart = two_views.report_studies(studies, settings=settings, batch_size=size)
        assert [(r.text, r.alternatives) for r in apart] == [(r.text, r.alternatives) for r in together]
    again = load(save(two_views, tmp_path / "model")).report_studies(studies, settings=settings)
    assert [r.text for r in again] == [r.text for r in together]
    assert len({r.text for r in together}) > 1, "one text for all: nothing was tried"


def test_attention_of_a_study_without_its_second_view_stays_on_the_first(studies, two_views):
    one, two = two_views.report_studies(studies[:2])
    _views, rows, columns = two_views.encoder.features.grid
    assert one.attention.regions[:, rows * columns :].sum() == 0
    assert two.attention.regions[:, rows * columns :].sum() > 0
    assert len(one.views) == 1 and len(two.views) == 2


def test_a_bad_image_is_named_and_the_others_are_reported(studies, tmp_path):
    (tmp_path / "0-0.png").write_bytes(b"no image")
    good = tiny_model().report_studies(studies[1:])
    reports = tiny_model().report_studies(studies, batch_size=3)
    assert "0-0.png" in reports[0].problem and not reports[0].text
    assert [r.text for r in reports[1:]] == [r.text for r in good]


def test_a_model_without_words_says_to_train_it(studies):
    empty = compose(
        encoder="densenet121",
        decoder="hier-lstm",
        encoder_options={"size": 64, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}},
    )
    with pytest.raises(CompositionError, match="no words yet: train it first"):
        empty.report_studies(studies)


def test_an_unknown_precision_lists_those_there_are(studies):
    with pytest.raises(CompositionError, match="no precision 'int3'; there are: auto, fp32, bf16"):
        tiny_model().report_studies(studies, precision="int3")


def test_a_plan_counts_what_composing_builds_without_building_it():
    options = {"size": 64, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}}
    plan = check_composition(encoder="densenet121", decoder="hier-lstm", encoder_options=options)
    built = compose(encoder="densenet121", decoder="hier-lstm", encoder_options=options)
    assert [r.parameters for r in plan.rows] == [
        sum(p.numel() for p in m.parameters()) for m in (built.encoder, built.decoder)
    ]
    assert any("no words" in note for note in plan.notes)
    assert any("weights are random" in note for note in plan.notes)
    plan = check_composition(
        encoder="densenet121", decoder="hier-lstm", encoder_options={**options, "pretrained": True}
    )
    assert not any("random" in note for note in plan.notes)


def test_the_same_seed_builds_the_same_weights():
    a, b = tiny_model(), tiny_model()
    assert all(bool((v == b.state_dict()[k]).all()) for k, v in a.state_dict().items())


@pytest.mark.parametrize("names", [{}, {"decoder": "hier-lstm", "retriever": "nearest"}])
def test_a_model_has_one_head(names):
    with pytest.raises(CompositionError, match="one decoder or one retriever"):
        compose(encoder="densenet121", **names)


class Says(Decoder):
    """Gives one candidate of fixed rows."""

    def __init__(self, features, targets, rows=(), per="sentence"):
        super().__init__(features, targets)
        self.rows, self.per = rows, per

    def decode(self, features, targets):
        raise NotImplementedError

    def generate(self, features, settings):
        ids = {w: i for i, w in enumerate(self.targets.words)}
        sentences = tuple(tuple(ids[w] for w in row.split()) for row in self.rows)
        count = len(sentences) if self.per == "sentence" else sum(map(len, sentences))
        attention = Attention(self.per, torch.full((count, self.features.tokens), 1 / self.features.tokens))
        return [Generated((Candidate(sentences, 0.0, attention),))] * len(features.pooled)


@pytest.mark.parametrize(
    ("rows", "per", "text", "sentences", "where"),
    [
        (("the heart is large . no effusion .",), "word", "the heart is large. no effusion.", ("the heart is large.", "no effusion."), ((0, 4), (5, 7))),
        (("the heart . large",), "word", "the heart. large.", ("the heart.", "large."), ((0, 2), (3, 4))),
        (("the heart", "", "no effusion"), "sentence", "the heart. no effusion.", ("the heart.", "no effusion."), ((0, 1), (2, 3))),
        (("",), "word", "", (), ()),
    ],
)  # fmt: skip
def test_a_sentence_of_a_report_knows_its_rows_of_attention(studies, rows, per, text, sentences, where):
    model = tiny_model()
    spec = target_spec(model.text, Vocabulary(["the", "heart", "is", "large", "no", "effusion", "."]))
    made = Model(model.encoder, Says(model.encoder.features, spec, rows, per), text=model.text, targets=spec)
    [report] = made.report_studies(studies[:1])
    assert (report.text, report.sentences, report.rows) == (text, sentences, where)
    assert report.words == tuple(" ".join(rows).split())
    assert [list(report.attention_rows(i)) for i in range(len(sentences))] == [list(range(*r)) for r in where]


@pytest.mark.parametrize(
    ("rows", "per", "words", "where"),
    [
        (("the heart . no effusion . the heart .",), "word", ["the", "heart", ".", "."], ((0, 2), (3, 5))),
        (("the heart", "no effusion", "the heart"), "sentence", ["the", "heart"], ((0, 1), (1, 2))),
        (("the heart", "no effusion", "the heart"), "sentence", ["the", "heart", "."], ((0, 1), (1, 2))),
    ],
)
def test_a_distinct_report_says_nothing_twice(studies, rows, per, words, where):
    model = tiny_model()
    spec = target_spec(model.text, Vocabulary(dict.fromkeys([*words, "no", "effusion"])))
    made = Model(model.encoder, Says(model.encoder.features, spec, rows, per), text=model.text, targets=spec)
    [report] = made.report_studies(studies[:1], settings=GenerationSettings(distinct=True))
    assert report.text == "the heart. no effusion."
    assert report.rows == where
    assert len(report.attention.regions) == where[-1][1] + (per == "word")


def test_a_report_has_every_tag_the_likeliest_first() -> None:
    names = tuple(f"tag{i}" for i in range(29))
    builder = ReportBuilder(TextSpec(), Vocabulary(("clear",)), TargetSpec(("clear",), names))
    generated = Generated((Candidate(((),), 0.0),), tags=torch.linspace(0, 1, 29))
    report = builder.from_words("s", generated)
    assert list(report.tags) == list(reversed(names))


@pytest.mark.parametrize(("channels", "wanted"), [(8, True), (4, False)])
def test_weights_are_in_channels_last_order_unless_a_convolution_is_so_narrow_that_it_would_corrupt_memory(
    channels: int, wanted: bool
) -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.Conv2d(16, channels, 3))
    to_channels_last(network)
    assert [layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in network] == [wanted, wanted]


def test_a_narrow_encoder_gets_pixels_in_the_order_of_its_weights(studies) -> None:
    model = tiny_model(encoder_options={"size": 64, "model_args": {"growth_rate": 4, "block_config": [1, 1, 1, 1]}})
    orders = []
    first = next(part for part in model.encoder.modules() if isinstance(part, torch.nn.Conv2d))
    first.register_forward_pre_hook(lambda _, args: orders.append(args[0].is_contiguous()))
    list(model.iter_reports(studies[:2]))
    assert orders == [True]
