"""The user's settings: a TOML file. Environment variables override it.

The file is $REPORTGEN_CONFIG, else reportgen/config.toml in $XDG_CONFIG_HOME or ~/.config:

    manifests = ["https://zoo.hospital.example/manifest.json", "/srv/zoo/manifest.json"]
    mirror = "/srv/zoo/models"      # searched before the sources of a record
    offline = true                  # use only what is on this machine
    [keys]                          # manifests that must be signed, and by whom
    "https://zoo.hospital.example/manifest.json" = "ed25519:..."
"""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reportgen_core import OptionError

from .schema import DataFormatError, from_json


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the file, with their defaults."""

    manifests: tuple[str, ...] = ()
    mirror: str = ""
    offline: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)  # place of a manifest: the public key of its signature


def file() -> Path:
    """Return the path of the settings file, which need not exist."""
    if named := os.environ.get("REPORTGEN_CONFIG"):
        return Path(named).expanduser()
    base = Path(os.environ.get("XDG_CONFIG_HOME", ""))  # the XDG rule: one that is not absolute is ignored
    return (base if base.is_absolute() else Path.home() / ".config") / "reportgen" / "config.toml"


def settings() -> Settings:
    """Return the settings of the user. Raises OptionError, which names the file and the fault."""
    at = file()
    try:
        changed = at.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    return _read(at, changed)


@functools.lru_cache(4)
def _read(at: Path, changed: int) -> Settings:
    try:
        return from_json(Settings, tomllib.loads(at.read_text(encoding="utf-8")), str(at))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise OptionError(f"{at}: cannot be read: {e}") from e
    except DataFormatError as e:
        raise OptionError(str(e)) from e


def manifests() -> tuple[str, ...]:
    """Return the places of the user's manifests, those of $REPORTGEN_MANIFESTS first."""
    places = [p.strip() for p in os.environ.get("REPORTGEN_MANIFESTS", "").split(",")]
    return tuple(dict.fromkeys(p for p in (*places, *settings().manifests) if p))


def mirror() -> str:
    """Return the folder or URL that is searched first; "" if there is none."""
    return (os.environ.get("REPORTGEN_MIRROR") or settings().mirror).rstrip("/")


def offline() -> bool:
    """Return whether only files on this machine may be used."""
    value = os.environ.get("REPORTGEN_OFFLINE")
    return settings().offline if value is None or value == "" else value != "0"


def key_of(place: str) -> str | None:
    """Return the public key that must have signed the manifest at `place`; None if the user pinned none."""
    return settings().keys.get(place)
