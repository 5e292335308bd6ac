"""Records by name, built when they are asked for: a manifest of ten thousand models is listed at once.

What is needed to list a model is looked at as it stands in the JSON; everything else about it is checked when its
record is built, which comes before anything is done with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from .records import Record, ZooError, check_name, check_record
from .schema import build

REMOTE = ("http", "https", "hf")


@dataclass(frozen=True, slots=True)
class Given:
    """A record as it stands in a manifest."""

    values: Any
    index: int  # in its manifest
    manifest: str
    base: str | None  # what its sources are relative to; None leaves them as they are

    def record(self) -> Record:
        """The record. Raises DataFormatError or ZooError naming what is wrong with it."""
        made = build(Record, self.values, f"{self.manifest}.models[{self.index}]")
        check_record(made, self.manifest)
        if self.base is None:
            return made
        sources = tuple(whole(s, self.base) for s in made.sources)
        if urlsplit(self.base).scheme in REMOTE:
            for source in sources:
                if urlsplit(source).scheme not in (*REMOTE, "package"):
                    raise ZooError(
                        f"{self.manifest}: {made.name}: a manifest from the network names a place on this machine: "
                        f"{source[:80]!r}"
                    )
        return replace(made, sources=sources)


def whole(source: str, base: str) -> str:
    """A source that may be relative to the place of its manifest."""
    return source if ":" in source or source.startswith(("/", "~")) else f"{base.rstrip('/')}/{source}"


class Models(Mapping[str, Record]):
    """The models of all manifests, in the order of their names."""

    def __init__(self) -> None:
        self._given: dict[str, Given] = {}
        self._made: dict[str, Record] = {}

    def add(self, given: Given) -> str:
        """Take a record in. What is wrong with it, or with its name, is the answer; "" where all is well."""
        name = given.values.get("name") if isinstance(given.values, dict) else None
        if not isinstance(name, str):
            given.record()  # says what is wrong
            return f"{given.manifest}: a record has no name"
        if name not in self._given:
            check_name(name)
            self._given[name] = given
            return ""
        first, second = self[name], given.record()
        if first.digest != second.digest:
            return f"{name} of {given.manifest} is left out: {self._given[name].manifest} has that name"
        self._made[name] = replace(first, sources=tuple(dict.fromkeys(first.sources + second.sources)))
        return ""  # the same bytes, to be had at another place too

    def sort(self) -> None:
        """Put the names in order."""
        self._given = dict(sorted(self._given.items()))

    def __getitem__(self, name: str) -> Record:
        if name not in self._made:
            self._made[name] = self._given[name].record()
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        return name in self._given

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def origin(self, name: str) -> str:
        """The manifest that a model is from."""
        return self._given[name].manifest

    def brief(self, name: str) -> tuple[int, str, str]:
        """Bytes, licence and summary of a model, as its manifest has them."""
        values = self._given[name].values
        try:
            size = sum([file["bytes"] for file in values["files"]])
            licence, summary = values["licence"], values["summary"]
            if type(size) is int and type(licence) is str and type(summary) is str:
                return size, licence, summary
        except (KeyError, TypeError):
            pass
        record = self[name]  # says what is wrong
        return record.bytes, record.licence, record.summary

    def text(self, name: str) -> str:
        """What a search looks through, in lower case."""
        values = self._given[name].values
        keys = ("name", "summary", "parts", "training", "scores", "paper", "licence")
        return json.dumps([values.get(key) for key in keys], ensure_ascii=False).lower()

    def shipped(self) -> Iterator[str]:
        """The names of those that may lie inside an installed package."""
        for name, given in self._given.items():
            if given.base is not None and given.base.startswith("package:"):
                yield name
                continue
            for source in given.values.get("sources", ()):
                if isinstance(source, str) and source.startswith("package:"):
                    yield name
                    break
