"""The conformance kit: tests that every encoder, decoder and retriever must pass. A third party's whole test file is

    from reportgen_core.testing import check_encoder
    def test_hello(tmp_path): check_encoder("hello", tmp_path)

Each check raises AssertionError with a sentence. Parts are built with the `tiny` options of their entry by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..interfaces import Retriever
from ..models.abilities import HasFrozenParts, TakesContext
from ..models.composition import compose, seeded
from ..models.loading import load_model, save
from ..models.model import Model
from ..registries import decoders, encoders, retrievers
from ..text.spec import EOS, TextSpec, Vocabulary
from ..training.steps.gradients import weighted
from ..types import Batch, Features, GenerationSettings, Targets
from .context import check_context
from .decoders import check_promises

WORDS = tuple(f"word{i}" for i in range(20))
TAGS = ("opacity", "effusion", "nodule", "normal")
FINDINGS = ("Cardiomegaly", "Effusion", "Nodule")


def tiny(registry: Mapping[str, Any], name: str, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the options of a small variant of a part, which a test runs in a second; `options` if given."""
    return dict(registry[name].tiny if options is None else options)


def tiny_model(
    encoder: str = "densenet121",
    decoder: str | None = "hier-lstm",
    retriever: str | None = None,
    *,
    encoder_options: Mapping[str, Any] | None = None,
    decoder_options: Mapping[str, Any] | None = None,
) -> Model:
    """Return a seeded model of tiny parts for WORDS, TAGS and FINDINGS."""
    registry, name = (retrievers, retriever) if retriever else (decoders, decoder)
    assert name is not None
    model = compose(
        encoder=encoder,
        decoder=None if retriever else decoder,
        retriever=retriever,
        encoder_options=tiny(encoders, encoder, encoder_options),
        decoder_options=tiny(registry, name, decoder_options),
        text=TextSpec(max_sentences=3, max_words=5),
        vocabulary=Vocabulary(WORDS),
        tags=TAGS,
        findings=FINDINGS,
        positives=(0.5, 0.25, 0.25),
    )
    with torch.no_grad():
        for parameter in model.head.parameters():  # so large that different studies get different reports
            parameter.mul_(4)
    return model


def sample_batch(model: Model, studies: int = 3, seed: int = 1) -> Batch:
    """Return a batch of noise with all fields of Targets: studies of 1..V views and of 1..3 sentences."""
    draw = torch.Generator().manual_seed(seed)

    def integers(low: int, high: int, *shape: int) -> Tensor:
        return torch.randint(low, high, shape, generator=draw)

    spec = model.encoder.image
    dtype, levels = (torch.uint8, 256) if spec.bits == 8 else (torch.int32, 65536)
    pixels = integers(0, levels, studies, spec.views, spec.height, spec.width).to(dtype)
    mask = torch.ones(studies, spec.views, dtype=torch.bool)
    if spec.views > 1:
        mask[0, 1:] = False
    sentences = integers(4, 4 + len(WORDS), studies, 3, 5)
    for b in range(studies):
        sentences[b, (b % 3) + 1 :] = 0  # absent sentences
        for s in range((b % 3) + 1):
            length = int(integers(1, 5, 1))
            sentences[b, s, length] = EOS
            sentences[b, s, length + 1 :] = 0
    words = torch.zeros(studies, 18, dtype=torch.long)
    for b in range(studies):
        report = sentences[b][(sentences[b] != 0) & (sentences[b] != EOS)]
        row = torch.cat([torch.tensor([1]), report, torch.tensor([EOS])])
        words[b, : len(row)] = row
    tags = integers(0, 2, studies, len(TAGS)).float()
    findings = integers(0, 2, studies, len(FINDINGS)).float()
    switches = integers(0, 2, studies, 3).float()
    targets = Targets(words, sentences, tags, findings, switches)
    return Batch(tuple(f"study{b}" for b in range(studies)), pixels, mask, targets)


