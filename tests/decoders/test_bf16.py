"""In bf16, a report depends on its study alone: the others of the batch, and the width of the batch, change nothing."""

from __future__ import annotations

import functools

import pytest
import torch

from reportgen_core import GenerationSettings, Model
from reportgen_core.models.computing.parts import part_precisions
from reportgen_core.models.precision import autocast_for
from reportgen_core.registries import decoders
from reportgen_core.testing.parts import sample_batch, tiny_model
from reportgen_core.types import Features, Generated

CPU = torch.device("cpu")


@functools.cache
def model_with(decoder: str) -> Model:
    return tiny_model(decoder=decoder).eval()


def rows(features: Features, studies: list[int]) -> Features:
    tags = None if features.tags is None else features.tags[studies]
    return Features(features.tokens[studies], features.pooled[studies], features.mask[studies], tags)


def texts(generated: Generated) -> list[tuple[tuple[int, ...], ...]]:
    return [c.sentences for c in generated.candidates]


@pytest.mark.parametrize("name", sorted(n for n in decoders if "*" not in n))
def test_a_report_alone_is_the_report_in_any_batch(name: str) -> None:
    model = model_with(name)
    assert model.decoder is not None
    batch = sample_batch(model, 6)
    with torch.inference_mode(), autocast_for(CPU, "bf16"):
        features = model.encode(batch)
        assert features.tokens.dtype == torch.bfloat16, "nothing is computed in bf16"
        for settings in (GenerationSettings(), GenerationSettings(beams=3, n_best=3)):
            together = model.decoder.generate(features, settings)
            alone = [model.decoder.generate(rows(features, [b]), settings)[0] for b in range(6)]
            turned = model.decoder.generate(rows(features, [5, 4, 3, 2, 1, 0, 0]), settings)
            assert list(map(texts, together)) == list(map(texts, alone))
            assert list(map(texts, together)) == list(map(texts, turned[5::-1]))
            for one, other in zip(together, alone, strict=True):
                scores = [c.score for c in other.candidates]
                assert [c.score for c in one.candidates] == pytest.approx(scores, abs=0.02)  # bf16 has 8 bits
                for a, b in ((one.tags, other.tags), (one.findings, other.findings)):
                    assert (a is None) == (b is None)
                    if a is not None and b is not None:
                        torch.testing.assert_close(a, b, atol=0.02, rtol=0)


@pytest.mark.parametrize("pair", ["bf16/fp32", "fp32/bf16"])
@pytest.mark.parametrize("name", sorted(n for n in decoders if "*" not in n))
def test_a_report_alone_is_the_report_in_any_batch_if_one_part_computes_in_bf16(name: str, pair: str) -> None:
    model = model_with(name)
    batch, settings, of = sample_batch(model, 3), GenerationSettings(), part_precisions(model, pair)
    with torch.inference_mode():
        with of.of_encoder():
            features = of.for_head(model.encode(batch))
        assert features.tokens.dtype == torch.float32
        with of.of_head():
            assert model.decoder is not None
            together = model.decoder.generate(features, settings)
            alone = [model.decoder.generate(rows(features, [b]), settings)[0] for b in range(3)]
    assert list(map(texts, together)) == list(map(texts, alone))
