"""The precision of each part of a model: measured once, kept, and picked only for a clear gain."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from reportgen_core import CompositionError, GenerationSettings
from reportgen_core.annotation.findings import annotation_precisions
from reportgen_core.data.images import default_cache
from reportgen_core.models.computing.gain import PAIRS, SECONDS, Run, faster_precision, measured_gains
from reportgen_core.models.computing.parts import HeadWork, PartPrecisions, choose_precisions, part_precisions
from reportgen_core.models.model import Model
from reportgen_core.testing.parts import sample_batch, tiny_model
from reportgen_core.text.spec import SPECIAL
from reportgen_core.types import Features

CPU = torch.device("cpu")


class Clock:
    """A clock that moves only while one of its runs takes its seconds."""

    def __init__(self) -> None:
        self.now, self.runs = 0.0, 0

    def __call__(self) -> float:
        return self.now

    def run(self, *seconds: float) -> Run:
        """Return a run that takes these seconds in turn, and the last of them from then on."""
        left = list(seconds)

        def run() -> None:
            self.runs += 1
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


def gains_in_turn(*pairs: float) -> Callable[[Run, Run], list[float]]:
    """Return a measurement by a clock of its own: of each part in turn, fp32 takes so much longer than bf16."""
    left = list(pairs)

    def measure(fp32: Run, bf16: Run) -> list[float]:
        fp32()
        bf16()
        clock = Clock()
        return measured_gains(clock.run(0.01 * left.pop(0)), clock.run(0.01), clock)

    return measure


def nothing_measured(fp32: Run, bf16: Run) -> list[float]:
    raise AssertionError("a part was measured")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPORTGEN_CACHE", str(tmp_path / "cache"))
    return default_cache().parent / "precision"


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model().eval()


@pytest.fixture(scope="module")
def tienet() -> Model:
    return tiny_model(decoder="tienet").eval()


def writing(model: Model) -> HeadWork:
    return HeadWork("write", lambda f, b: model.write_batch(f, b, GenerationSettings(max_sentences=1, max_words=2)))


def test_the_first_run_of_each_precision_is_not_counted() -> None:
    clock = Clock()
    assert measured_gains(clock.run(9, 0.3), clock.run(0.1), clock) == pytest.approx([3] * PAIRS[0])


def test_short_runs_are_measured_in_more_pairs_and_long_ones_end_in_time() -> None:
    short, long = Clock(), Clock()
    assert len(measured_gains(short.run(0.002), short.run(0.001), short)) == PAIRS[1]
    assert len(measured_gains(long.run(SECONDS), long.run(SECONDS), long)) == PAIRS[0]
    assert long.runs == 2 * (1 + PAIRS[0])


@pytest.mark.parametrize(
    ("gains", "picked"),
    [
        ([1.28, 1.3, 1.25], "bf16"),
        ([1.0, 1.02, 0.98], "fp32"),  # level
        ([1.05, 1.04, 1.06], "fp32"),  # a gain, too small to be sure of
        ([3.0, 0.9, 1.3], "fp32"),  # noise: one pair is a loss
        ([0.83, 0.8, 0.85], "fp32"),
    ],
)
def test_bf16_is_picked_for_a_clear_gain_alone(gains: list[float], picked: str) -> None:
    assert faster_precision(gains) == picked


@pytest.mark.parametrize(
    ("encoder", "head", "text"),
    [
        (2.8, 1.28, "bf16"),
        (2.8, 0.83, "encoder bf16, decoder fp32"),
        (1, 1.5, "encoder fp32, decoder bf16"),
        (1, 1, "fp32"),
    ],
)
def test_each_part_computes_as_it_gains(model: Model, encoder: float, head: float, text: str) -> None:
    assert str(choose_precisions(model, writing(model), gains_in_turn(encoder, head))) == text


def test_a_choice_is_measured_once_and_read_from_then_on(model: Model, cache: Path) -> None:
    first = choose_precisions(model, writing(model), gains_in_turn(2, 0.5))
    assert choose_precisions(model, writing(model), nothing_measured) == first
    kept = [json.loads(file.read_text()) for file in cache.iterdir()]
    assert {(values["part"], values["precision"]) for values in kept} == {
        ("densenet121", "bf16"),
        ("hier-lstm", "fp32"),
    }
    assert sorted(values["gains"] for values in kept) == [[0.5] * 5, [2.0] * 5]


def test_another_size_of_a_part_is_measured_for_itself(model: Model) -> None:
    choose_precisions(model, writing(model), gains_in_turn(2, 2))
    larger = deepcopy(model)
    larger.targets = replace(model.targets, words=(*model.targets.words, "more"))
    chosen = choose_precisions(larger, writing(larger), gains_in_turn(0.5))  # the encoder is known
    assert (chosen.encoder, chosen.head) == ("bf16", "fp32")


def test_what_a_head_is_used_for_is_measured_for_itself(tienet: Model) -> None:
    choose_precisions(tienet, writing(tienet), gains_in_turn(2, 2))
    other = HeadWork("annotate", writing(tienet).run)
    assert choose_precisions(tienet, other, gains_in_turn(0.5)).head == "fp32"


def test_a_fixed_precision_and_a_device_without_bf16_are_not_measured(model: Model) -> None:
    assert str(part_precisions(model, "bf16", measure=nothing_measured)) == "bf16"
    assert part_precisions(model, "bf16/fp32", measure=nothing_measured) == PartPrecisions(CPU, "bf16", "fp32")
    assert str(part_precisions(deepcopy(model).to("meta"), "auto", measure=nothing_measured)) == "fp32"


def test_a_decoder_without_words_is_not_measured(model: Model) -> None:
    empty = deepcopy(model).train()
    empty.targets = replace(model.targets, words=SPECIAL)
    assert str(choose_precisions(empty, writing(empty), gains_in_turn(2))) == "encoder bf16, decoder fp32"
    assert not empty.encoder.training  # measuring must not change the statistics of batch norm


@pytest.mark.parametrize("precision", ["int3", "auto/fp32", "bf16/", "/fp32", "bf16/fp32/fp32"])
def test_a_wrong_precision_names_those_there_are(model: Model, precision: str) -> None:
    with pytest.raises(CompositionError, match="there are: auto, fp32, bf16"):
        part_precisions(model, precision)


def test_a_damaged_choice_is_measured_anew_with_a_warning(model: Model, cache: Path) -> None:
    choose_precisions(model, writing(model), gains_in_turn(2, 2))
    for file in cache.iterdir():
        file.write_text("{")
    with pytest.warns(RuntimeWarning, match="is no JSON.*measured anew"):
        assert str(choose_precisions(model, writing(model), gains_in_turn(0.5, 0.5))) == "fp32"
    assert str(choose_precisions(model, writing(model), nothing_measured)) == "fp32"


def test_a_cache_that_cannot_be_written_is_named_once_and_the_choice_stays(model: Model, cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("in the way")
    with pytest.warns(RuntimeWarning, match="precision of a part is not kept in"):
        choose_precisions(model, writing(model), gains_in_turn(2, 2))
    assert str(choose_precisions(model, writing(model), nothing_measured)) == "bf16"


def test_measuring_changes_neither_the_random_state_nor_a_report(model: Model) -> None:
    def texts() -> list[tuple[str, float | None]]:
        with torch.inference_mode():
            batch = sample_batch(model, 2)
            return [(r.text, r.score) for r in model.write_batch(model.encode(batch), batch, GenerationSettings())]

    before, state = texts(), torch.get_rng_state()
    choose_precisions(model, writing(model), gains_in_turn(2, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert texts() == before != [("", None)] * 2


def test_the_features_of_a_bf16_encoder_reach_an_fp32_decoder_as_fp32(model: Model) -> None:
    features = Features(*(t.bfloat16() for t in (torch.rand(1, 2, 3), torch.rand(1, 3))), torch.ones(1, 2).bool())
    assert PartPrecisions(CPU, "bf16", "fp32").for_head(features).tokens.dtype == torch.float32
    assert PartPrecisions(CPU, "bf16", "bf16").for_head(features) is features


def test_annotating_takes_a_fixed_precision_for_both_parts(tienet: Model) -> None:
    assert str(annotation_precisions(tienet, "bf16")) == "bf16"
