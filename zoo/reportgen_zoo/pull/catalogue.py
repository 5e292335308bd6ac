"""Read records from the manifest inside this package, from those of plugins, and from those that the user names.

If two manifests have the same name, the first in this order wins, so that nobody can change the meaning of our names.
The user names manifests in the settings or in $REPORTGEN_MANIFESTS, a comma list of paths and URLs. Torch-free.
"""

from __future__ import annotations

import functools
import gc
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from reportgen_core import ReportgenError
from reportgen_core.errors import quoted
from reportgen_core.files.atomic import atomic_write
from reportgen_core.files.json_files import is_format
from reportgen_core.registry import did_you_mean
from reportgen_core.text.guesses import elsewhere

from ..manifest import settings, signing
from ..manifest.addresses import REMOTE, check_address, has_password, is_remote, without_password
from ..manifest.models import Models, RawRecord
from ..manifest.records import FORMAT, Manifest, Record, ZooError, is_name
from ..manifest.schema import from_json, parse, plain, schema
from . import cache
from .asking import Arrived, ask_all
from .sources import NETWORK_ERRORS, address, explain, local_folder, read_url

MAX_MANIFEST = 64 * 2**20  # bytes
MAX_REMOTE = 32  # manifests of the network
MAX_PROBLEMS = 5  # lines about the records of one manifest
NETWORK = tuple(f"{scheme}://" for scheme in REMOTE)
OURS = "reportgen"  # the origin of the models inside this package


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
    if isinstance(value, dict) and not is_format(value.get("format"), FORMAT):
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
    from reportgen_core.discovery import names

    return (*names("register_manifests"), *settings.manifests())


def catalogue() -> Catalogue:
    """Return the models of all manifests. A broken manifest or record is left out, and its problem is in the result."""
    return _catalogue(places(), cache.offline())


@functools.cache
def _catalogue(named: tuple[str, ...], offline: bool) -> Catalogue:
    models = Models()
    for record in builtin().models:
        models.add(RawRecord(plain(record), 0, OURS, None))
    used, problems = _capped(named)
    answers = {} if offline else ask_all(_readers(used))
    for place in used:
        try:
            raw_records = read(place, answers)
        except (*NETWORK_ERRORS, ReportgenError) as e:
            problems.append(_problem(e, place))
            continue
        problems += _add(models, raw_records, place)
    models.sort()
    return Catalogue(models, tuple(problems))


def _add(models: Models, raw_records: Iterable[RawRecord], place: str) -> list[str]:
    """Add the records of one manifest. Return a problem for each that is left out, at most MAX_PROBLEMS of them."""
    problems = []
    for raw in raw_records:
        try:
            models.add(raw)
        except ReportgenError as e:
            problems.append(_problem(e, place))
    more = len(problems) - MAX_PROBLEMS
    shown = without_password(place)
    return problems if more <= 0 else [*problems[:MAX_PROBLEMS], f"{shown}: {more} more records are left out"]


def _problem(error: Exception, place: str) -> str:
    """Return what is wrong with a manifest, in a text that names the manifest."""
    text, shown = without_password(explain(error, place)), without_password(place)
    return text if shown in text else f"{shown}: {text}"


