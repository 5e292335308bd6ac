"""Read and write JSON files of bounded size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import CheckpointError

MAX_JSON = 64 * 2**20  # bytes; read no further into a file that claims more


def write_json(path: Path, value: object) -> None:
    """The same value, the same bytes."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """A JSON file of bounded size. Raises CheckpointError naming it."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise CheckpointError(f"{path} has {path.stat().st_size} bytes; {MAX_JSON} are read at most")
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise CheckpointError(f"cannot read {path}: {e.strerror}") from e
    except (ValueError, RecursionError) as e:
        raise CheckpointError(f"{path} is no JSON: {e}") from e


def _bounded(path: Path) -> bytes:
    """A small file as it is. Raises CheckpointError for a large one."""
    if path.stat().st_size > MAX_JSON:
        raise CheckpointError(f"{path} has {path.stat().st_size} bytes; {MAX_JSON} are read at most")
    return path.read_bytes()
