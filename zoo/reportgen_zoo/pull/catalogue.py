"""Read records from the manifest inside this package, from those of plugins, and from those that the user names.

If two manifests have the same name, the first in this order wins, so that nobody can change the meaning of our names.
The user names manifests in the settings or in $REPORTGEN_MANIFESTS, a comma list of paths and URLs. Torch-free.
"""

from __future__ import annotations

import functools
import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from reportgen_core import ReportgenError
from reportgen_core.files.atomic import atomic_write
from reportgen_core.registry import did_you_mean

from ..manifest import settings, signing
from ..manifest.models import REMOTE, Models, RawRecord
from ..manifest.records import FORMAT, Manifest, Record, ZooError
from ..manifest.schema import from_json, parse, plain, schema
from . import cache

MAX_MANIFEST = 64 * 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models of all manifests, and the problems of manifests and records that could not be read."""

    models: Models
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Shell:
    """A manifest whose records are not checked yet."""

    format: int
    models: tuple[Any, ...] = ()


def read_manifest(text: str | bytes, where: str, base: str | None = None) -> Manifest:
    """Return the manifest of a JSON text. Raises ZooError or DataFormatError for a wrong size, format or record.

    `base` is the folder or URL of the manifest; relative sources are joined to it. A manifest of the network may not
    name files on the machine of its reader.
    """
    records: dict[str, Record] = {}
    for raw in raw_records(text, where, base):
        record = raw.record()
        if record.name in records:
            raise ZooError(f"{where}: {record.name} is there twice")
        records[record.name] = record
    return Manifest(FORMAT, tuple(records.values()))


def raw_records(text: str | bytes, where: str, base: str | None = None) -> list[RawRecord]:
    """Return the records of a manifest without checking them."""
    if len(text) > MAX_MANIFEST:
        raise ZooError(f"{where}: {len(text)} bytes is too large for a manifest")
    with no_collection():
        value = parse(text, where)
    if isinstance(value, dict) and value.get("format") != FORMAT:
        version = json.dumps(value.get("format"))[:40]
        raise ZooError(f"{where}: manifest of format {version}; this reportgen reads format {FORMAT}")
    return [RawRecord(v, i, where, base) for i, v in enumerate(from_json(_Shell, value, where).models)]


@contextmanager
def no_collection() -> Iterator[None]:
    """Pause Python's collector of cycles, which would read a large manifest again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def builtin() -> Manifest:
    """Return the manifest inside this package."""
    text = (resources.files("reportgen_zoo") / "manifest.json").read_bytes()
    return read_manifest(text, "reportgen_zoo/manifest.json", "package:reportgen_zoo")


def places() -> tuple[str, ...]:
    """Return the places of all other manifests: those of plugins, then those that the user named."""
    from reportgen_core.discovery import load_plugins

    of_plugins = [place for places in load_plugins()[0].hook.register_manifests() for place in places]
    return (*of_plugins, *settings.manifests())


def catalogue() -> Catalogue:
    """Return the models of all manifests. A broken manifest is left out, and its problem is in the result."""
    return _catalogue(places(), cache.offline())


@functools.cache
def _catalogue(named: tuple[str, ...], offline: bool) -> Catalogue:
    models, problems = Models(), []
    for record in builtin().models:
        models.add(RawRecord(plain(record), 0, "reportgen", None))
    for place in named:
        try:
            problems += [problem for raw in read(place) if (problem := models.add(raw))]
        except (ReportgenError, HTTPException, OSError) as e:
            problems.append(str(e) if place in str(e) else f"{place}: {e}")
    models.sort()
    return Catalogue(models, tuple(problems))


def read(place: str) -> list[RawRecord]:
    """Return the records of a manifest, not checked. `place` is a path, a URL, `package:NAME/FILE` or `hf://owner/repo`.

    In a repository the manifest is manifest.json. Raises ReportgenError, OSError and HTTPException.
    """
    base = place if place.startswith("hf://") else place.rpartition("/")[0] or "."
    text = _bytes(place, "", MAX_MANIFEST)
    if (key := settings.key_of(place)) is not None:
        signing.check_signature(text, _bytes(place, signing.SUFFIX, signing.SIZE), key, place)
    return raw_records(text, place, base)


def _bytes(place: str, suffix: str, limit: int) -> bytes:
    """Return the bytes of a manifest, or of the file with its name and `suffix`."""
    from .sources import address

    if place.startswith("hf://"):
        return _far(place, address(place, "manifest.json" + suffix), limit)
    if urlsplit(place).scheme in REMOTE:
        return _far(place, place + suffix, limit)
    return _near(place + suffix, limit)


def _far(place: str, url: str, limit: int) -> bytes:
    """Return the bytes at a URL and save a copy in the cache. Offline, return the copy."""
    from .sources import read_url

    copy = cache.manifest_file(url)
    if cache.offline():
        if not copy.is_file():
            raise ZooError(f"{place}: was never read on this machine, and REPORTGEN_OFFLINE is set")
        return copy.read_bytes()
    text = read_url(url, limit)
    with suppress(OSError):  # models are listed even if the cache cannot be written
        copy.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(copy, text)
    return text


def _near(place: str, limit: int) -> bytes:
    path = _path(place)
    if not path.is_file():
        raise ZooError(f"{place}: " + ("is no file" if path.exists() else "there is no such file"))
    if path.stat().st_size > limit:
        raise ZooError(f"{place}: {path.stat().st_size} bytes is too large for a manifest")
    return path.read_bytes()


def _path(place: str) -> Path:
    """Return the file of a place on this machine."""
    if urlsplit(place).scheme in ("", "file", "package"):
        from .sources import local_folder

        path = local_folder(place)
        assert path is not None
        return path
    return Path(place)


def record(name: str) -> Record:
    """Return the record of `name`, or of `NAME@sha256:DIGEST` if its digest begins so.

    Raises ZooError for an unknown name or another digest.
    """
    name, _, pin = name.partition("@")
    models = catalogue().models
    if name not in models:
        raise ZooError(f"no model named {name!r}; {did_you_mean(name, models)}")
    entry = models[name]
    if pin:
        kind, _, digest = pin.partition(":")
        if kind != "sha256" or len(digest) < 8:
            raise ZooError(f"{pin!r} is no pin; write {name}@sha256:{entry.digest[:16]}")
        if not entry.digest.startswith(digest):
            raise ZooError(f"{name} is pinned to {digest}, the manifest has {entry.digest[: len(digest)]}")
    return entry


def schema_text() -> str:
    """Return the text of manifest.schema.json."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "reportgen model manifest"}
    return json.dumps(head | schema(Manifest), indent=2) + "\n"
