"""Say of a model what its scores depend on: hashes and settings, and what it cannot promise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SHOWN = 12  # characters of a hash in a line; JSON has all of them
LEFT_OUT = ("options", "takes")  # of the line: the other facts say the same
HASHED = "_sha256"


def facts_of(model: object) -> dict[str, Any]:
    """Return the facts that a model gives of itself; {} for one that gives none."""
    facts = getattr(model, "facts", None)
    return dict(facts()) if callable(facts) else {}


def notes_of(name: str, model: object) -> list[str]:
    """Return the lines on a model that stand under its scores: its facts, and what it cannot promise."""
    facts = facts_of(model)
    line = [f"{name}: {facts_line(facts)}"] if facts else []
    return [*line, *(f"{name}: {limit}" for limit in getattr(model, "limits", ()))]


def facts_line(facts: Mapping[str, Any]) -> str:
    """Return facts in one line. A value that has a hash is left out, and the hash is shortened."""
    hashed = {key.removesuffix(HASHED) for key in facts if key.endswith(HASHED)}
    shown = []
    for key, value in facts.items():
        if key in LEFT_OUT or key in hashed or value in ("", None, {}, []):
            continue
        text = value[:SHOWN] if key.endswith(HASHED) else _text(value)
        shown.append(f"{key.replace('_', ' ')} {text}" if key != "reporter" else text)
    return ", ".join(shown)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return " ".join(f"{k}={_text(v)}" for k, v in value.items())
    if isinstance(value, list):
        return " then ".join(map(_text, value))
    return json.dumps(value)
