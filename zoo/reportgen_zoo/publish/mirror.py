"""Copies models with their records into a zoo folder, for a place without a network or to serve them there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..manifest.records import Record
from ..pull import fetch, terms
from ..pull.sources import is_local
from .push import push


def mirror(
    records: Iterable[Record], zoo: Path, progress: fetch.Progress = fetch.quiet, key: Path | None = None
) -> Iterator[tuple[Record, Path]]:
    """Pull each model and copy it into `zoo`. Yield the records; their sources on the network follow the copy."""
    for record in records:
        terms.require(record)
        folder = fetch.pull(record, progress)
        far = tuple(s for s in record.sources if not is_local(s))
        copied = replace(record, sources=(f"models/{record.name}", *far))
        yield copied, push(folder, copied, zoo, key)
