"""The vectors of an index on disk: a safetensors file that is written block by block and mapped into memory."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Rows = NDArray[np.int64]

_MAX_HEADER = 2**20


def write_vectors(path: Path, offsets: Rows, rows: int, blocks: Iterable[Floats]) -> int:
    """Write a safetensors file block by block, so that a million vectors need no second copy in memory.

    Return the width of the vectors. Raises DataError if their number is not `rows`.
    """
    import numpy as np

    dim, written = 0, 0
    with path.open("wb") as file:
        for block in blocks:
            if not written:
                dim = int(block.shape[1])
                file.write(_header({"offsets": offsets.shape, "vectors": (rows, dim)}))
                file.write(offsets.tobytes())
            file.write(np.ascontiguousarray(block, np.float32).tobytes())
            written += len(block)
        sync(file)
    if written != rows:
        raise DataError(f"{rows} texts want as many vectors, there are {written}")
    return dim


def _header(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """Return the header of a safetensors file with int64 offsets, then float32 vectors, aligned to 8 bytes."""
    at, head = 0, {}
    for name, shape in shapes.items():
        kind, size = ("I64", 8) if name == "offsets" else ("F32", 4)
        end = at + size * (shape[0] * shape[1] if len(shape) > 1 else shape[0])
        head[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def sync(file: Any) -> None:
    """Write an open file to the disk, not only to the system's memory."""
    file.flush()
    os.fsync(file.fileno())


def map_vectors(path: Path, texts: Path, rows: int, dim: int) -> tuple[Floats, Rows]:
    """Return vectors (rows, dim) and offsets into `texts`, mapped into memory.

    Raises CheckpointError for files of other sizes.
    """
    import numpy as np

    expected = _header({"offsets": (rows + 1,), "vectors": (rows, dim)})
    size = len(expected) + 8 * (rows + 1) + 4 * rows * dim
    try:
        with path.open("rb") as file:
            head = file.read(min(len(expected), _MAX_HEADER))
        actual = path.stat().st_size
        end = texts.stat().st_size
    except OSError as e:
        raise CheckpointError(f"cannot read {path}: {e.strerror}; build the index again") from e
    if head != expected or actual != size:
        raise CheckpointError(f"{path} has {actual} bytes, and {rows} vectors of {dim} want {size}; build it again")
    offsets: Rows = np.memmap(path, np.int64, "r", len(expected), (rows + 1,))
    vectors: Floats = np.memmap(path, np.float32, "r", len(expected) + offsets.nbytes, (rows, dim))
    if int(offsets[-1]) != end:
        raise CheckpointError(f"{texts} has {end} bytes, its index says {int(offsets[-1])}")
    return vectors, offsets
