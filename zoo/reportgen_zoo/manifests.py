"""Where records come from: the manifest inside this package, and those that the user names.

$REPORTGEN_MANIFESTS is a comma list of paths and URLs; a manifest earlier in the list wins a name. The one inside the
package comes first: nobody can change what a name of ours means. Torch-free.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from reportgen_core import ReportgenError
from reportgen_core.registry import nearest

from .data import build, parse, schema
from .records import FORMAT, Manifest, Record, ZooError, check_record

MAX_MANIFEST = 64 * 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models of all manifests, and what is wrong with a manifest that could not be read."""

    models: Mapping[str, Record] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)  # model name: the manifest it is from
    problems: tuple[str, ...] = ()


def read_manifest(text: str | bytes, where: str) -> Manifest:
    """A manifest from JSON text. Raises where it is too large, of another format, or no manifest."""
    if len(text) > MAX_MANIFEST:
        raise ZooError(f"{where}: {len(text)} bytes is too large for a manifest")
    value = parse(text, where)
    if isinstance(value, dict) and value.get("format") != FORMAT:
        raise ZooError(f"{where}: manifest of format {value.get('format')!r}; this reportgen reads format {FORMAT}")
    manifest = build(Manifest, value, where)
    names: set[str] = set()
    for record in manifest.models:
        check_record(record, where)
        if record.name in names:
            raise ZooError(f"{where}: {record.name} is there twice")
        names.add(record.name)
    return manifest


def places() -> tuple[str, ...]:
    """The manifests the user named: paths and URLs."""
    return tuple(p.strip() for p in os.environ.get("REPORTGEN_MANIFESTS", "").split(",") if p.strip())


def builtin() -> Manifest:
    """The manifest inside this package."""
    text = (resources.files("reportgen_zoo") / "manifest.json").read_bytes()
    return resolved(read_manifest(text, "reportgen_zoo/manifest.json"), "package:reportgen_zoo")


def resolved(manifest: Manifest, base: str) -> Manifest:
    """The same manifest with sources that are relative to its place, `base`, made whole."""
    return replace(
        manifest, models=tuple(replace(r, sources=tuple(_whole(s, base) for s in r.sources)) for r in manifest.models)
    )


def _whole(source: str, base: str) -> str:
    return source if ":" in source or source.startswith(("/", "~")) else f"{base.rstrip('/')}/{source}"


def catalogue() -> Catalogue:
    """The models of all manifests; a broken manifest of the user's is left out and its problem kept."""
    return _catalogue(places())


@functools.cache
def _catalogue(named: tuple[str, ...]) -> Catalogue:
    models = {r.name: r for r in builtin().models}
    origins = dict.fromkeys(models, "reportgen")
    problems = []
    for place in named:
        try:
            found = resolved(read_manifest(_read(place), place), place.rpartition("/")[0] or ".")
        except (ReportgenError, OSError) as e:
            problems.append(str(e) if place in str(e) else f"{place}: {e}")
            continue
        for record in found.models:
            if record.name in models:
                problems.append(f"{record.name} of {place} is left out: {origins[record.name]} has that name")
                continue
            models[record.name], origins[record.name] = record, place
    return Catalogue(dict(sorted(models.items())), origins, tuple(problems))


def _read(place: str) -> bytes:
    scheme = urlsplit(place).scheme
    if scheme in ("http", "https"):
        from .sources import read_url

        return read_url(place, MAX_MANIFEST)
    path = Path(urlsplit(place).path if scheme == "file" else place)
    if path.stat().st_size > MAX_MANIFEST:
        raise ZooError(f"{path.stat().st_size} bytes is too large for a manifest")
    return path.read_bytes()


def record(name: str) -> Record:
    """The record of `name`, or of `NAME@sha256:DIGEST`, whose files' digest must begin so.

    Raises ZooError for an unknown name or another digest.
    """
    name, _, pin = name.partition("@")
    known = catalogue().models
    if name not in known:
        raise ZooError(f"no model named {name!r}; {nearest(name, known)}")
    found = known[name]
    if pin:
        kind, _, digest = pin.partition(":")
        if kind != "sha256" or len(digest) < 8:
            raise ZooError(f"{pin!r} is no pin; write {name}@sha256:{found.digest[:16]}")
        if not found.digest.startswith(digest):
            raise ZooError(f"{name} is pinned to {digest}, the manifest has {found.digest[: len(digest)]}")
    return found


def schema_text() -> str:
    """The text of manifest.schema.json."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "reportgen model manifest"}
    return json.dumps(head | schema(Manifest), indent=2) + "\n"
