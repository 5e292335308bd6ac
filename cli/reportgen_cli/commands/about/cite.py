"""Print the BibTeX of parts. The package of a part has a file `citations.bib` that says which papers describe it.

A field `parts = {encoder vgg16, decoder x}` of an entry names the parts, and a line `% none: dataset table` those
without a paper. A third party's package has such a file next to the module of its part, or in a folder above.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reportgen_core import Registry, UnknownName
from reportgen_core.models.loading import find_model_folder

from ...registry_names import KINDS

_PARTS = re.compile(r"^\s*parts\s*=\s*\{([^}]*)\},?\s*?\n", re.MULTILINE)
_ENTRY = re.compile(r"^@\w+\{.*?^\}", re.MULTILINE | re.DOTALL)
_NONE = re.compile(r"^%\s*none:(.*)$", re.MULTILINE)


def citations(name: str) -> list[str]:
    """Return the BibTeX of a part, a preset or a model, and a comment for each part without a paper, each once.

    Raises UnknownName.
    """
    lines: list[str] = []
    for registry, part in parts_of(name):
        lines += cite(registry, part)
    return list(dict.fromkeys(lines))


def parts_of(name: str) -> Iterator[tuple[Registry[Any], str]]:
    """Yield the parts behind a name, each with its registry: itself, or those of a preset or of a model's folder."""
    alike = {kind: (r, r.find(name)) for kind, r in KINDS.items() if kind != "presets" and name in r}
    own = [part for kind, part in alike.items() if kind != "recipes"] or list(alike.values())
    if own:
        yield from own
        return
    if name in KINDS["presets"]:
        from reportgen_zoo.reproduce.preset import load_preset

        loaded = load_preset(name)
        named = {"encoders": loaded.compose.encoder, "decoders": loaded.compose.decoder}
        named |= {"retrievers": loaded.compose.retriever, "datasets": loaded.data.dataset}
        yield from ((KINDS[kind], part) for kind, part in named.items() if part and part in KINDS[kind])
        return
    try:
        config = json.loads((find_model_folder(name) / "config.json").read_text(encoding="utf-8"))
    except UnknownName as e:
        raise UnknownName(f"nothing that can be cited is named {name!r}: {e}") from e
    yield from _parts_of_config(config, name)


def _parts_of_config(config: Mapping[str, Any], name: str) -> Iterator[tuple[Registry[Any], str]]:
    """Yield the parts of a model's config, and the dataset that a manifest says it was trained on."""
    from reportgen_zoo.pull import catalogue

    for kind in ("encoder", "decoder", "retriever", "reporter"):
        part = config.get(kind)
        registry = KINDS.get(f"{kind}s")
        if isinstance(part, Mapping) and registry is not None and part.get("name") in registry:
            yield registry, str(part["name"])
    record = None if Path(name).exists() else catalogue.find_record(name.partition("@")[0])
    if record is not None and record.training:
        data = record.training.data.lower()
        yield from ((KINDS["datasets"], dataset) for dataset in KINDS["datasets"] if dataset in data)


def cite(registry: Registry[Any], name: str) -> list[str]:
    """Return the BibTeX of one part: its entries, or a comment that says that it has none or declares none."""
    entry = registry[name]
    label = f"{registry.kind} {entry.name}"
    text = _bibliography(entry.target.partition(":")[0])
    found = [_PARTS.sub("", block) for block in _ENTRY.findall(text) if label in _names(_PARTS.findall(block))]
    if found:
        return found
    if label in _names(_NONE.findall(text)):
        return [f"% {registry.kind} {name}: no paper" + (f"; {entry.paper}" if entry.paper else "")]
    return [
        f"% {registry.kind} {name} of {registry.owner(name)} declares no citation; paper: {entry.paper or 'not said'}"
    ]


def _names(lists: Sequence[str]) -> set[str]:
    return {" ".join(name.split()) for names in lists for name in names.split(",")}


@functools.cache
def _bibliography(module: str) -> str:
    """Return the citations.bib next to a module, or in the nearest package above it; "" if there is none."""
    package = module
    while package:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            file = Path(folder) / "citations.bib"
            if file.is_file():
                return file.read_text(encoding="utf-8")
        package = package.rpartition(".")[0]
    return ""
