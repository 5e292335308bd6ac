"""Build a module, and run it, for the shapes alone: without memory, and without random first weights.

On the meta device a tensor has a shape and no values. Torch still computes some operations there in Python, one small
step after another: random numbers, limits, and normalisation. Together they take half the time of building a model
that way, and change no shape. Here they are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn import init
from torch.overrides import TorchFunctionMode

# They change each value by itself, so that the result is as good as the tensor that they are given.
UNARY: frozenset[Callable[..., Any]] = frozenset(
    {Tensor.normal_, Tensor.uniform_, Tensor.erfinv_, Tensor.clamp_, F.hardtanh, F.hardswish, F.hardsigmoid, F.relu6}
)
INITIALISERS: frozenset[Callable[..., Any]] = frozenset(
    {init.normal_, init.uniform_, init.constant_, init.kaiming_uniform_, init.kaiming_normal_}
)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Make every new tensor in the block without memory, and leave out what changes no shape."""
    with torch.device("meta"), ShapesOnly():
        yield


class ShapesOnly(TorchFunctionMode):
    """Leaves out of the operations on tensors without memory those that change no shape.

    The gradient of a result depends on the same parameters as with them. Tensors with memory are computed as ever.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tensor = args[0] if args else kwargs.get("tensor")
        if isinstance(tensor, Tensor) and tensor.is_meta:
            if func in UNARY or func in INITIALISERS:
                return tensor
            if func is F.batch_norm:
                return _batch_norm(*args, **kwargs)
        return func(*args, **kwargs)


def _batch_norm(
    images: Tensor,
    _mean: Tensor | None,
    _variance: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *_more: Any,
    **_options: Any,
) -> Tensor:
    """Return a result (n, C, ...) of the shape of the images, that depends on the same tensors as batch norm's."""
    ones = (1,) * (images.ndim - 2)
    for parameter in (weight, bias):
        if parameter is not None:
            images = images * parameter.view(-1, *ones)
    return images
