"""Where fetched models lie.

$REPORTGEN_CACHE or ~/.cache/reportgen/models/NAME/             a whole model
                                      models/.partial/NAME-…/  one that is being fetched
                                      models/.locks/NAME.lock
                           manifests/                       manifests of the network, for the day without one
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ..manifest import settings
from ..manifest.records import Record, check_name


def folder() -> Path:
    """The cache of this user: $REPORTGEN_CACHE, else reportgen in $XDG_CACHE_HOME, else ~/.cache/reportgen."""
    if named := os.environ.get("REPORTGEN_CACHE"):
        return Path(named).expanduser()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))  # the XDG rule: one that is not absolute is ignored
    return (base if base.is_absolute() else Path.home() / ".cache") / "reportgen"


def model_folder(name: str) -> Path:
    """Where the whole model `name` lies once it is fetched."""
    return folder() / "models" / check_name(name)


def partial_folder(record: Record) -> Path:
    """Where the files of a model gather until all are there; its name changes with the bytes."""
    return folder() / "models" / ".partial" / f"{check_name(record.name)}-{record.digest[:16]}"


def lock_file(name: str) -> Path:
    return folder() / "models" / ".locks" / f"{check_name(name)}.lock"


def manifest_file(place: str) -> Path:
    """Where what was read from a place on the network is kept."""
    return folder() / "manifests" / f"{hashlib.sha256(place.encode()).hexdigest()[:32]}.json"


def offline() -> bool:
    """Whether to use only what is on this machine: $REPORTGEN_OFFLINE, else the settings."""
    return settings.offline()
