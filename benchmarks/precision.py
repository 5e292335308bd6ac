"""Measure the gain by `auto` precision and channels-last weights: the encoder densenet121 at 224 pixels, batch 8.

`auto` measures both and picks bf16 if the gain is clear; on a processor that does not multiply bf16 in hardware it
picks fp32 at once. If it picks fp32, the row of `auto` compares fp32 with itself, and its range shows how far two equal
runs differ on this machine. The row of bf16 shows whether `auto` picked well. All precisions run with channels-last
weights, as reports do.
"""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.measure import Row, Run, Spread, emit, in_turns, per_second, ratio
from reportgen_core import compose
from reportgen_core.models import autocast_for, part_precisions, to_channels_last
from reportgen_core.registries import encoders

IMAGES = 8


def encoder(precision: str, channels_last: bool = True) -> Run:
    """Return a run of the encoder with random weights over the images."""
    torch.manual_seed(0)
    densenet: nn.Module = encoders.create("densenet121", size=224).eval()
    if channels_last:
        to_channels_last(densenet)
    pixels = torch.rand(IMAGES, 1, 3, 224, 224)

    def run() -> None:
        with torch.inference_mode(), autocast_for(torch.device("cpu"), precision):
            densenet(pixels)

    return run


def main() -> None:
    picked = part_precisions(compose(encoder="densenet121", decoder="templates", encoder_options={"size": 224})).encoder
    plain, fp32, auto, bf16 = in_turns(
        encoder("fp32", channels_last=False), encoder("fp32"), encoder(picked), encoder("bf16")
    )

    def rate(seconds: list[float]) -> Spread:
        return per_second(IMAGES, seconds)

    layout, last = "the plain layout's speed", "fp32's speed, channels-last"
    emit(
        [
            Row("`densenet121`, 224 pixels, batch 8, fp32, plain layout", rate(plain), "images/s"),
            Row("the same, fp32, channels-last", rate(fp32), "images/s", ratio(plain, fp32), layout),
            Row(f"the same, `auto` (picks {picked} here)", rate(auto), "images/s", ratio(fp32, auto), last),
            Row("the same, bf16", rate(bf16), "images/s", ratio(fp32, bf16), last),
        ]
    )


if __name__ == "__main__":
    main()
