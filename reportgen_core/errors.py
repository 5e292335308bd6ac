"""Errors that the command line shows as one line, without a traceback.

Each message names the request, what is wrong with it, and what would work.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Mapping
from reprlib import Repr
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
ONE = (str, bytes, os.PathLike)  # what is one value, and no list of its letters
_LIST = re.compile(r"(Mapping\[\w+, )?(?:Sequence|Iterable|tuple|list)\[(Sequence|Iterable|tuple|list)?")
_SHORT = Repr()
vars(_SHORT).update(maxstring=60, maxother=60, maxlist=3, maxtuple=3, maxdict=3, fillvalue="…")
quoted = _SHORT.repr  # a value as Python writes it; a long one is cut in its middle, and keeps its quotes


class ReportgenError(Exception):
    """Base of every error that a user can act on."""


class UnknownName(ReportgenError):
    """A name is not registered."""


class PluginError(ReportgenError):
    """A part of a plugin cannot be loaded or breaks its interface."""


class OptionError(ReportgenError):
    """A part was given an option that it does not have, or a value that it cannot take."""


class CompositionError(ReportgenError):
    """Two parts do not fit together."""


class ShapeError(ReportgenError):
    """A tensor does not have the shape its interface promises."""


class DataError(ReportgenError):
    """A dataset or a table lacks a file, a column or a value."""


class ImageError(ReportgenError):
    """A file cannot be read as a radiograph."""


class CheckpointError(ReportgenError):
    """A model folder is incomplete, damaged, of another format, or does not fit its own config."""


class MetricError(ReportgenError):
    """A score cannot be computed on this machine or from these texts."""


@functools.lru_cache(512)
def list_parameters(function: Callable[..., Any]) -> list[tuple[int, str, re.Match[str]]]:
    """Return the place, the name and the kind of every parameter that takes a list, by its annotation."""
    parameters = enumerate(inspect.signature(function).parameters.values())
    return [(n, p.name, m) for n, p in parameters if p.kind != 2 and (m := _LIST.match(str(p.annotation)))]


def text_for_list(function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> str:
    """Return a sentence if a text or path is given for a list, or inside a list of lists; "" if none is."""
    for position, name, kind in list_parameters(function):
        value = args[position] if position < len(args) else options.get(name)
        inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
        if isinstance(value, ONE) or ((kind[1] or kind[2]) and any(isinstance(v, ONE) for v in inside)):
            wanted = "a list" if isinstance(value, ONE) else "lists"
            return f"{wanted} as {name}, not the text {quoted(value)}; write [...]"
    return ""


def lists_only(target: F) -> F:
    """Decorate a function or class: refuse one text or path for a list, by the annotations; so inside a list of lists.

    A text would be taken for the list of its letters. Raises OptionError.
    """
    function: Any = vars(target)["__init__"] if isinstance(target, type) else target
    if hasattr(function, "takes_lists") or not list_parameters(function):
        return target

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        if problem := text_for_list(function, args, options):
            raise OptionError(f"{target.__qualname__} takes {problem}")
        return function(*args, **options)

    checked.takes_lists = True  # type: ignore[attr-defined]
    if not isinstance(target, type):
        return checked  # type: ignore[return-value]  # it takes the same arguments
    target.__init__ = checked  # type: ignore[misc]
    return target


@functools.cache
def lists_in_methods(cls: type) -> None:
    """Decorate the public methods of a class by `lists_only`, those that it inherits from other parts too."""
    for base in cls.__mro__:
        for name, method in list(vars(base).items()) if not base.__module__.startswith(("torch", "builtins")) else ():
            if inspect.isfunction(method) and not name.startswith("_"):
                setattr(base, name, lists_only(method))
