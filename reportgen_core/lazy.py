"""Public names of a package that are imported at their first use, so that importing the package loads no torch."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any

WINGS: dict[str, Callable[..., Any]] = {}  # functions of the wings that the root calls, set at its import


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` for a package whose public names live in the modules of `homes`.

    `homes` maps the name of a module inside the package to the names that it defines; ".types" is the module `types`
    of the package above. `dir()` and tab completion show the public names, but no module. An unknown name raises
    AttributeError.
    """
    module_of = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> object:
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f".{module_of[name]}", package)
        value = getattr(module, name)
        if isinstance(value, FunctionType):  # users may write a text where a list is wanted, or None
            value = importlib.import_module("reportgen_core.text.arguments").checked_types(value)
            for owner in (module, sys.modules[value.__module__]):  # pickle looks for it where it is defined
                setattr(owner, name, value)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        own = vars(sys.modules[package])
        return sorted({*module_of, *own.get("__all__", ()), *(n for n in own if n.startswith("__"))})

    return get, names


def at_first_call(package: str, module: str, name: str) -> Callable[..., Any]:
    """Return a function that imports `name` from a module of `package` when it is called, and calls it."""

    def call(*args: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(f".{module}", package), name)(*args, **options)

    return call
