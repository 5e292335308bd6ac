"""Turn JSON values into frozen dataclasses and back. The dataclass is the schema.

Strangers write manifests and presets. An unknown key, a value of another type and a missing value are errors that name
the place of the fault. Nothing is guessed.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from reportgen_core import ReportgenError
from reportgen_core.errors import quoted
from reportgen_core.files.json_files import unique_keys
from reportgen_core.registry import did_you_mean

from .addresses import without_password

T = TypeVar("T")

_SCALARS: dict[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "string"),
    int: ((int,), "integer"),
    float: ((int, float), "number"),
    bool: ((bool,), "boolean"),
}


class DataFormatError(ReportgenError):
    """A manifest or preset is not what its schema says."""


class _Misfit(Exception):
    """A value of the wrong form. `steps` lead to it from the outermost value; the last step comes first."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.steps: list[str] = []


def from_json(kind: type[T], value: object, where: str) -> T:
    """Return the dataclass `kind` of a JSON object. Raises DataFormatError, which begins with `where`."""
    try:
        return cast(T, _maker(cast(Any, kind))(value))
    except _Misfit as e:
        raise DataFormatError(f"{where}{''.join(reversed(e.steps))}: {e}") from None


@functools.cache
def _maker(kind: Any) -> Callable[[Any], Any]:
    """Return the function from a JSON value to `kind`. It is cached: a manifest has tens of thousands of files."""
    if kind is Any:
        return lambda value: value
    if kind in _SCALARS:
        return _scalar_maker(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _object_maker(kind)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:  # X | None
        make = _maker(inner[0])
        return lambda value: None if value is None else make(value)
    if origin is tuple:
        return _list_maker(_maker(inner[0]))
    assert origin is Mapping, kind
    return _mapping_maker(_maker(inner[1]))


def _scalar_maker(kind: Any) -> Callable[[Any], Any]:
    accepted, word = _SCALARS[kind]

    def make(value: Any) -> Any:
        if type(value) is kind:
            return value
        if not isinstance(value, accepted) or (kind is not bool and isinstance(value, bool)):
            raise _Misfit(f"wants {_article(word)} {word}, has {_short(value)}")
        try:
            return kind(value)
        except OverflowError as e:
            raise _Misfit(f"wants {_article(word)} {word}, has {_short(value)}") from e

    return make


def _list_maker(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def make_list(value: Any) -> Any:
        if not isinstance(value, list):
            raise _Misfit(f"wants a list, has {_short(value)}")
        items = []
        try:
            for item in value:
                items.append(make(item))
        except _Misfit as e:
            e.steps.append(f"[{len(items)}]")
            raise
        return tuple(items)

    return make_list


def _mapping_maker(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def make_mapping(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Misfit(f"wants an object, has {_short(value)}")
        values = {}
        key = ""
        try:
            for key, item in value.items():
                values[key] = make(item)
        except _Misfit as e:
            e.steps.append(f".{key[:40]}")
            raise
        return values

    return make_mapping


def _object_maker(kind: Any) -> Callable[[Any], Any]:
    makers = {name: _maker(hint) for name, hint in _hints(kind).items()}
    needed = [f.name for f in dataclasses.fields(kind) if _required(f)]

    def make(value: Any) -> Any:
        if not isinstance(value, dict):
            raise _Misfit(f"wants an object, has {_short(value)}")
        fields = {}
        name = ""
        try:
            for name, item in value.items():
                fields[name] = makers[name](item)
        except KeyError:
            raise _Misfit(f"has no {quoted(name)}; {did_you_mean(name[:40], makers)}") from None
        except _Misfit as e:
            e.steps.append(f".{name}")
            raise
        for name in needed:
            if name not in fields:
                raise _Misfit(f"lacks {name!r}")
        return kind(**fields)

    return make


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _short(value: object) -> str:
    text = without_password(json.dumps(value, default=str))
    return text if len(text) <= 40 else text[:37] + "..."


def parse(text: str | bytes, where: str) -> Any:
    """Return the value of a JSON text. Raises DataFormatError, also for NaN, infinities and a key that occurs twice."""
    try:
        return json.loads(text, parse_constant=_no_number, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as e:
        raise DataFormatError(f"{where}: is no JSON: {e}") from e


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def plain(value: Any) -> Any:
    """Return a dataclass as JSON values, without the fields that have their default."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(v) for f in dataclasses.fields(value) if (v := getattr(value, f.name)) != _default(f)}
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items()}
    return value


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def schema(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of the values that `from_json(kind, ...)` accepts."""
    if kind is Any:
        return {}
    if kind in _SCALARS:
        return {"type": _SCALARS[kind][1]}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        extra = {f.name: f.metadata.get("schema", {}) for f in dataclasses.fields(kind)}
        return {
            "type": "object",
            "description": (kind.__doc__ or "").strip(),
            "properties": {name: schema(hint) | extra[name] for name, hint in hints.items()},
            "required": [f.name for f in dataclasses.fields(kind) if _required(f)],
            "additionalProperties": False,
        }
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return {"anyOf": [schema(inner[0]), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": schema(inner[0])}
    return {"type": "object", "additionalProperties": schema(inner[1])}
