"""The reading of one sentence: which findings its words name, and whether they are stated, denied or doubted.

A mention is found by the phrases of labeler_findings.toml. Cues (labeler_cues.toml) reach from their place to the
next break, as in NegEx (Chapman et al., A simple algorithm for identifying negated findings, 2001) and ConText; no
parser is needed, and every answer names the words it comes from. The phrase tables are our own.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Kind = Literal["pseudo", "weak", "doubt", "ignored", "negation"]
KINDS: tuple[Kind, ...] = ("pseudo", "weak", "doubt", "ignored", "negation")  # the first keeps the words they share
State = Literal["stated", "denied", "doubted", "hedged"]


@dataclass(frozen=True, slots=True)
class Concept:
    """Something the phrases can name, finer than a label."""

    name: str
    labels: Mapping[str, str]  # scheme: label, or ""
    blocks: frozenset[str]  # labels of no finding that it takes away
    phrases: tuple[tuple[State, re.Pattern[str]], ...]
    exceptions: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class ConceptMention:
    """A concept named in a sentence."""

    concept: Concept
    state: State
    words: str
    rule: str


@dataclass(frozen=True, slots=True)
class _Cue:
    kind: Kind
    start: int
    end: int
    forward: bool
    words: str


_STOP = "(?!(?:but|however|although|though|without|no|normal|unremarkable|enlarged|with)\\b)"
_GAPS = {" ... ": rf"(?: {_STOP}[^ ;:]+){{0,10}} ", " .. ": rf"(?: {_STOP}[^ ,;:]+){{0,5}} "}


def _phrase(text: str, words: Mapping[str, str]) -> str:
    """Return a phrase of the tables as a regular expression."""
    for name, value in words.items():
        text = text.replace(f"{{{name}}}", value)
    marks = {mark: f"\0{i}\0" for i, mark in enumerate(_GAPS)}
    for mark, hidden in marks.items():
        text = text.replace(mark, hidden)
    text = re.sub(r"(?<=[a-z])\*", r"\\w*", text).replace(" ", "[ /-]")
    for mark, hidden in marks.items():
        text = text.replace(hidden, _GAPS[mark])
    return text


def _any(phrases: Iterable[str], words: Mapping[str, str]) -> re.Pattern[str] | None:
    """Return one pattern for all phrases; None if there are none. Sharing word boundaries makes it faster."""
    patterns = [_phrase(p, words) for p in phrases]
    bare = [p for p in patterns if p.startswith((",", ":", "[", r"\?"))]
    whole = "|".join(p for p in patterns if p not in bare)
    return re.compile("|".join([rf"(?<!\w)(?:{whole})(?!\w)", *bare])) if patterns else None


def _table(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))


@cache
def concepts() -> tuple[Concept, ...]:
    """Return the table of findings, compiled at first use."""
    table = _table("labeler_findings.toml")
    words = table.pop("words")
    states: dict[str, State] = {"absent": "denied", "unsure": "hedged", "present": "stated"}
    return tuple(
        Concept(
            name,
            {scheme: row[scheme] for scheme in ("chexpert14", "chestxray14")},
            frozenset(row.get("blocks", ("No Finding", "normal"))),
            tuple((s, p) for key, s in states.items() if (p := _any(row.get(key, ()), words))),
            _any(row.get("except", ()), words),
        )
        for name, row in table.items()
    )


@cache
def _cues() -> tuple[tuple[Kind, bool, re.Pattern[str]], ...]:
    table = _table("labeler_cues.toml")
    return tuple(
        (kind, way == "before", pattern)
        for kind in KINDS
        for way in ("after", "before")
        if (pattern := _any(table[kind].get(way, ()), table["words"]))
    )


@cache
def _breaks() -> tuple[re.Pattern[str], re.Pattern[str]]:
    table = _table("labeler_cues.toml")
    both, forward = (_any(table["break"][way], table["words"]) for way in ("any", "before"))
    assert both
    assert forward
    return both, forward


def find_cues(flat: str) -> list[_Cue]:
    """Return the cues of a lower-case sentence. Of two that share words, the kind that is earlier in KINDS stays."""
    cues: list[_Cue] = []
    for kind, forward, pattern in _cues():
        for m in pattern.finditer(flat):
            if all(m.end() <= c.start or c.end <= m.start() or _twin(c, kind, m) for c in cues):
                cues.append(_Cue(kind, m.start(), m.end(), forward, m.group().strip(" ,")))
    return cues


def _twin(cue: _Cue, kind: Kind, m: re.Match[str]) -> bool:
    """Return whether the match is the same cue, reaching the other way: "in the appropriate clinical setting"."""
    return (cue.kind, cue.start, cue.end) == (kind, *m.span())


def read(sentence: str) -> tuple[ConceptMention, ...]:
    """Return the concepts that the sentence names, in the order of its words."""
    flat = sentence.lower()
    if len(flat) != len(sentence):  # a letter whose small form is longer; positions must agree
        sentence = flat
    spans = [(c, s, m.start(), m.end()) for c in concepts() for s, m in _mentions(c, flat)]
    if not spans:
        return ()
    cues = find_cues(flat)
    both, forward = ([m.start() for m in p.finditer(flat)] for p in _breaks())
    mentions = []
    for concept, state, start, end in sorted(spans, key=lambda s: s[2:]):
        cue = _ruling(cues, start, end, both, forward)
        if cue is None or cue.kind != "ignored":
            mentions.append(ConceptMention(concept, _state(state, cue), sentence[start:end], _rule(state, cue)))
    return tuple(mentions)


def _mentions(concept: Concept, flat: str) -> list[tuple[State, re.Match[str]]]:
    """Return the matches of a concept's phrases. A denial or a hedge keeps the words that a plain mention shares."""
    matches: list[tuple[State, re.Match[str]]] = []
    for state, pattern in concept.phrases:
        for m in pattern.finditer(flat):
            if all(m.end() <= k.start() or k.end() <= m.start() for _, k in matches):
                matches.append((state, m))
    if matches and concept.exceptions:
        barred = [m.span() for m in concept.exceptions.finditer(flat)]
        matches = [(s, m) for s, m in matches if all(m.end() <= a or b <= m.start() for a, b in barred)]
    return matches


