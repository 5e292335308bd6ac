"""Keep the precision that was measured for a part, so that it is measured once on a machine.

A choice is one small file of JSON in the folder `precision` of the cache. Its name is the hash of all that the choice
depends on: the processor, torch's version, the part with its options, and its sizes. A choice that was kept stays, so
that the next run of the same model writes the same words.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ...data.images import default_cache
from ...errors import CheckpointError
from ...files.json_files import read_json, write_json

FORMAT = 1  # counted up when choices are measured in another way
MAX_BYTES = 1 << 16

_not_written: dict[str, str] = {}  # by file: the choices of this process that the cache could not take


def choice_file(about: Mapping[str, Any]) -> Path:
    """Return the file of the choice for a part. `about` are JSON values: all that the choice depends on."""
    key = json.dumps({**about, "format": FORMAT}, sort_keys=True)
    return default_cache().parent / "precision" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def kept_choice(file: Path) -> str | None:
    """Return the precision that a file keeps; None if there is no such file, or it is damaged."""
    if not file.is_file():
        return _not_written.get(str(file))
    try:
        values = read_json(file, limit=MAX_BYTES)
    except CheckpointError as e:
        _warn_once(f"{e}; the precision is measured anew")
        return None
    chosen = values.get("precision") if isinstance(values, dict) else None
    return chosen if chosen in ("fp32", "bf16") else None


def keep_choice(file: Path, about: Mapping[str, Any], chosen: str, gains: Sequence[float]) -> str:
    """Write a choice with the gains that it was made by, and return it.

    If another process has kept a choice in the meantime, that one is returned and stays.
    """
    chosen = kept_choice(file) or chosen
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_json(file, {**about, "precision": chosen, "gains": [round(gain, 3) for gain in gains]})
    except OSError as e:
        _warn_once(f"the precision of a part is not kept in {file.parent}: {e.strerror or e}")
        _not_written[str(file)] = chosen
    return chosen


@cache
def _warn_once(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