def check_encoder(name: str, folder: Path, options: Mapping[str, Any] | None = None) -> None:
    """Check an encoder: shapes, gradients, no NaN, repeatable output, alone as in a batch, save and load."""
    model = tiny_model(name, encoder_options=tiny(encoders, name, options))
    _check_features(model, sample_batch(model))
    _check_frozen_and_gradients(model)
    check_disk(model, folder)


def check_decoder(
    name: str, folder: Path, options: Mapping[str, Any] | None = None, encoder: str = "densenet121"
) -> None:
    """Check a decoder: finite losses, gradients, its promises, repeatable reports, alone as in a batch, save and load.

    The promises are those of `check_promises`: losses are means over the studies, there are logits for each word, words
    do not depend on later ones, masked tokens change nothing and images do, attention sums to 1, beams, `n_best` and
    limits are followed, and scores are mean log-probabilities, best first. A decoder that takes context is checked
    with, without and with an empty one (`check_context`).
    """
    model = tiny_model(encoder, name, decoder_options=tiny(decoders, name, options))
    check_promises(model)
    if isinstance(model.decoder, TakesContext) and model.decoder.takes_context:
        check_context(model.decoder)
    _check_frozen_and_gradients(model)
    check_generation(model)
    check_disk(model, folder)


def check_retriever(
    name: str, folder: Path, options: Mapping[str, Any] | None = None, encoder: str = "densenet121"
) -> None:
    """Check a retriever: gradients if it learns, hits best first, alone as in a batch, save and load."""
    model = tiny_model(encoder, retriever=name, decoder_options=tiny(retrievers, name, options))
    if any(p.requires_grad for p in model.head.parameters()):
        _check_frozen_and_gradients(model)
    batch = sample_batch(model)
    model.eval()
    assert model.retriever is not None
    with torch.inference_mode():
        features = model.encode(batch)
        model.retriever.index(batch.ids, [f"{w} word{n + 3}" for n, w in enumerate(WORDS[:3])], features)
        _check_hits(model.retriever, features, len(batch.ids))
        before = _hits(model.retriever, features)
    check_disk(model, folder)
    again = load_model(folder / "a")
    assert again.retriever is not None
    with torch.inference_mode():
        assert _hits(again.retriever, again.encode(batch)) == before, "the loaded model finds other texts"


def _check_hits(retriever: Retriever, features: Features, stored: int) -> None:
    hits_of = retriever.search(features, stored + 5)
    assert [len(hits) for hits in hits_of] == [stored] * len(features.tokens), "not all stored texts are found"
    for b, hits in enumerate(hits_of):
        scores = [h.score for h in hits]
        assert scores == sorted(scores, reverse=True), "hits are not best first"
        alone = retriever.search(_features(features, b), 2)[0]
        assert [h.id for h in alone] == [h.id for h in hits[:2]], "a study alone finds other texts than in a batch"
        for hit in hits:
            weights = hit.attention.regions if hit.attention is not None else None
            assert weights is None or abs(float(weights.sum()) - 1) < 1e-3, "the attention of a hit does not sum to 1"


def _hits(retriever: Retriever, features: Features) -> list[list[tuple[str, str]]]:
    """Return id and text of the two best hits of each study."""
    return [[(h.id, h.text) for h in hits] for hits in retriever.search(features, 2)]


def _check_features(model: Model, batch: Batch) -> None:
    model.eval()
    spec = model.encoder.features
    with torch.inference_mode():
        one, again = model.encode(batch), model.encode(batch)
        alone = model.encode(_rows(batch, slice(0, 1)))
    assert one.tokens.shape == (len(batch.ids), spec.tokens, spec.dim), "tokens are not what FeatureSpec promises"
    assert one.pooled.shape == (len(batch.ids), spec.pooled), "pooled is not what FeatureSpec promises"
    assert (one.mask.shape, one.mask.dtype) == (one.tokens.shape[:2], torch.bool), "mask is no (B, N) bool"
    assert bool(one.tokens.isfinite().all() and one.pooled.isfinite().all()), "features are not finite"
    assert torch.equal(one.tokens, again.tokens), "the same images give other features in eval mode"
    torch.testing.assert_close(
        alone.tokens, one.tokens[:1], rtol=1e-3, atol=1e-4, msg="a study alone differs from its row"
    )


