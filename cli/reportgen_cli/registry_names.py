"""The registries by the words that `rg list` and `rg info` take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import reportgen_core
from reportgen_core import Entry, Registry

KINDS: dict[str, Registry[Any]] = {
    "encoders": reportgen_core.encoders,
    "decoders": reportgen_core.decoders,
    "retrievers": reportgen_core.retrievers,
    "metrics": reportgen_core.metrics,
    "protocols": reportgen_core.protocols,
    "datasets": reportgen_core.datasets,
    "sentence-encoders": reportgen_core.sentence_encoders,
    "sentence-classifiers": reportgen_core.sentence_classifiers,
    "sentence-groupers": reportgen_core.sentence_groupers,
    "presets": reportgen_core.presets,
}


def entries_named(name: str) -> Iterator[tuple[Registry[Any], Entry]]:
    """Yield every registered entry of this name with its registry, whatever its kind."""
    for registry in KINDS.values():
        try:
            yield registry, registry[name]
        except reportgen_core.UnknownName:
            continue
