"""The user's settings: a TOML file, and variables of the environment that stand before it.

The file is $REPORTGEN_CONFIG, else reportgen/config.toml in $XDG_CONFIG_HOME or ~/.config:

    manifests = ["https://zoo.hospital.example/manifest.json", "/srv/zoo/manifest.json"]
    mirror = "/srv/zoo/models"      # looked in before a record's own sources
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

from .schema import DataFormatError, build


@dataclass(frozen=True, slots=True)
class Settings:
    """What the file may say."""

    manifests: tuple[str, ...] = ()
    mirror: str = ""
    offline: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)  # a manifest's place: the public key it is signed with


def file() -> Path:
    """Where the settings are, whether or not there are any."""
    if named := os.environ.get("REPORTGEN_CONFIG"):
        return Path(named).expanduser()
    base = Path(os.environ.get("XDG_CONFIG_HOME", ""))  # the XDG rule: one that is not absolute is ignored
    return (base if base.is_absolute() else Path.home() / ".config") / "reportgen" / "config.toml"


def settings() -> Settings:
    """What the file says. Raises OptionError naming the file and what is wrong with it."""
    at = file()
    try:
        changed = at.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    return _read(at, changed)


@functools.lru_cache(4)
def _read(at: Path, changed: int) -> Settings:
    try:
        return build(Settings, tomllib.loads(at.read_text(encoding="utf-8")), str(at))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise OptionError(f"{at}: cannot be read: {e}") from e
    except DataFormatError as e:
        raise OptionError(str(e)) from e


def manifests() -> tuple[str, ...]:
    """The manifests that the user named, those of $REPORTGEN_MANIFESTS first."""
    named = [p.strip() for p in os.environ.get("REPORTGEN_MANIFESTS", "").split(",")]
    return tuple(dict.fromkeys(p for p in (*named, *settings().manifests) if p))


def mirror() -> str:
    """A folder or URL that is looked in first; "" for none."""
    return (os.environ.get("REPORTGEN_MIRROR") or settings().mirror).rstrip("/")


def offline() -> bool:
    """Whether only what is on this machine may be used."""
    said = os.environ.get("REPORTGEN_OFFLINE")
    return settings().offline if said is None or said == "" else said != "0"


def key_of(place: str) -> str | None:
    """The public key that the manifest at `place` must be signed with, where the user has pinned one."""
    return settings().keys.get(place)
