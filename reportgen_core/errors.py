"""Errors that the command line shows as one line, without a traceback.

Each message names the request, what is wrong with it, and what would work.
"""

import functools
import inspect
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_LIST = re.compile(r"(Mapping\[\w+, )?(?:Sequence|Iterable|Collection|tuple|list)\[(Sequence|Iterable|tuple|list)?")
_ONE = (str, bytes, os.PathLike)


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


def lists_only(target: F) -> F:
    """Decorate a function or class: refuse one text or path for a list, by the annotations; so inside a list of lists.

    A text would be taken for the list of its letters. Raises OptionError.
    """
    function: Any = vars(target)["__init__"] if isinstance(target, type) else target
    parameters = enumerate(inspect.signature(function).parameters.values())
    lists = [(n, p.name, m) for n, p in parameters if p.kind != 2 and (m := _LIST.match(str(p.annotation)))]
    if not lists or hasattr(function, "takes_lists"):
        return target

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        for position, name, kind in lists:
            value = args[position] if position < len(args) else options.get(name)
            inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
            if isinstance(value, _ONE) or ((kind[1] or kind[2]) and any(isinstance(v, _ONE) for v in inside)):
                wanted = "a list" if isinstance(value, _ONE) else "lists"
                raise OptionError(
                    f"{target.__qualname__} takes {wanted} as {name}, not the text {value!r:.60}; write [...]"
                )
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
