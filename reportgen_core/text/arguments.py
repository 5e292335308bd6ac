"""Say in one sentence which argument of a call has the wrong type. The annotations of the function say what it takes.

An annotation that cannot be resolved, or of a kind that is not known here, accepts everything.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import numbers
import os
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, Literal, TypeVar, get_args, get_origin

from ..errors import ONE, OptionError, ReportgenError, quoted, text_for_list
from ..registry import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])

_CHECKED = 50  # elements of a list that are looked at
_WORDS = {
    str: "a text",
    bytes: "bytes",
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    dict: "a dict",
}


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


def wrong_type(function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> str:
    """Return a sentence on the first argument whose type is not the annotated one; "" if all are right."""
    try:
        bound = inspect.signature(function).bind(*args, **options)
    except TypeError as e:
        return f"{_call(function)}: {e}"
    hints = _hints(function)
    for name, value in bound.arguments.items():
        hint = hints.get(name, Any)
        if name in ("self", "cls") or fits(value, hint):
            continue
        return f"{_call(function)} takes {describe(hint)} as {name}, not {describe_value(value)}"
    return ""


def _call(function: Callable[..., Any]) -> str:
    return function.__qualname__


@functools.lru_cache(512)
def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of the parameters whose annotations can be resolved; of *args and **options none."""
    space = {**vars(typing), **function.__globals__}
    hints: dict[str, Any] = {}
    for p in inspect.signature(function).parameters.values():
        if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) or p.annotation is p.empty:
            continue
        try:
            hints[p.name] = eval(p.annotation, space) if isinstance(p.annotation, str) else p.annotation
        except (NameError, AttributeError, TypeError, SyntaxError):  # a name for type checkers alone
            continue
    return hints


def fits(value: Any, hint: Any) -> bool:
    """Return whether a value is of an annotated type. Of a long list, the first elements are looked at."""
    hint = _resolved(hint)
    origin, inner = get_origin(hint), get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if isinstance(hint, str | typing.ForwardRef | typing.TypeVar) or hint in (Any, object) or origin is Literal:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if origin is None:
        return not isinstance(hint, type) or _is_a(value, hint)
    if origin is collections.abc.Callable:
        return callable(value)
    if not isinstance(origin, type):
        return True
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            fits(k, inner[0]) and fits(v, inner[1]) for k, v in _first(value.items()) if len(inner) == 2
        )
    if issubclass(origin, collections.abc.Iterable):
        return _is_listlike(value, origin) and (not inner or all(fits(v, inner[0]) for v in _elements(value)))
    return isinstance(value, origin)


def _is_a(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, numbers.Real)
    if kind is int:
        return isinstance(value, numbers.Integral)
    if getattr(kind, "_is_protocol", False):
        return all(hasattr(value, name) for name in vars(kind) if not name.startswith("_"))
    if kind.__module__ == "typing":  # BinaryIO and its like: no file is an instance of them
        return True
    inner = getattr(value, "_orig_mod", getattr(value, "module", None))  # torch.compile and DataParallel wrap a model
    return isinstance(value, kind) or isinstance(inner, kind)


def _is_listlike(value: Any, origin: type) -> bool:
    """Return whether a value can stand for a list: a list, an array, a dataset; no text, dict or table."""
    if isinstance(value, (*ONE, Mapping)) or hasattr(value, "columns"):
        return False
    if issubclass(origin, collections.abc.Sequence):
        return isinstance(value, collections.abc.Sequence) or (
            hasattr(value, "__len__") and hasattr(value, "__getitem__")
        )
    return isinstance(value, collections.abc.Iterable)


def _elements(value: Any) -> Iterator[Any]:
    """Yield the first elements of a list or tuple; none of an iterator, which would lose them."""
    return _first(value) if isinstance(value, list | tuple | set | frozenset) else iter(())


def _first(values: Any) -> Iterator[Any]:
    return (value for _, value in zip(range(_CHECKED), values, strict=False))


def describe(hint: Any) -> str:
    """Return an annotated type in words: "a text, a path or a list of Study"."""
    hint = _resolved(hint)
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (typing.Union, types.UnionType):
        words = list(dict.fromkeys(describe(one) for one in inner))
        return ", ".join(words[:-1]) + f" or {words[-1]}" if words[:-1] else words[0]
    if hint is None or hint is type(None):
        return "None"
    if hint in _WORDS:
        return _WORDS[hint]
    if origin is collections.abc.Callable:
        return "a function"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"a dict with {_plural(inner[1])} as values" if len(inner) == 2 else "a dict"
    if isinstance(origin, type) and issubclass(origin, collections.abc.Iterable):
        return f"a list of {_plural(inner[0])}" if inner else "a list"
    name = str(getattr(hint, "__name__", hint)).strip("'")
    if name in ("Path", "PathLike"):
        return "a path"
    return "a model" if name == "WritesReports" else f"an {name}" if name[:1] in "AEIOU" else f"a {name}"


def _resolved(hint: Any) -> Any:
    """Return a type that an annotation quotes, "str | Sequence[str]", as the type; itself if it cannot be resolved."""
    text = hint.__forward_arg__ if isinstance(hint, typing.ForwardRef) else hint
    if not isinstance(text, str):
        return hint
    try:
        return eval(text, dict(vars(typing)))
    except (NameError, SyntaxError):
        return text


def _plural(hint: Any) -> str:
    """Return an annotated type in words, as many: "texts"."""
    hint = _resolved(hint)
    many = {str: "texts", int: "whole numbers", float: "numbers", Any: "anything", object: "anything"}
    if hint in many:
        return many[hint]
    if get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(_plural(one) for one in get_args(hint))
    words = describe(hint)
    return re.sub(r"^an? (list|dict)\b", r"\1s", words).removeprefix("a ").removeprefix("an ")


def describe_value(value: Any) -> str:
    """Return a wrong value in words: "the text 'a.png'", "a list of texts", "a DataFrame"."""
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, str | bytes | os.PathLike):
        return f"the {'path' if isinstance(value, os.PathLike) else 'text'} {quoted(str(value))}"
    if isinstance(value, int | float):
        return f"the number {value!r}"
    if isinstance(value, list | tuple | set) and value:
        first = next(iter(value))
        return f"a list of {'texts' if isinstance(first, str) else type(first).__name__}"
    if isinstance(value, dict) and (keys := [key for key in value if not isinstance(key, str)]):
        return f"a dict with the key {quoted(keys[0])}, which is no text"
    if isinstance(value, list | tuple | set | dict):
        return f"an empty {type(value).__name__}" if not value else f"a {type(value).__name__}"
    return f"a {type(value).__name__}"


def known_fields(
    kind: type[Any], values: Mapping[str, Any], what: str, error: type[ReportgenError] = OptionError
) -> dict[str, Any]:
    """Return JSON values as arguments of the dataclass `kind`; a list becomes a tuple if the field is a tuple.

    `what` names the owner of the values in the message: "training has no setting 'epoch'". Raises `error` for a key
    that is not a field of `kind`.
    """
    types = {f.name: str(f.type) for f in fields(kind)}
    for name in values:
        if name not in types:
            raise error(f"{what} has no setting {name!r}; {did_you_mean(name, types)}")
    return {k: tuple(v) if isinstance(v, list) and types[k].startswith("tuple") else v for k, v in values.items()}
