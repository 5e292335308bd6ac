"""Records by name, built at their first use, so that a manifest of ten thousand models is listed at once.

A list shows values as they are in the JSON, after their types were checked. The record of a model is built and checked
before the model is used. A broken record is left out, and `faults` says why; the others stand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reportgen_core import ReportgenError
from reportgen_core.errors import quoted

from .addresses import REMOTE, check_address, is_remote
from .records import MAX_BYTES, Record, ZooError, check_name, check_record
from .schema import from_json


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
        if is_remote(self.base):
            for source in sources:
                if check_address(source) not in (*REMOTE, "package"):
                    raise ZooError(
                        f"{self.manifest}: {record.name}: a manifest from the network names a place on this machine: "
                        f"{quoted(source)}"
                    )
        return replace(record, sources=sources)

    def can_be_listed(self) -> bool:
        """Return whether the values that a list shows are of the right types."""
        values = self.values
        try:
            sources, sizes = values["sources"], [file["bytes"] for file in values["files"]]
            texts = [values["name"], values["summary"], values["licence"], *sources]
        except (KeyError, TypeError):
            return False
        if type(sources) is not list or set(map(type, texts)) != {str} or set(map(type, sizes)) - {int}:
            return False
        return not sizes or (min(sizes) >= 0 and max(sizes) <= MAX_BYTES)


def absolute_source(source: str, base: str) -> str:
    """Return a source, joined to the place of its manifest if it is relative."""
    return source if ":" in source or source.startswith(("/", "~")) else f"{base.rstrip('/')}/{source}"


class Models(Mapping[str, Record]):
    """The records of all manifests by name, in the order of the names."""

    def __init__(self) -> None:
        self._raw: dict[str, RawRecord] = {}
        self._built: dict[str, Record] = {}
        self.faults: dict[str, str] = {}  # name of a broken record: the reason

    def add(self, raw: RawRecord) -> None:
        """Add a record. Raises ZooError or DataFormatError if it is broken, or if the name has other bytes."""
        if not raw.can_be_listed():
            raw.record()  # raises, and names the fault
        name = check_name(raw.values["name"])
        if name not in self._raw:
            self._raw[name] = raw
            return
        second, first = raw.record(), self.find(name)
        if first is None:  # a broken record does not hold its name
            self._raw[name] = raw
            return
        if first.digest != second.digest:
            raise ZooError(f"{name} of {raw.manifest} is left out: {self._raw[name].manifest} has that name")
        sources = tuple(dict.fromkeys(first.sources + second.sources))  # the same bytes at a second place
        self._built[name] = replace(first, sources=sources)

    def sort(self) -> None:
        """Sort the models by name."""
        self._raw = dict(sorted(self._raw.items()))

    def find(self, name: str) -> Record | None:
        """Return the record of a name; None for an unknown name and for a broken record, which `faults` names."""
        if name not in self._raw:
            return None
        try:
            return self[name]
        except ReportgenError as e:
            self.faults[name] = f"{name} is left out: {e}"
            return None

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
        return sum([file["bytes"] for file in values["files"]]), values["licence"], values["summary"]

    def text(self, name: str) -> str:
        """Return the text that a search reads, in lower case."""
        values = self._raw[name].values
        keys = ("name", "summary", "parts", "training", "scores", "paper", "licence")
        return json.dumps([values.get(key) for key in keys], ensure_ascii=False).lower()

    def shipped(self) -> Iterator[str]:
        """Yield the names of models with a source inside an installed package."""
        for name, raw in self._raw.items():
            sources = raw.values["sources"]
            if (raw.base or "").startswith("package:") or any(s.startswith("package:") for s in sources):
                yield name
