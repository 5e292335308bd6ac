"""Data-use terms of a model: asked once, remembered by name and bytes."""

from __future__ import annotations

from pathlib import Path

from ..manifest.records import Record, ZooError
from . import cache


def _marker(record: Record) -> Path:
    return cache.folder() / "models" / ".agreed" / f"{record.name}-{record.digest[:16]}"


def agreed(record: Record) -> bool:
    """Whether there is nothing to agree to, or the user has agreed."""
    return not record.terms or _marker(record).exists()


def agree(record: Record) -> None:
    """Remember that the user agreed."""
    marker = _marker(record)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(record.terms + "\n", encoding="utf-8")


def require(record: Record) -> None:
    """Raise ZooError unless the user has agreed."""
    if not agreed(record):
        raise ZooError(
            f"{record.name} has terms to agree to first; read them and agree with: rg zoo pull {record.name}"
        )
