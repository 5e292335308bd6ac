"""Records by name, built at their first use, so that a manifest of ten thousand models is listed at once.

A list shows values as they are in the JSON. The record of a model is built and checked before the model is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from .records import Record, ZooError, check_name, check_record
from .schema import from_json

REMOTE = ("http", "https", "hf")


@dataclass(frozen=True, slots=True)
class RawRecord:
    """The JSON values of a record in a manifest, not checked yet."""

    values: Any
    index: int  # position in the manifest
    manifest: str
    base: str | None  # where relative sources begin; None leaves the sources unchanged

    def record(self) -> Record:
        """Return the checked record. Raises DataFormatError or ZooError, which name the fault."""
        record = from_json(Record, self.values, f"{self.manifest}.models[{self.index}]")
        check_record(record, self.manifest)
        if self.base is None:
            return record
        sources = tuple(absolute_source(s, self.base) for s in record.sources)
        if urlsplit(self.base).scheme in REMOTE:
            for source in sources:
                if urlsplit(source).scheme not in (*REMOTE, "package"):
                    raise ZooError(
                        f"{self.manifest}: {record.name}: a manifest from the network names a place on this machine: "
                        f"{source[:80]!r}"
                    )
        return replace(record, sources=sources)


def absolute_source(source: str, base: str) -> str:
    """Return a source, joined to the place of its manifest if it is relative."""
    return source if ":" in source or source.startswith(("/", "~")) else f"{base.rstrip('/')}/{source}"


class Models(Mapping[str, Record]):
    """The records of all manifests by name, in the order of the names."""

    def __init__(self) -> None:
        self._raw: dict[str, RawRecord] = {}
        self._built: dict[str, Record] = {}

    def add(self, raw: RawRecord) -> str:
        """Add a record. Return why it is left out; "" if it was added. Raises ZooError or DataFormatError."""
        name = raw.values.get("name") if isinstance(raw.values, dict) else None
        if not isinstance(name, str):
            raw.record()  # raises, and names the fault
            return f"{raw.manifest}: a record has no name"
        if name not in self._raw:
            check_name(name)
            self._raw[name] = raw
            return ""
        first, second = self[name], raw.record()
        if first.digest != second.digest:
            return f"{name} of {raw.manifest} is left out: {self._raw[name].manifest} has that name"
        self._built[name] = replace(first, sources=tuple(dict.fromkeys(first.sources + second.sources)))
        return ""  # the same bytes at a second place

    def sort(self) -> None:
        """Sort the models by name."""
        self._raw = dict(sorted(self._raw.items()))

    def __getitem__(self, name: str) -> Record:
        if name not in self._built:
            self._built[name] = self._raw[name].record()
        return self._built[name]

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def origin(self, name: str) -> str:
        """Return the manifest that has the model."""
        return self._raw[name].manifest

    def brief(self, name: str) -> tuple[int, str, str]:
        """Return the size in bytes, the licence and the summary of a model."""
        values = self._raw[name].values
        try:
            size = sum([file["bytes"] for file in values["files"]])
            licence, summary = values["licence"], values["summary"]
            if type(size) is int and type(licence) is str and type(summary) is str:
                return size, licence, summary
        except (KeyError, TypeError):
            pass
        record = self[name]  # raises, and names the fault
        return record.bytes, record.licence, record.summary

    def text(self, name: str) -> str:
        """Return the text that a search reads, in lower case."""
        values = self._raw[name].values
        keys = ("name", "summary", "parts", "training", "scores", "paper", "licence")
        return json.dumps([values.get(key) for key in keys], ensure_ascii=False).lower()

    def shipped(self) -> Iterator[str]:
        """Yield the names of models with a source inside an installed package."""
        for name, raw in self._raw.items():
            if raw.base is not None and raw.base.startswith("package:"):
                yield name
                continue
            for source in raw.values.get("sources", ()):
                if isinstance(source, str) and source.startswith("package:"):
                    yield name
                    break
