"""What `rg info` says about a registered part, read off its class: options, defaults, paper, file, needs."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

from reportgen_core import Entry, Registry


def part(registry: Registry[Any], name: str, entry: Entry) -> Iterator[tuple[str, str]]:
    """Lines about one registered part, as pairs of a word and what it says. Imports the part."""
    yield registry.kind, name
    yield "summary", entry.summary
    if entry.paper:
        yield "paper", entry.paper
    yield "from", registry.owner(name)
    found = registry.get_class(name)
    yield "class", entry.target
    yield "file", inspect.getsourcefile(found) or "?"
    needs = sorted(getattr(found, "needs", ()))
    if needs:
        yield "trains on", ", ".join(needs)
    for fixed, value in entry.options.items():
        yield "fixed", f"{fixed}={value!r}"
    said = arguments(found)
    for option, parameter in registry.options(name).items():
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        yield "option", f"{option}: {_type(parameter)}{default}" + (f"  {said[option]}" if option in said else "")


def about(registry: Registry[Any], name: str) -> str:
    """The docstring of the module that a part lives in: the paper, and where we depart from it."""
    module = sys.modules[registry.get_class(name).__module__]
    return inspect.cleandoc(module.__doc__ or "")


def arguments(found: type[Any]) -> dict[str, str]:
    """What the class's docstring says of each argument under `Args:`."""
    _, _, listed = (inspect.getdoc(found) or "").partition("\nArgs:\n")
    lines: dict[str, str] = {}
    name = ""
    for line in listed.splitlines():
        if not line.startswith(" "):
            break
        if match := re.match(r" {4}(\w+): (.*)", line):
            name = match[1]
            lines[name] = match[2]
        elif name:
            lines[name] += " " + line.strip()
    return lines


def _type(parameter: inspect.Parameter) -> str:
    kind = parameter.annotation
    return str(kind) if isinstance(kind, str) or not isinstance(kind, type) else kind.__name__


def data_file(target: str) -> str:
    """Where the data file "package:folder/file.json" lies."""
    package, _, path = target.partition(":")
    spec = importlib.util.find_spec(package)
    return f"{spec.submodule_search_locations[0]}/{path}" if spec and spec.submodule_search_locations else target