def _ruling(cues: Sequence[_Cue], start: int, end: int, both: Sequence[int], forward: Sequence[int]) -> _Cue | None:
    """Return the cue that decides a mention: one that ignores it, else a negation, else doubt, else a weak hedge."""
    order: tuple[Kind, ...] = ("ignored", "negation", "doubt", "weak")
    reaching = [c for c in cues if c.kind != "pseudo" and _reaches(c, start, end, both, forward)]
    return min(reaching, key=lambda c: (order.index(c.kind), abs(c.start - start)), default=None)


def _reaches(cue: _Cue, start: int, end: int, both: Sequence[int], forward: Sequence[int]) -> bool:
    if start <= cue.start and cue.end <= end:  # "heart is not enlarged"
        return cue.forward and cue.kind != "ignored"
    if cue.start <= start and end <= cue.end:  # "is not enlarged" as a cue
        return cue.kind == "negation"
    if cue.forward:
        return cue.end <= start and not any(cue.end <= b <= start for b in (*both, *forward))
    return end <= cue.start and not any(end <= b < cue.start for b in both)


def _state(state: State, cue: _Cue | None) -> State:
    """Return the state of a phrase under a cue."""
    if cue is None or state == "denied":
        return state
    by_cue: dict[Kind, State] = {"negation": "denied", "doubt": "doubted", "weak": "hedged"}
    return by_cue[cue.kind]


def _rule(state: State, cue: _Cue | None) -> str:
    if state == "denied":
        return "these words deny it"
    if cue is not None:
        verb = {"negation": "negated", "doubt": "doubted", "weak": "hedged"}[cue.kind]
        return f"{verb} by {cue.words!r}"
    return "these words hedge" if state == "hedged" else "stated"