def _rows(batch: Batch, rows: slice) -> Batch:
    """Return some studies of a batch."""
    values = {f: getattr(batch.targets, f) for f in Targets.__slots__}
    targets = Targets(**{k: None if v is None else v[rows] for k, v in values.items()})
    return replace(batch, ids=batch.ids[rows], pixels=batch.pixels[rows], mask=batch.mask[rows], targets=targets)


def _check_frozen_and_gradients(model: Model) -> None:
    """Check that the sum of the losses gives every parameter that is not frozen a finite gradient, in train mode."""
    model.train()
    frozen = model.encoder.frozen() if isinstance(model.encoder, HasFrozenParts) else []
    fixed = {id(p) for part in frozen for p in part.parameters()}
    with seeded(0):
        out = model(sample_batch(model))
        weighted(out.losses, {}).backward()
    for name, parameter in model.named_parameters():
        if id(parameter) in fixed or not parameter.requires_grad:
            continue
        assert parameter.grad is not None, f"{name} gets no gradient"
        assert bool(parameter.grad.isfinite().all()), f"the gradient of {name} is not finite"
    for name, loss in out.losses.items():
        assert loss.numel() == 1, f"loss {name} is not one number"
        assert bool(loss.isfinite()), f"loss {name} is not finite"
    model.zero_grad()


def check_generation(model: Model) -> None:
    """Check that the same features give the same reports, in any batch, greedy and with beams; ids are words."""
    assert model.decoder is not None
    model.eval()
    batch = sample_batch(model)
    with torch.inference_mode():
        features = model.encode(batch)
        for settings in (GenerationSettings(), GenerationSettings(beams=3, n_best=2)):
            generated = model.decoder.generate(features, settings)
            assert len(generated) == len(batch.ids), "generate must return one Generated for each study"
            again = model.decoder.generate(features, settings)
            for b, study in enumerate(generated):
                reports = [c.sentences for c in study.candidates]
                assert reports == [c.sentences for c in again[b].candidates], "the same features give another report"
                alone = model.decoder.generate(_features(features, b), settings)[0]
                assert reports == [c.sentences for c in alone.candidates], (
                    "a study alone gets another report than in a batch"
                )
                ids = [i for c in reports for s in c for i in s]
                assert all(3 <= i < len(model.vocabulary) for i in ids), "a special word or no word was written"
                assert 1 <= len(reports) <= settings.n_best, "more reports than n_best"
                scores = [c.score for c in study.candidates]
                assert all(x <= 0 for x in scores), "a score is no mean log-probability"


def _features(features: Features, row: int) -> Features:
    at = slice(row, row + 1)
    tags = None if features.tags is None else features.tags[at]
    return Features(features.tokens[at], features.pooled[at], features.mask[at], tags)


def check_disk(model: Model, folder: Path) -> None:
    """Check that a model saved twice gives the same bytes, and a loaded model the same options and outputs."""
    model.eval()
    save(model, folder / "a")
    again = load_model(folder / "a")
    save(again, folder / "b")
    for file in sorted(f for f in (folder / "a").rglob("*") if f.is_file()):
        same = folder / "b" / file.relative_to(folder / "a")
        assert file.read_bytes() == same.read_bytes(), f"{file.name} changes when saved again"
    batch = sample_batch(model)
    with torch.inference_mode():
        before, after = model.encode(batch), again.encode(batch)
    # the weights are the same bytes; mapped from the file they are aligned otherwise, which may change the last digit
    equal = torch.allclose(before.tokens, after.tokens, rtol=1e-4, atol=1e-5)
    assert equal, "the loaded model gives other features"
    if model.decoder is not None and again.decoder is not None:
        reports, loaded = (
            [g.candidates[0].sentences for g in decoder.generate(features, GenerationSettings())]
            for decoder, features in ((model.decoder, before), (again.decoder, after))
        )
        assert reports == loaded, "the loaded model writes other reports"
