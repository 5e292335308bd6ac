"""Where records come from: the manifest inside this package, those of plugins, and those that the user names.

A manifest earlier in this order wins a name: nobody can change what a name of ours means. The user names them in the
settings or in $REPORTGEN_MANIFESTS, a comma list of paths and URLs. Torch-free.
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
from ..manifest.models import REMOTE, Given, Models
from ..manifest.records import FORMAT, Manifest, Record, ZooError
from ..manifest.schema import build, parse, plain, schema
from . import cache

MAX_MANIFEST = 64 * 2**20  # bytes


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The models of all manifests, and what is wrong with a manifest that could not be read."""

    models: Models
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Shell:
    """A manifest whose records are not looked at yet."""

    format: int
    models: tuple[Any, ...] = ()


def read_manifest(text: str | bytes, where: str, base: str | None = None) -> Manifest:
    """A manifest from JSON text. Raises where it is too large, of another format, or no manifest.

    With `base`, the place where it lies, sources that are relative to it are made whole. A manifest from the network
    may not send its reader to files of the reader's own machine.
    """
    made: dict[str, Record] = {}
    for given in given_in(text, where, base):
        record = given.record()
        if record.name in made:
            raise ZooError(f"{where}: {record.name} is there twice")
        made[record.name] = record
    return Manifest(FORMAT, tuple(made.values()))


def given_in(text: str | bytes, where: str, base: str | None = None) -> list[Given]:
    """The records of a manifest as they stand there."""
    if len(text) > MAX_MANIFEST:
        raise ZooError(f"{where}: {len(text)} bytes is too large for a manifest")
    with no_collection():
        value = parse(text, where)
    if isinstance(value, dict) and value.get("format") != FORMAT:
        found = json.dumps(value.get("format"))[:40]
        raise ZooError(f"{where}: manifest of format {found}; this reportgen reads format {FORMAT}")
    return [Given(v, i, where, base) for i, v in enumerate(build(_Shell, value, where).models)]


@contextmanager
def no_collection() -> Iterator[None]:
    """Python's collector of cycles put off: it would look through a large manifest again and again."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def builtin() -> Manifest:
    """The manifest inside this package."""
    text = (resources.files("reportgen_zoo") / "manifest.json").read_bytes()
    return read_manifest(text, "reportgen_zoo/manifest.json", "package:reportgen_zoo")


def places() -> tuple[str, ...]:
    """Manifests beside the one inside this package: those of plugins, then those that the user named."""
    from reportgen_core.discovery import load_plugins

    theirs = [place for places in load_plugins()[0].hook.register_manifests() for place in places]
    return (*theirs, *settings.manifests())


def catalogue() -> Catalogue:
    """The models of all manifests; a broken manifest is left out and its problem kept."""
    return _catalogue(places(), cache.offline())


@functools.cache
def _catalogue(named: tuple[str, ...], offline: bool) -> Catalogue:
    models, problems = Models(), []
    for record in builtin().models:
        models.add(Given(plain(record), 0, "reportgen", None))
    for place in named:
        try:
            problems += [problem for given in read(place) if (problem := models.add(given))]
        except (ReportgenError, HTTPException, OSError) as e:
            problems.append(str(e) if place in str(e) else f"{place}: {e}")
    models.sort()
    return Catalogue(models, tuple(problems))


def read(place: str) -> list[Given]:
    """The records of the manifest at a path, a URL, `package:NAME/FILE` or `hf://owner/repo`, there manifest.json.

    Raises ReportgenError, OSError and what a network raises.
    """
    base = place if place.startswith("hf://") else place.rpartition("/")[0] or "."
    text = _bytes(place, "", MAX_MANIFEST)
    if (key := settings.key_of(place)) is not None:
        signing.check(text, _bytes(place, signing.SUFFIX, signing.SIZE), key, place)
    return given_in(text, place, base)


def _bytes(place: str, suffix: str, limit: int) -> bytes:
    """What a manifest's file holds, or the file beside it that is named with a suffix more."""
    from .sources import address

    if place.startswith("hf://"):
        return _far(place, address(place, "manifest.json" + suffix), limit)
    if urlsplit(place).scheme in REMOTE:
        return _far(place, place + suffix, limit)
    return _near(place + suffix, limit)


def _far(place: str, url: str, limit: int) -> bytes:
    """The bytes at a URL, kept for the day without a network. Offline, the kept ones."""
    from .sources import read_url

    kept = cache.manifest_file(url)
    if cache.offline():
        if not kept.is_file():
            raise ZooError(f"{place}: was never read on this machine, and REPORTGEN_OFFLINE is set")
        return kept.read_bytes()
    text = read_url(url, limit)
    with suppress(OSError):  # a cache that cannot be written is no reason to list nothing
        kept.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(kept, text)
    return text


def _near(place: str, limit: int) -> bytes:
    path = _path(place)
    if not path.is_file():
        raise ZooError(f"{place}: " + ("is no file" if path.exists() else "there is no such file"))
    if path.stat().st_size > limit:
        raise ZooError(f"{place}: {path.stat().st_size} bytes is too large for a manifest")
    return path.read_bytes()


def _path(place: str) -> Path:
    """The file that a place on this machine is."""
    if urlsplit(place).scheme in ("", "file", "package"):
        from .sources import local_folder

        found = local_folder(place)
        assert found is not None
        return found
    return Path(place)


def record(name: str) -> Record:
    """The record of `name`, or of `NAME@sha256:DIGEST`, whose files' digest must begin so.

    Raises ZooError for an unknown name or another digest.
    """
    name, _, pin = name.partition("@")
    known = catalogue().models
    if name not in known:
        raise ZooError(f"no model named {name!r}; {did_you_mean(name, known)}")
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
