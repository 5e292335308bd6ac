"""The folders of fetched models.

$REPORTGEN_CACHE or ~/.cache/reportgen/models/NAME/             one complete model
                                      models/.partial/NAME-…/  a model that is being fetched
                                      models/.locks/NAME.lock
                           manifests/                       manifests of the network, for offline use
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..manifest import settings
from ..manifest.records import Record, check_name


def folder() -> Path:
    """Return the cache of this user: $REPORTGEN_CACHE, else reportgen in $XDG_CACHE_HOME, else ~/.cache/reportgen."""
    if named := os.environ.get("REPORTGEN_CACHE"):
        return Path(named).expanduser()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))  # the XDG rule: one that is not absolute is ignored
    return (base if base.is_absolute() else Path.home() / ".cache") / "reportgen"


def model_folder(name: str) -> Path:
    """Return the folder of the model `name` after it was fetched."""
    return folder() / "models" / check_name(name)


def partial_folder(record: Record) -> Path:
    """Return the folder of an incomplete download; its name depends on the record's hashes."""
    return folder() / "models" / ".partial" / f"{check_name(record.name)}-{record.digest[:16]}"


def lock_file(name: str) -> Path:
    """Return the lock of the model `name`."""
    return folder() / "models" / ".locks" / f"{check_name(name)}.lock"


def manifest_file(place: str) -> Path:
    """Return the local copy of a manifest of the network."""
    return folder() / "manifests" / f"{hashlib.sha256(place.encode()).hexdigest()[:32]}.json"


def offline() -> bool:
    """Return whether only files on this machine may be used: $REPORTGEN_OFFLINE, else the settings."""
    return settings.offline()
