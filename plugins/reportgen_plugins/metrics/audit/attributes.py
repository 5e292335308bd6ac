"""The words around a finding: side, place, severity, size, age, change, and where a device ends.

`audit_words.toml` has the words. A word belongs to the finding whose words hold it, else to the next finding if only
adjectives stand between them ("small left effusion"), else to the finding before it ("effusion on the left").
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

Span = tuple[int, int]
KINDS = ("change", "tip", "side", "place", "severity", "age")
_SIZED = frozenset({"large", "small", "big"})  # inside the words of a finding they are part of its name
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?) ?(?:x ?\d+(?:\.\d+)? ?)?(?P<unit>mm|cm|millimet\w+|centimet\w+)\b")
_BETWEEN = re.compile(  # no adjectives: what stands before them belongs to another finding
    r"[,;:()]|\b(?:and|or|nor|but|with|without|no|not|is|are|was|were|has|have|had|may|might|could|can|in|at|of|on"
    r"|over|to the|within|along|which|that|there|the|a|an|seen|noted|from|than|due|likely|possibly|suggest\w*"
    r"|represent\w*)\b"
)
_MOVING = re.compile(r"(?:(?:in|de)creas|improv|wors|progress|larger|smaller|resol|chang|greater|less|more)\w*")
_BEFORE_MOVING = re.compile(rf"{_MOVING.pattern} (?:in size )?$")
_TWO_SIDES = re.compile(
    r"(?P<one>[\w-]+(?: (?:to|sized) [\w-]+)?) (?P<first>left|right)(?:[ -]sided)?,? (?:and|or) (?:a )?"
    r"(?P<other>[\w-]+(?: (?:to|sized) [\w-]+)?) (?P<second>left|right)\b"
)
_HARD = re.compile(r";|:|\. |\b(?:but|however|although|though|while|whereas)\b")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
             "twelfth")  # fmt: skip
_RIB = re.compile(
    rf"\b(?:(?P<word>{'|'.join(_ORDINALS)})|(?P<number>\d{{1,2}})(?:st|nd|rd|th)|ribs? (?P<after>\d{{1,2}}))\b"
)
_LEVEL = re.compile(r"\b([tl]) ?(\d{1,2})\b")


class Attributes(NamedTuple):
    """What the words around a finding say of it; "" and () where they say nothing."""

    side: str = ""
    place: tuple[str, ...] = ()
    severity: tuple[str, ...] = ()
    size: float = 0.0  # in millimetres; 0: none is stated
    change: str = ""
    age: str = ""
    tip: tuple[str, ...] = ()


@cache
def word_tables() -> Mapping[str, Any]:
    """Return audit_words.toml."""
    return tomllib.loads(files(__package__).joinpath("audit_words.toml").read_text(encoding="utf-8"))


@cache
def table_pattern(name: str) -> re.Pattern[str]:
    """Return one expression for a table: its groups `v0`, `v1` and so on are the values of the table, in order."""
    table: Mapping[str, Sequence[str] | str] = word_tables()[name]
    groups = (f"(?P<v{i}>{_either(words)})" for i, words in enumerate(table.values()))
    return re.compile(rf"(?<![a-z0-9])(?:{'|'.join(groups)})(?![a-z0-9])")


@cache
def _values(name: str) -> tuple[str, ...]:
    return tuple(word_tables()[name])


def _either(words: Sequence[str] | str) -> str:
    alternatives = [words] if isinstance(words, str) else sorted(words, key=len, reverse=True)
    return "|".join(alternatives).replace(" ", "[ /-]")


def matches(name: str, flat: str) -> list[tuple[str, int, int]]:
    """Return (value, start, end) for the words of a table in a lower-case text."""
    values = _values(name)
    return [(values[int((m.lastgroup or "v0")[1:])], *m.span()) for m in table_pattern(name).finditer(flat)]


def read_attributes(flat: str, spans: Sequence[Span], devices: Sequence[bool]) -> list[list[Attributes]]:
    """Return the attributes of each finding at `spans` of a lower-case sentence; `devices`: which are devices.

    A finding has two if it has a grade for each side: "small right and large left effusions".
    """
    found: list[dict[str, list[str]]] = [{} for _ in spans]
    taken: list[Span] = []  # words of the end of a device, which are no side: "right atrium"
    for kind in KINDS:
        for value, start, end in matches(kind, flat):
            if kind == "side" and any(s < end and start < e for s, e in taken):
                continue
            owners = [i for i in owners_of(flat, start, end, spans) if kind != "tip" or devices[i]]
            if kind == "severity" and _of_change(flat, start, end):
                owners = [i for i in owners if spans[i][0] == end + 1]  # "moderate increase in heart size"
            if kind == "severity" and flat[start:end] in _SIZED:
                owners = [i for i in owners if not (spans[i][0] <= start and end <= spans[i][1])]
            if kind == "tip" and owners:
                taken.append((start, end))
            for i in owners:
                found[i].setdefault(kind, []).append(value)
    for m in _SIZE.finditer(flat):
        for i in owners_of(flat, *m.span(), spans):
            if not devices[i]:
                found[i].setdefault("size", []).append(str(_millimetres(m)))
    _add_levels(flat, spans, found)
    return [_by_side(flat, span, _attributes(values)) for span, values in zip(spans, found, strict=True)]


def _by_side(flat: str, span: Span, own: Attributes) -> list[Attributes]:
    """Return the attributes of each side if both sides stand before the finding, each with its own grade."""
    if own.side != "both" or len(own.severity) < 2:
        return [own]
    for m in _TWO_SIDES.finditer(flat, 0, span[0]):
        parts = [(matches("severity", m[a]), matches("side", m[b])) for a, b in (("one", "first"), ("other", "second"))]
        if all(grade and side for grade, side in parts):
            return [own._replace(severity=(grade[0][0],), side=side[0][0]) for grade, side in parts]
    return [own]


def _of_change(flat: str, start: int, end: int) -> bool:
    """Whether a grade is one of a change: "slightly increased", "has improved markedly"."""
    return bool(_MOVING.match(flat, end + 1) or _BEFORE_MOVING.search(flat, max(0, start - 24), start))


def _millimetres(m: re.Match[str]) -> float:
    return float(m["number"]) * (10 if m["unit"].startswith("c") else 1)


def _add_levels(flat: str, spans: Sequence[Span], found: Sequence[dict[str, list[str]]]) -> None:
    """Add the numbers of ribs and vertebrae to the places of findings that speak of them."""
    levels = [(f"vertebra {m[1]}{m[2]}", *m.span()) for m in _LEVEL.finditer(flat)]
    if "rib" in flat:
        for m in _RIB.finditer(flat):
            number = _ORDINALS.index(m["word"]) + 1 if m["word"] else int(m["number"] or m["after"])
            levels.append((f"level {number}", *m.span()))
    for value, start, end in levels:
        for i in owners_of(flat, start, end, spans):
            found[i].setdefault("place", []).append(value)


def owners_of(flat: str, start: int, end: int, spans: Sequence[Span]) -> list[int]:
    """Return the numbers of the findings that the words from start to end speak of: those around them, else one."""
    inside = [i for i, (s, e) in enumerate(spans) if s <= start and end <= e]
    if inside:
        return inside
    before = [i for i, (_, e) in enumerate(spans) if e <= start]
    after = [i for i, (s, _) in enumerate(spans) if s >= end]
    if not before or not after:
        near = max(before, key=lambda i: spans[i][1]) if before else min(after, key=lambda i: spans[i][0], default=-1)
        return [near] if near >= 0 else []
    last, following = max(before, key=lambda i: spans[i][1]), min(after, key=lambda i: spans[i][0])
    if not _BETWEEN.search(flat, end, spans[following][0]):
        return [following]
    return [following if _HARD.search(flat, spans[last][1], start) else last]


def _attributes(values: Mapping[str, Sequence[str]]) -> Attributes:
    if not values:
        return Attributes()
    sides = set(values.get("side", ()))
    side = "both" if "both" in sides or len(sides) > 1 else next(iter(sides), "")
    changes = [c for c in values.get("change", ()) if c != "compared"] or values.get("change", [""])
    return Attributes(
        side,
        tuple(sorted(set(values.get("place", ())))),
        tuple(dict.fromkeys(values.get("severity", ()))),
        max(map(float, values.get("size", ["0"]))),
        changes[0],
        values.get("age", [""])[0],
        tuple(sorted(set(values.get("tip", ())))),
    )
