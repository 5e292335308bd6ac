"""JSON values to frozen dataclasses and back: the dataclass is the schema, and what does not fit is named.

Manifests and presets are data that strangers write. A key that the dataclass lacks, a value of another type or a
missing one is an error that says where it stands; nothing is guessed.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from reportgen_core import ReportgenError
from reportgen_core.registry import nearest

T = TypeVar("T")

_SCALARS: dict[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "string"),
    int: ((int,), "integer"),
    float: ((int, float), "number"),
    bool: ((bool,), "boolean"),
}


class DataFormatError(ReportgenError):
    """A manifest or preset is not what its schema says."""


def build(kind: type[T], value: object, where: str) -> T:
    """The dataclass `kind` from a JSON object; `where` begins every error message."""
    return cast(T, _value(kind, value, where))


def _value(kind: Any, value: object, where: str) -> Any:
    if kind is Any:
        return value
    if kind in _SCALARS:
        accepted, word = _SCALARS[kind]
        if not isinstance(value, accepted) or (kind is not bool and isinstance(value, bool)):
            raise DataFormatError(f"{where}: wants {_article(word)} {word}, has {_short(value)}")
        return float(cast(float, value)) if kind is float else value
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _object(kind, value, where)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:  # X | None
        return None if value is None else _value(inner[0], value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise DataFormatError(f"{where}: wants a list, has {_short(value)}")
        return tuple(_value(inner[0], v, f"{where}[{i}]") for i, v in enumerate(value))
    assert origin is Mapping, kind
    if not isinstance(value, dict):
        raise DataFormatError(f"{where}: wants an object, has {_short(value)}")
    return {k: _value(inner[1], v, f"{where}.{k}") for k, v in value.items()}


def _object(kind: Any, value: object, where: str) -> Any:
    if not isinstance(value, dict):
        raise DataFormatError(f"{where}: wants an object, has {_short(value)}")
    hints = _hints(kind)
    for key in value:
        if key not in hints:
            raise DataFormatError(f"{where}: has no {key!r}; {nearest(str(key), hints)}")
    for field in dataclasses.fields(kind):
        if field.name not in value and _required(field):
            raise DataFormatError(f"{where}: lacks {field.name!r}")
    return kind(**{key: _value(hints[key], v, f"{where}.{key}") for key, v in value.items()})


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 40 else text[:37] + "..."


def parse(text: str | bytes, where: str) -> Any:
    """JSON text to values; NaN and infinities are no JSON."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as e:
        raise DataFormatError(f"{where}: is no JSON: {e}") from e


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def plain(value: Any) -> Any:
    """A dataclass as JSON values, fields that have their default left out."""
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
    """The JSON Schema of what `build(kind, ...)` takes."""
    if kind is Any:
        return {}
    if kind in _SCALARS:
        return {"type": _SCALARS[kind][1]}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(kind)
        said = {f.name: f.metadata.get("schema", {}) for f in dataclasses.fields(kind)}
        return {
            "type": "object",
            "description": (kind.__doc__ or "").strip(),
            "properties": {name: schema(hint) | said[name] for name, hint in hints.items()},
            "required": [f.name for f in dataclasses.fields(kind) if _required(f)],
            "additionalProperties": False,
        }
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return {"anyOf": [schema(inner[0]), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": schema(inner[0])}
    return {"type": "object", "additionalProperties": schema(inner[1])}
