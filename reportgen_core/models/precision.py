"""The number format of a model's arithmetic: fp32, or bf16 if the machine is faster with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from ..errors import CompositionError

PRECISIONS = ("auto", "fp32", "bf16")


def best_precision(device: torch.device) -> str:
    """Return "bf16" if the processor multiplies bf16 in hardware, else "fp32", which is faster there."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu":
        supported: Callable[[], bool] = torch.cpu._is_avx512_bf16_supported
        return "bf16" if supported() else "fp32"
    return "fp32"


def autocast_for(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Return the autocast context for `precision` on `device`. Raises CompositionError for an unknown precision."""
    if precision not in PRECISIONS:
        raise CompositionError(f"no precision {precision!r}; there are: {', '.join(PRECISIONS)}")
    chosen = best_precision(device) if precision == "auto" else precision
    return torch.autocast(device.type, torch.bfloat16) if chosen == "bf16" else nullcontext()


FEWEST_CHANNELS = 8  # of a convolution in channels-last order


def takes_channels_last(module: nn.Module) -> bool:
    """Return whether every convolution has at least eight output channels.

    With fewer of them, in channels-last order, the gradient of oneDNN (torch 2.14, on a CPU) writes outside its memory,
    and the process dies later in another place.
    """
    return all(part.out_channels >= FEWEST_CHANNELS for part in module.modules() if isinstance(part, nn.Conv2d))


def to_channels_last(module: nn.Module) -> None:
    """Store convolution weights in channels-last order, which is faster, if the module takes it."""
    if takes_channels_last(module):
        module.to(memory_format=torch.channels_last)
