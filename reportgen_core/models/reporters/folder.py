"""The folder of a reporter: config.json, its own files, and a card for people.

config.json   name and options, the package that registered it, the reference
prompt.txt …  files that options name (`Reporter.files`)
(others)      what the reporter writes itself (`Reporter.write_files`)
card.md       a description for a reader
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ...errors import CheckpointError, UnknownName, quoted
from ...files.atomic import replacing
from ...files.json_files import is_format, read_json, write_json
from ...registries import reporters
from ...registry import did_you_mean
from ...version import __version__
from ..owners import owned_name, plain_name
from .reference import Reference, check_reference, reference_from_json

CONFIG, CARD, FORMAT = "config.json", "card.md", 1
KEYS = ("format", "reportgen", "reporter", "reference")
PART_KEYS: Mapping[str, type] = {"name": str, "options": dict, "plugin": str, "version": str}


class Savable(Protocol):
    """A reporter, as far as its folder goes."""

    files: ClassVar[Mapping[str, str]]
    reference: Reference | None
    part_config: dict[str, Any]

    @property
    def limits(self) -> tuple[str, ...]:
        """Return lines on what it cannot promise."""

    def write_files(self, folder: Path) -> None:
        """Write files of its own."""


def is_reporter(folder: Path) -> bool:
    """Return whether a folder with a config.json holds a reporter, and not a model of parts."""
    config = read_json(folder / CONFIG)
    return isinstance(config, dict) and "reporter" in config


def reporter_config(reporter: Savable) -> dict[str, Any]:
    """Return the contents of config.json. An option that names a file has the file's name in the folder."""
    name = reporter.part_config["name"]
    options = dict(reporter.part_config["options"])
    options |= {option: file for option, file in reporter.files.items() if options.get(option)}
    package = reporters.owner(name).partition(":")[0]
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:  # registered by the running program itself
        version = ""
    part = {"name": plain_name(name, package), "options": options, "plugin": package, "version": version}
    config: dict[str, Any] = {"format": FORMAT, "reportgen": __version__, "reporter": part}
    return config | ({} if reporter.reference is None else {"reference": reporter.reference.to_json()})


def save_reporter(reporter: Savable, folder: Path, card: str = "") -> Path:
    """Write a reporter as a folder; an older folder is replaced once the new one is whole. Raises CheckpointError."""
    config = reporter_config(reporter)
    with replacing(folder, holds=CONFIG) as temporary:
        for option, file in reporter.files.items():
            if source := reporter.part_config["options"].get(option):
                shutil.copyfile(source, temporary / file)
        reporter.write_files(temporary)
        (temporary / CARD).write_text(card or default_card(reporter), encoding="utf-8")
        write_json(temporary / CONFIG, config)
    return folder


def default_card(reporter: Savable) -> str:
    """Return a card with the facts that are known of every reporter."""
    name = reporter.part_config["name"]
    where = f" of {reporter.reference.source}" if reporter.reference else ""
    limits = "".join(f"\n\n{line}" for line in reporter.limits)
    return f"# {name}\n\nA reporter of reportgen: `{name}`{where}. For research; not for clinical use.{limits}\n"


def read_reporter(folder: Path) -> Any:
    """Build the reporter of a folder. Raises CheckpointError that names what is wrong."""
    path = folder / CONFIG
    config = read_json(path)
    if not isinstance(config, dict) or not is_format(config.get("format"), FORMAT):
        number = config.get("format") if isinstance(config, dict) else None
        raise CheckpointError(f"{folder} is a reporter of format {number!r}; this reportgen reads format {FORMAT}")
    if unknown := sorted(set(config) - set(KEYS)):
        raise CheckpointError(f"{path} has an unknown key {quoted(unknown[0])}; {did_you_mean(unknown[0][:60], KEYS)}")
    part = _part(config["reporter"], path)
    try:
        name = owned_name(reporters, part)
    except UnknownName as e:
        package = part.get("plugin", "")
        fix = f"; it came with {package} {part.get('version', '')}: pip install {package}" if package else ""
        raise CheckpointError(f"{folder}: {e}{fix}") from e
    options = dict(part["options"])
    for option, file in reporters.get_class(name).files.items():
        if options.get(option) is not None:
            if options[option] != file or not (folder / file).is_file():
                raise CheckpointError(f"{folder} lacks {file}, which is the {option} of its {name}")
            options[option] = str(folder / file)
    reporter = reporters.create(name, **options)
    reporter.read_files(folder)
    if "reference" in config and reporter.reference is not None:
        check_reference(reference_from_json(config["reference"], str(path)), reporter.reference, str(folder))
    return reporter


def _part(part: Any, path: Path) -> dict[str, Any]:
    """Return the section of the reporter, checked. Raises CheckpointError."""
    if not isinstance(part, dict):
        raise CheckpointError(f"{path}: reporter is no object with name and options")
    for key, value in part.items():
        if key not in PART_KEYS:
            raise CheckpointError(
                f"{path}: reporter has an unknown key {quoted(key)}; {did_you_mean(key[:60], PART_KEYS)}"
            )
        if not isinstance(value, PART_KEYS[key]):
            raise CheckpointError(f"{path}: reporter: {key} is no {'object' if key == 'options' else 'text'}")
    if missing := [key for key in ("name", "options") if key not in part]:
        raise CheckpointError(f"{path}: reporter lacks {missing[0]}")
    return part
