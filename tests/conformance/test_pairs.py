"""Every encoder with every generator, in tiny variants: built, trained one step, writing, saved and loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reportgen_core import GenerationSettings, load
from reportgen_core.registries import decoders, encoders
from reportgen_core.testing.parts import sample_batch, tiny_model
from reportgen_core.training.steps.gradients import weighted

# One of each family: its members differ in nothing that a decoder could see.
ENCODERS = {
    "vgg16": None,
    "resnet50": None,
    "timm/test_vit": {"size": 32},
    "vit/test_vit": {"size": 32},
    "xrv/densenet121-res224-all": None,
}
WRAPPED = {"one-depth": {}, "four-depths-with-tags": {"depths": 4, "width": 8, "tags": True}}
BLIND = {"none"}  # gives nothing to write from
GENERATORS = [n for n in decoders if not n.endswith("*") and decoders.owner(n).startswith("reportgen:")]
CASES = [*((name, options) for name, options in ENCODERS.items()), *(("ditag", o) for o in WRAPPED.values())]
IDS = [*ENCODERS, *(f"ditag-{n}" for n in WRAPPED)]


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize(("encoder", "options"), CASES, ids=IDS)
def test_any_encoder_with_any_generator(encoder: str, options: dict | None, generator: str, tmp_path: Path) -> None:
    options = {**encoders["ditag"].tiny, **(options or {})} if encoder == "ditag" else options
    model = tiny_model(encoder, generator, encoder_options=options).train()
    batch = sample_batch(model)
    before = weighted(model(batch).losses, {})
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 1e-4)
    before.backward()
    optimizer.step()
    assert bool(before.isfinite())
    model.eval()
    again = load(model.save(tmp_path / "model"))
    with torch.inference_mode():
        one, two = model.encode(batch), again.encode(batch)
        assert torch.equal(one.tokens, two.tokens)
        settings = GenerationSettings(max_sentences=2, max_words=3)
        generated, same = (m.decoder.generate(f, settings) for m, f in ((model, one), (again, two)))
    assert len(generated) == len(batch.ids)
    assert [g.candidates[0].sentences for g in generated] == [g.candidates[0].sentences for g in same]


@pytest.mark.parametrize("generator", GENERATORS)
def test_more_beams_than_the_vocabulary_has_words_are_as_many_as_there_are(generator: str) -> None:
    model = tiny_model("densenet121", generator).eval()
    settings = GenerationSettings(beams=1000, n_best=3, max_sentences=2, max_words=2)
    with torch.inference_mode():
        generated = model.decoder.generate(model.encode(sample_batch(model)), settings)
    for study in generated:
        scores = [c.score for c in study.candidates]
        assert scores and all(-float("inf") < score <= 0 for score in scores)
        ids = [i for c in study.candidates for s in c.sentences for i in s]
        assert all(3 <= i < len(model.vocabulary) for i in ids)


def test_every_family_of_encoders_is_paired() -> None:
    """An encoder of a new class belongs into ENCODERS."""
    ours = [n for n in encoders if not n.endswith("*") and encoders.owner(n).startswith("reportgen:")]
    paired = {encoders.get_class(n) for n in (*ENCODERS, "ditag")}
    assert [n for n in ours if n not in BLIND and encoders.get_class(n) not in paired] == []
