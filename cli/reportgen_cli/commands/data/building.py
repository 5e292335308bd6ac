"""Write the studies of a dataset into shards for `rg data build --shards`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from reportgen_core import Collection, DataError, Study
from reportgen_core.files.shards.manifest import MANIFEST
from reportgen_core.files.shards.writer import ShardSize, write_shards

UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9}


class _ShardSize(click.ParamType[ShardSize]):
    """A number of studies (1000), or of bytes with its unit (500MB, 2GB)."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> ShardSize:
        if isinstance(value, ShardSize):
            return value
        match = re.fullmatch(r"([1-9]\d{0,14})(?: ?(KB|MB|GB))?", str(value).strip(), re.IGNORECASE)
        if match is None:
            self.fail(f"{value!r} is no size of a shard; 1000 is studies, 500MB and 2GB are bytes", param, ctx)
        if match[2]:
            return ShardSize(bytes=int(match[1]) * UNITS[match[2].upper()])
        return ShardSize(studies=int(match[1]))


SHARD_SIZE = _ShardSize()


def build_shards(collection: Collection, out: Path, size: ShardSize, force: bool) -> Collection:
    """Write a collection into shards in `out`, and return the studies that were written, with their audit.

    Raises DataError if shards are there and `force` is False, and CheckpointError if `out` cannot be written.
    """
    if (out / MANIFEST).exists() and not force:
        raise DataError(f"{out / MANIFEST} is there already; --force replaces the shards, --out chooses another place")
    dropped: dict[str, list[str]] = {reason: list(ids) for reason, ids in collection.audit.dropped.items()}
    bad: set[int] = set()

    def drop(study: Study, problem: str) -> None:
        bad.add(id(study))
        dropped.setdefault(f"an image of it cannot be read: {problem}", []).append(study.id)

    write_shards(collection.studies, out, size, source=collection.audit.source, on_bad=drop)
    studies = tuple(study for study in collection.studies if id(study) not in bad)
    audit = replace(
        collection.audit,
        studies=len(studies),
        images=sum(len(study.views) for study in studies),
        dropped={reason: tuple(ids) for reason, ids in dropped.items()},
    )
    return Collection(studies, audit)
