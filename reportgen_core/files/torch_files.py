"""Read checkpoints of PyTorch: tensors in plain containers, without code, and with bounded sizes."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, ReportgenError

if TYPE_CHECKING:
    from torch import Tensor

MAX_SHARED = 8  # times the file's size: the size of all tensors together, since several may share one storage
_DAMAGED = (
    pickle.UnpicklingError, zipfile.BadZipFile, struct.error, RuntimeError, EOFError, OSError, ValueError, LookupError,
    TypeError, AttributeError, ImportError, MemoryError, ArithmeticError, AssertionError,
)  # fmt: skip  # what torch.load raises for files that no program wrote


def read_torch_file(
    path: Path, error: type[ReportgenError] = CheckpointError, what: str = "", hint: str = "only tensors are read"
) -> Any:
    """Return the content of a checkpoint, on the CPU. Raises `error`, which begins with `what` or the path.

    The file is read with `weights_only=True`, so that no code runs. A file of a few bytes can claim tensors of any
    size: by compression, or by strides of zero. So a compressed file is refused, the size of each tensor is compared
    with the bytes that the file has for it, and the size of all tensors with the size of the file.
    """
    import torch

    what = what or str(path)
    try:
        _check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        _check_sizes(content, path.stat().st_size)
    except FileNotFoundError as e:
        raise error(f"{what}: there is no such file; {hint}") from e
    except _DAMAGED as e:
        reason = str(e).splitlines()[0].split(". ")[0][:200] if str(e) else type(e).__name__
        raise error(f"{what}: {reason}; {hint}") from e
    return content


def _check_archive(path: Path) -> None:
    """Raise ValueError for an archive whose parts are larger than the file; torch.save compresses nothing."""
    if not zipfile.is_zipfile(path):  # the format of PyTorch before 1.6, whose sizes torch.load compares itself
        return
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise ValueError("its parts are compressed, and torch.save compresses nothing")
    if sum(part.file_size for part in parts) > path.stat().st_size:
        raise ValueError("its parts are larger than the file")


def _check_sizes(content: object, available: int) -> None:
    """Raise ValueError for a tensor that is larger than its storage, and for tensors that are too large together."""
    import torch

    total = 0
    for name, tensor in _tensors(content):
        if tensor.is_nested or tensor.layout is not torch.strided or tensor.device.type != "cpu":
            raise ValueError(f"{name} is no plain tensor with values")
        size, stored = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
        if size > stored:
            raise ValueError(f"{name} claims {size:,} bytes, and the file has {stored:,} of them")
        total += size
    if total > MAX_SHARED * available:
        raise ValueError(f"its tensors claim {total:,} bytes, and the file has {available:,}")


def _tensors(content: object) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors in nested containers with their names. Each container is read once."""
    from torch import Tensor

    seen: set[int] = set()
    left: list[tuple[str, Any]] = [("the content", content)]
    while left:
        name, value = left.pop()
        if isinstance(value, Tensor):
            yield name, value
        elif isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            left += [(f"{name}.{key}"[-200:].removeprefix("the content."), inner) for key, inner in pairs]