def _capped(named: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the places that are read, at most MAX_REMOTE of them on the network, and a problem for the others."""
    remote = [place for place in named if place.lower().startswith(NETWORK)]
    unused = set(remote[MAX_REMOTE:])
    used = [place for place in named if place not in unused]
    more = f"{len(remote)} manifests of the network are named, and only the first {MAX_REMOTE} are read"
    return used, [more] if unused else []


def _readers(named: Iterable[str]) -> dict[str, Callable[[Arrived], bytes]]:
    """Return a reader for each URL of these manifests and their signatures. Places on this machine have none."""
    readers: dict[str, Callable[[Arrived], bytes]] = {}
    for place in named:
        try:
            if not is_remote(place):
                continue
            readers[_url(place, "")] = functools.partial(read_url, _url(place, ""), MAX_MANIFEST)
            if settings.key_of(place) is not None:
                signature = _url(place, signing.SUFFIX)
                readers[signature] = functools.partial(read_url, signature, signing.SIZE)
        except ZooError:
            continue  # `read` raises the same error
    return readers


def read(place: str, answers: Mapping[str, bytes | Exception] | None = None) -> list[RawRecord]:
    """Return the records of a manifest, not checked. `place` is a path, a URL, `package:NAME/FILE` or `hf://owner/repo`.

    In a repository the manifest is manifest.json. `answers` has the bytes or the error of each URL of the network that
    was asked before. Raises ReportgenError, OSError and HTTPException.
    """
    check_address(place)
    base = place if place.startswith("hf://") else place.rpartition("/")[0] or "."
    text = _bytes(place, "", MAX_MANIFEST, answers)
    if (key := settings.key_of(place)) is not None:
        signing.check_signature(text, _bytes(place, signing.SUFFIX, signing.SIZE, answers), key, place)
    return raw_records(text, place, base)


def _url(place: str, suffix: str) -> str:
    """Return the URL of a manifest of the network, or of the file with its name and `suffix`."""
    return address(place, "manifest.json" + suffix) if place.startswith("hf://") else place + suffix


def _bytes(place: str, suffix: str, limit: int, answers: Mapping[str, bytes | Exception] | None) -> bytes:
    """Return the bytes of a manifest, or of the file with its name and `suffix`."""
    if not is_remote(place):
        return _near(place + suffix, limit)
    url = _url(place, suffix)
    copy = cache.manifest_file(url)
    if cache.offline():
        if not copy.is_file():
            raise ZooError(f"{place}: was never read on this machine, and REPORTGEN_OFFLINE is set")
        return copy.read_bytes()
    answer = (answers or ask_all({url: functools.partial(read_url, url, limit)}))[url]
    if isinstance(answer, Exception):
        raise answer
    if not has_password(answer.decode("utf-8", "replace")):  # a copy would keep it
        with suppress(OSError):  # models are listed even if the cache cannot be written
            copy.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(copy, answer)
    return answer


def _near(place: str, limit: int) -> bytes:
    path = _path(place)
    if not path.is_file():
        raise ZooError(f"{place}: " + ("is no file" if path.exists() else "there is no such file"))
    if path.stat().st_size > limit:
        raise ZooError(f"{place}: {path.stat().st_size} bytes is too large for a manifest")
    return path.read_bytes()


def _path(place: str) -> Path:
    """Return the file of a place on this machine."""
    if check_address(place) in ("", "file", "package"):
        path = local_folder(place)
        assert path is not None
        return path
    return Path(place)


def find_record(name: str) -> Record | None:
    """Return the record of a model by its name; None for an unknown name. Raises ZooError if the record is broken.

    Other manifests are read only if the one inside this package has no such name.
    """
    if (own := _own(name)) is not None:
        return own
    return catalogue().models.get(name) if is_name(name) else None


def _own(name: str) -> Record | None:
    return next((record for record in builtin().models if record.name == name), None)


def origin(name: str) -> str:
    """Return the manifest that has the model."""
    return OURS if _own(name) is not None else catalogue().models.origin(name)


def record(name: str) -> Record:
    """Return the record of `name`, or of `NAME@sha256:DIGEST` if its digest begins so.

    Raises ZooError for an unknown name or another digest.
    """
    name, _, pin = name.partition("@")
    entry = find_record(name)
    if entry is None:
        listed = catalogue()
        unread = "; not all manifests could be read: rg zoo list says why" if listed.problems else ""
        meaning = elsewhere(name, "model") or did_you_mean(name[:60], listed.models)
        raise ZooError(f"no model named {quoted(name)}; {meaning}{unread}")
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
