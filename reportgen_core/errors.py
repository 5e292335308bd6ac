"""Errors that the command line shows as one line, without a traceback.

Each message names the request, what is wrong with it, and what would work.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from .base.arguments import list_parameters, text_for_list, wrong_type

F = TypeVar("F", bound=Callable[..., Any])


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


def checked_types(function: F) -> F:
    """Decorate a function that users call: an argument of a wrong type is one sentence. Raises OptionError."""
    if hasattr(function, "takes_types"):
        return function
    inner = inspect.unwrap(function)

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        if problem := text_for_list(inner, args, options):
            raise OptionError(f"{inner.__qualname__} takes {problem}")
        if problem := wrong_type(inner, args, options):
            raise OptionError(problem)
        return function(*args, **options)

    checked.takes_lists = checked.takes_types = True  # type: ignore[attr-defined]
    return checked  # type: ignore[return-value]


@functools.cache
def lists_in_methods(cls: type) -> None:
    """Decorate the public methods of a class by `lists_only`, those that it inherits from other parts too."""
    for base in cls.__mro__:
        for name, method in list(vars(base).items()) if not base.__module__.startswith(("torch", "builtins")) else ():
            if inspect.isfunction(method) and not name.startswith("_"):
                setattr(base, name, lists_only(method))
