"""Describe a registered part for `rg info` by reading its class: options, defaults, paper, file, needs."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from reportgen_core import Entry, Registry
from reportgen_core.registry import resolve
from reportgen_core.text.recipes import Recipe

EXAMPLE = "The heart is normal. No 2.5 cm nodule."


def recipe(registry: Registry[Any], name: str, entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield the lines about a text recipe that learns nothing, as pairs (word, value). Raises PluginError."""
    value = resolve(entry.target)
    rules: Recipe = value[name] if isinstance(value, Mapping) else value
    yield registry.kind, name
    yield "summary", entry.summary
    if entry.paper:
        yield "paper", entry.paper
    yield "from", registry.owner(name)
    yield "file", sys.modules[entry.target.partition(":")[0]].__file__ or "?"
    yield "use", f"--text recipe={name}"
    yield "between sentences", rules.mark
    yield "unknown word", rules.unknown
    yield "vocabulary", "in the order of the alphabet" if rules.alphabetical else "the commonest word first"
    yield "example", f"{EXAMPLE}  is cut as  " + " / ".join(" ".join(words) for words in rules.split(EXAMPLE))


def part(registry: Registry[Any], name: str, entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield the lines about one registered part as pairs (word, value). Import the part for it."""
    yield registry.kind, name
    yield "summary", entry.summary
    if entry.paper:
        yield "paper", entry.paper
    yield "from", registry.owner(name)
    part_class = registry.get_class(name)
    yield "class", entry.target
    yield "file", inspect.getsourcefile(part_class) or "?"
    needs = sorted(getattr(part_class, "needs", ()))
    if needs:
        yield "trains on", ", ".join(needs)
    for fixed, value in entry.options.items():
        yield "fixed", f"{fixed}={value!r}"
    meanings = argument_docs(part_class)
    for option, parameter in registry.options(name).items():
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        yield (
            "option",
            f"{option}: {_type(parameter)}{default}" + (f"  {meanings[option]}" if option in meanings else ""),
        )


def about(registry: Registry[Any], name: str) -> str:
    """Return the docstring of the part's module: the paper, and where the part differs from it."""
    module = sys.modules[registry.get_class(name).__module__]
    return inspect.cleandoc(module.__doc__ or "")


def argument_docs(part_class: type[Any]) -> dict[str, str]:
    """Return what the docstrings of a class and its bases say under `Args:`, by the name of the argument.

    Several arguments may share a line: "fit, crop: ...".
    """
    lines: dict[str, str] = {}
    for kind in reversed(part_class.__mro__):
        constructor = vars(kind).get("__init__")
        docs = (inspect.cleandoc(doc) for doc in (kind.__doc__, getattr(constructor, "__doc__", "")) if doc)
        listed = next((doc.partition("\nArgs:\n")[2] for doc in docs if "\nArgs:\n" in doc), "")
        names: list[str] = []
        for line in listed.splitlines():
            if not line.startswith(" "):
                break
            if match := re.match(r" {4}(\w+(?:, \w+)*): (.*)", line):
                names = match[1].split(", ")
                lines.update(dict.fromkeys(names, match[2]))
            else:
                lines.update({name: f"{lines[name]} {line.strip()}" for name in names})
    return lines


def _type(parameter: inspect.Parameter) -> str:
    kind = parameter.annotation
    return str(kind) if isinstance(kind, str) or not isinstance(kind, type) else kind.__name__


def data_file(target: str) -> str:
    """Return the path of the data file "package:folder/file.json"; the text itself if the package is missing."""
    package, _, path = target.partition(":")
    spec = importlib.util.find_spec(package)
    return f"{spec.submodule_search_locations[0]}/{path}" if spec and spec.submodule_search_locations else target
