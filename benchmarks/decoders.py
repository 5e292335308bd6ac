"""Measure every decoder alone, from features of 32 studies to reports of 60 words, greedy and with three beams.

Vocabulary 1,000, the decoders' own widths, 49 regions of 1,024 features, random weights. A hierarchical decoder writes
6 sentences of 10 words. `end to end` is the speed of densenet121 at 224 pixels together with the greedy decoder; its
ratio is taken to the images a second of the encoder alone. The last rows run DiTag around ResNet-18 at one and four
depths. DiTag encodes 33 studies for a batch of 32, the patients and one normal study, so that 32/33 is the best ratio.

    python -m benchmarks.decoders [NAME ...]
"""

from __future__ import annotations

import sys
from typing import Any

import torch

from benchmarks.measure import Row, Run, emit, in_turns, per_second, ratio
from reportgen_core import Features, FeatureSpec, GenerationSettings, TargetSpec
from reportgen_core.models import autocast_for, to_channels_last
from reportgen_core.registries import decoders, encoders
from reportgen_core.text.spec import SPECIAL

STUDIES, SENTENCES, WORDS, VOCABULARY, TAGS = 32, 6, 10, 1000, 210
LENGTH = SENTENCES * WORDS
SPEC = FeatureSpec(1024, 1024, (1, 7, 7))
OPTIONS: dict[str, dict[str, Any]] = {
    "hier-lstm": {"stop_threshold": 1.0},
    "hier-lstm-dual": {"stop_threshold": 1.0},
    "lstm": {},
    "lrcn": {},
    "soft-att": {},
    "att-rk": {},
    "densenet-lstm": {},
    "tienet": {},
    "transformer": {},
    "r2gen": {},
    "r2gen-cmn": {},
    "gpt2": {"config": {"n_layer": 6, "n_head": 8, "n_embd": 512}},
    "llm": {"config": {"n_layer": 6, "n_head": 8, "n_embd": 512}},
}


def decoder(name: str) -> Any:
    """Return a decoder with random weights, in eval mode."""
    torch.manual_seed(0)
    words = (*SPECIAL, *(f"w{i}" for i in range(VOCABULARY - len(SPECIAL))))
    tags, findings = (tuple(f"{kind}{i}" for i in range(count)) for kind, count in (("tag", TAGS), ("finding", 14)))
    targets = TargetSpec(words, tags, findings, SENTENCES, WORDS, LENGTH)
    return decoders.create(name, SPEC, targets, **OPTIONS[name]).eval()


def features() -> Features:
    draw = torch.Generator().manual_seed(1)
    tokens = torch.randn(STUDIES, SPEC.tokens, SPEC.dim, generator=draw)
    return Features(tokens, tokens.mean(1), torch.ones(STUDIES, SPEC.tokens, dtype=torch.bool))


def encoding(name: str, **options: Any) -> Run:
    """Return a run of the encoder over the studies, with one view each."""
    torch.manual_seed(0)
    encoder = encoders.create(name, **options).eval()
    to_channels_last(encoder)
    size = encoder.image.height, encoder.image.width
    pixels = torch.rand(STUDIES, 1, encoder.image.channels, *size)

    def run() -> None:
        with torch.inference_mode(), autocast_for(torch.device("cpu"), "fp32"):
            encoder(pixels)

    return run


def generation(decoder: Any, features: Features, beams: int) -> Run:
    """Return a run that writes the reports of the studies."""
    settings = GenerationSettings(beams=beams, attention=False)

    def run() -> None:
        with torch.inference_mode(), autocast_for(torch.device("cpu"), "fp32"):
            decoder.generate(features, settings)

    return run


def rows_of(name: str, bare_encoder: Run) -> list[Row]:
    """Measure the encoder alone, greedy decoding and three beams in turns; return their rows and that of end to end."""
    made, inputs = decoder(name), features()
    bare, greedy, three = in_turns(bare_encoder, generation(made, inputs, 1), generation(made, inputs, 3))
    together = [b + g for b, g in zip(bare, greedy, strict=True)]
    alone, greedy_time = "the bare encoder's speed", "greedy's time"
    return [
        Row("bare densenet121, 224 pixels", per_second(STUDIES, bare), "images/s"),
        Row(f"{name}, greedy", per_second(STUDIES, greedy), "reports/s"),
        Row(f"{name}, beam 3", per_second(STUDIES, three), "reports/s", ratio(three, greedy), greedy_time, 3.5, True),
        Row(f"{name}, end to end", per_second(STUDIES, together), "reports/s", ratio(bare, together), alone, 0.9),
    ]


def ditag() -> list[Row]:
    """Measure DiTag and the encoder that it wraps in turns."""
    inner = {"size": 224}
    runs = [encoding("timm/resnet18", **inner)]
    for depths in (1, 4):
        runs.append(encoding("ditag", inner="timm/resnet18", inner_options=inner, depths=depths))
    bare, *wrapped = in_turns(*runs)
    rows = [Row("bare resnet18, 224 pixels", per_second(STUDIES, bare), "images/s")]
    for depths, seconds in zip((1, 4), wrapped, strict=True):
        speed = per_second(STUDIES, seconds)
        what = f"ditag around it, depths {depths}"
        rows.append(Row(what, speed, "images/s", ratio(bare, seconds), "the bare encoder's speed", 0.85))
    return rows


def main(names: list[str]) -> None:
    bare = encoding("densenet121", size=224)
    rows = [row for name in names or OPTIONS for row in rows_of(name, bare)]
    emit([*rows, *([] if names else ditag())])


if __name__ == "__main__":
    main(sys.argv[1:])
