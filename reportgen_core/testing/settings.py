"""Check that a decoder follows the settings of generation: limits of every candidate, and what it says it follows."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..interfaces import Decoder
from ..types import Features, GenerationSettings
from .noise import noise

MANY = 32  # studies with weak and strong images, so that some reports want to be long


def check_limits(decoder: Decoder) -> None:
    """Check that no candidate is longer than the settings allow, and that None is the limit of training."""
    spec, features = decoder.targets, _weak_and_strong(decoder)
    for sentences, words, beams in ((1, None, 1), (None, 1, 1), (1, 1, 1), (1, 1, 3), (None, 1, 3)):
        settings = GenerationSettings(max_sentences=sentences, max_words=words, beams=beams, n_best=beams)
        most_sentences, most_words = sentences or spec.max_sentences, words or spec.max_words
        for candidate in (c for study in decoder.generate(features, settings) for c in study.candidates):
            lengths = [len(s) for s in candidate.sentences]
            short = len(lengths) <= most_sentences and sum(lengths) <= most_sentences * (most_words + 1)
            if "sentences" in decoder.needs:
                short = short and max(lengths, default=0) <= most_words
            assert short, (
                f"a report of {len(lengths)} rows with {lengths} words, for GenerationSettings(max_sentences="
                f"{sentences}, max_words={words}, beams={beams}); follow both limits in all candidates: a report has "
                f"at most {most_sentences} sentences of {most_words} words, and None is the limit of TargetSpec"
            )
    if spec.max_length != spec.max_sentences * (spec.max_words + 1):
        return
    named = GenerationSettings(max_sentences=spec.max_sentences, max_words=spec.max_words)
    ours, theirs = (_best(decoder, features, s) for s in (GenerationSettings(), named))
    wrong = next((b for b in range(len(ours)) if ours[b] != theirs[b]), None)
    none, given = (sum(map(len, reports[wrong or 0])) for reports in (ours, theirs))
    assert wrong is None, (
        f"without limits a report has {none} words, and {given} with GenerationSettings(max_sentences="
        f"{spec.max_sentences}, max_words={spec.max_words}), which are the limits of TargetSpec; give the same report: "
        "a limit is counted with its last word"
    )


def check_settings(decoder: Decoder) -> None:
    """Check the settings that the decoder says it follows (`Decoder.follows`), with weak and strong images."""
    features = _weak_and_strong(decoder)
    greedy = _best(decoder, features, GenerationSettings())
    if "sample" in decoder.follows:
        drawn = [_best(decoder, features, GenerationSettings(sample=True, seed=seed)) for seed in (1, 1, 2)]
        assert drawn[0] == drawn[1], (
            "equal seeds draw other reports; draw by settings.seed alone, never by torch's state"
        )
        assert drawn[0] not in (drawn[2], greedy), (
            "`follows` names sample, and another seed draws the same reports, or they are the greedy ones; with "
            "sample=True draw each word by its probability, or leave sample out of `follows`"
        )
    if {"sample", "top_k"} <= decoder.follows:
        likeliest = _best(decoder, features, GenerationSettings(sample=True, top_k=1, seed=3))
        assert likeliest == greedy, (
            "`follows` names top_k, and sample=True with top_k=1 gives other reports than greedy search; draw from the "
            "top_k likeliest words, or leave top_k out of `follows`"
        )
    if {"sample", "temperature"} <= decoder.follows:
        cold = _best(decoder, features, GenerationSettings(sample=True, temperature=1e-6, seed=3))
        assert cold == greedy, (
            "`follows` names temperature, and sample=True with a temperature near 0 gives other reports than greedy "
            "search; divide the logits by it, or leave temperature out of `follows`"
        )
    if "repetition_penalty" in decoder.follows:
        penalised = _best(decoder, features, GenerationSettings(repetition_penalty=1e6))
        assert penalised != greedy or not any(_repeats(report) for report in greedy), (
            "`follows` names repetition_penalty, and a large one changes no report, though some repeat a word; make "
            "words that a row has already less likely, or leave it out of `follows`"
        )


def _weak_and_strong(decoder: Decoder) -> Features:
    features, scales = noise(decoder.features, MANY, seed=7), torch.logspace(-1, 1, MANY)
    return replace(features, tokens=features.tokens * scales[:, None, None], pooled=features.pooled * scales[:, None])


def _best(decoder: Decoder, features: Features, settings: GenerationSettings) -> list[tuple[tuple[int, ...], ...]]:
    """Return the words of the best report of each study."""
    quiet = replace(settings, attention=False)
    return [study.candidates[0].sentences for study in decoder.generate(features, quiet)]


def _repeats(report: tuple[tuple[int, ...], ...]) -> bool:
    return any(len(set(row)) < len(row) for row in report)
