"""Copies models with their records into a zoo folder: for a place without a network, or to be served there."""

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
    """Pull each model and put it into `zoo`; the sources on the network stay behind the copy's."""
    for record in records:
        terms.require(record)
        folder = fetch.pull(record, progress)
        far = tuple(s for s in record.sources if not is_local(s))
        copied = replace(record, sources=(f"models/{record.name}", *far))
        yield copied, push(folder, copied, zoo, key)
