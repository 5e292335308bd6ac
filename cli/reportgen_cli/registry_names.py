"""The registries by the words that `rg list` and `rg info` take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import reportgen_core
from reportgen_core import Entry, Registry
from reportgen_core.discovery import names
from reportgen_core.registries import text_recipes, text_stores
from reportgen_core.registry import match_name
from reportgen_core.text.recipes import RECIPES, SUMMARIES


def _recipes() -> Iterator[tuple[str, Entry]]:
    """Yield the text recipes of the core and those of plugins, each with its owner."""
    for name in RECIPES:
        yield "reportgen:builtin", Entry(name, "reportgen_core.text.recipes:RECIPES", *SUMMARIES[name])
    yield from ((text_recipes.owner(name), entry) for name, entry in text_recipes.items())


KINDS: dict[str, Registry[Any]] = {
    "encoders": reportgen_core.encoders,
    "decoders": reportgen_core.decoders,
    "retrievers": reportgen_core.retrievers,
    "reporters": reportgen_core.reporters,
    "metrics": reportgen_core.metrics,
    "protocols": reportgen_core.protocols,
    "datasets": reportgen_core.datasets,
    "sentence-encoders": reportgen_core.sentence_encoders,
    "sentence-classifiers": reportgen_core.sentence_classifiers,
    "sentence-groupers": reportgen_core.sentence_groupers,
    "text-stores": text_stores,
    "recipes": Registry("text recipe", "builtins:object", _recipes),
    "presets": reportgen_core.presets,
}


def meant_model(name: str) -> str:
    """Return the name of the only model that `name` can mean; the name itself for a folder, or if none is meant."""
    base, at, digest = name.partition("@")
    if Path(name).exists() or "/" in name:
        return name
    match = match_name(base, names("known_models"))
    return name if match is None else match + at + digest


def check_model_name(name: str) -> None:
    """Raise an error for a name that no model has and a folder that is no model. Nothing is fetched and loaded."""
    from reportgen_core.models.loading import find_model_folder

    chosen = meant_model(name)
    if Path(chosen).exists() or chosen.partition("@")[0] not in set(names("known_models")):
        find_model_folder(chosen)


def entries_named(name: str) -> Iterator[tuple[Registry[Any], Entry]]:
    """Yield every registered entry of this name with its registry, whatever its kind.

    If there is none, yield those that are meant without doubt: in capitals, with "_", without their end.
    """
    exact = [(registry, registry[name]) for registry in KINDS.values() if name in registry]
    yield from exact
    if exact:
        return
    for registry in KINDS.values():
        meant = match_name(name, registry)
        if meant is not None:
            yield registry, registry[meant]
