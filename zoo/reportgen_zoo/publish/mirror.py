"""Copy models with their records into a zoo folder, for a place without a network or for a server."""

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
    """Pull each model and copy it into `zoo`. Yield the new record and the folder of each copy.

    The new record has the copy as its first source, then the sources on the network.
    """
    for record in records:
        terms.require(record)
        folder = fetch.pull(record, progress)
        remote = tuple(s for s in record.sources if not is_local(s))
        copied = replace(record, sources=(f"models/{record.name}", *remote))
        yield copied, push(folder, copied, zoo, key)
