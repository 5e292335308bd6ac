"""Data-use terms of a model. The user agrees once; the agreement is saved by name and digest."""

from __future__ import annotations

from pathlib import Path

from ..manifest.records import Record, ZooError
from . import cache


def _marker(record: Record) -> Path:
    return cache.folder() / "models" / ".agreed" / f"{record.name}-{record.digest[:16]}"


def agreed(record: Record) -> bool:
    """Return whether the model has no terms, or the user has agreed to them."""
    return not record.terms or _marker(record).exists()


def agree(record: Record) -> None:
    """Save that the user agreed."""
    marker = _marker(record)
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.write_text(record.terms + "\n", encoding="utf-8")


def require(record: Record) -> None:
    """Raise ZooError if the user has not agreed."""
    if not agreed(record):
        raise ZooError(
            f"{record.name} has terms to agree to first; read them and agree with: rg zoo pull {record.name}"
        )
