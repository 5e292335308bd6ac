"""Gradient checkpointing: compute activations again in the backward pass, in place of keeping them in memory.

Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016, arXiv:1604.06174. timm and transformers decide which
layers are computed again. Where we depart: batch norms do not take the second pass into their running statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import OptionError
from ...models.model import Model


@contextmanager
def checkpointed(model: Model, on: bool = True) -> Iterator[tuple[str, ...]]:
    """Checkpoint the parts of a model that learn during the block. Yield a line for each part that cannot.

    Nothing is done if `on` is False. Raises OptionError if no part can.
    """
    parts = [part for part in (model.encoder, model.head) if any(p.requires_grad for p in part.parameters())]
    lacks: list[str] = []
    with ExitStack() as undo:
        for part in parts if on else ():
            nets = [net for net in _nets(part) if _switch(net, True)]
            if not nets:
                lacks.append(part.part_config["name"])
            for net in nets:
                undo.callback(_switch, net, False)
                undo.enter_context(_keeping_statistics(net))
        if on and len(lacks) == len(parts):
            raise OptionError(f"checkpoint=true: {' and '.join(lacks)} cannot compute activations again; leave it out")
        yield tuple(f"checkpoint: {name} keeps its activations, as it cannot compute them again" for name in lacks)


def _nets(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the outermost modules of timm and transformers that have a switch."""
    if hasattr(module, "set_grad_checkpointing") or _prefix(module):
        yield module
    else:
        for child in module.children():
            yield from _nets(child)


def _prefix(net: Any) -> str:
    """Return what the methods of a network of transformers begin with, in this release; "" for another network."""
    names = ("activation_checkpointing", "gradient_checkpointing")
    return next((name for name in names if hasattr(net, f"{name}_enable")), "")


def _switch(net: Any, on: bool) -> bool:
    """Turn the checkpointing of a network on or off. Return whether it can."""
    name = _prefix(net)
    try:
        if not name:
            net.set_grad_checkpointing(on)
        elif on:
            getattr(net, f"{name}_enable")(**{f"{name}_kwargs": {"use_reentrant": False}})
        else:
            getattr(net, f"{name}_disable")()
    except (AssertionError, ValueError, AttributeError):  # how timm and transformers say that a network has none
        return False
    return True


@contextmanager
def _keeping_statistics(net: nn.Module) -> Iterator[None]:
    """Let batch norms leave their running statistics alone when they are computed again during a backward pass."""
    with ExitStack() as undo:
        for norm in (m for m in net.modules() if isinstance(m, _BatchNorm)):
            kept: list[Any] = []  # momentum and number of batches, while the norm is computed again

            def before(norm: _BatchNorm, _: Any, kept: list[Any] = kept) -> None:
                if torch._C._current_graph_task_id() != -1:  # a backward pass is running
                    batches = norm.num_batches_tracked
                    kept[:] = [norm.momentum, None if batches is None else batches.clone()]
                    norm.momentum = 0.0

            def after(norm: _BatchNorm, _: Any, __: Any, kept: list[Any] = kept) -> None:
                if kept:
                    norm.momentum, batches = kept
                    if batches is not None and norm.num_batches_tracked is not None:
                        norm.num_batches_tracked.copy_(batches)
                    kept.clear()

            undo.callback(norm.register_forward_pre_hook(before).remove)
            undo.callback(norm.register_forward_hook(after, always_call=True).remove)
        yield
