"""The statements of a text: what the labeler finds in it, each with side, place, severity, change and its words.

The rules of the labeler find the findings and read whether they are stated, denied or in doubt. `audit_findings.toml`
adds statements that something is normal, and finer names. A sentence with a clinical word and no statement is counted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, NamedTuple

from ..labeler.language import foreign_language
from ..labeler.phrases import Source, read_source
from ..labeler.rules import ConceptMention, reader
from ..labeler.text import Sentence, place_in, prepare, section_spans, sentence_spans
from .attributes import Attributes, matches, read_attributes, word_tables

State = Literal["stated", "denied", "uncertain", "compared"]
MAX_SENTENCES, MAX_TEXTS = 1 << 16, 1 << 14  # remembered
FINDINGS = "audit_findings.toml"
DEVICES = frozenset((*word_tables()["devices"], "device"))
_STATES: dict[str, State] = {"stated": "stated", "denied": "denied", "doubted": "uncertain", "hedged": "uncertain"}
_ABNORMAL = re.compile(r"\bnot\b|\b(?:ab|sub)normal|no longer")  # "the heart is not normal in size"
_STEM = re.compile(r"[a-z]{4,}")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text about a finding. An empty value: the text does not say it."""

    finding: str  # "effusion", "enlarged heart", "PICC"
    state: State
    side: str = ""  # "left", "right", "both"
    place: tuple[str, ...] = ()  # "zone lower", "bone rib", "level 6"
    severity: tuple[str, ...] = ()  # "mild", "moderate", "severe"
    size: float = 0.0  # in millimetres
    change: str = ""  # "unchanged", "worse", "better", "new", "resolved", "compared"
    age: str = ""  # "acute", "old"
    position: tuple[str, ...] = ()  # of the end of a device: "superior vena cava"
    words: str = ""
    span: tuple[int, int] = (0, 0)  # of the words in the text
    sentence: str = ""
    number: int = 0  # of the sentence


@dataclass(frozen=True)
class StatementText:
    """A text with its statements, and what could not be read of it."""

    text: str
    statements: tuple[Statement, ...] = ()
    unread: tuple[str, ...] = ()  # sentences with a clinical word and no statement
    sentences: int = 0  # with a clinical word or a statement
    language: str = ""  # "German"; "": English, or no words at all
    groups: dict[str, list[Statement]] = field(default_factory=dict)  # the statements by finding

    @cached_property
    def compares(self) -> bool:
        """Whether the text speaks of an earlier image."""
        if any(s.state == "compared" or s.change for s in self.statements):
            return True
        flat = " ".join(self.text.lower().split())
        end, rest = 0, ""
        for value, start, stop in matches("prior", flat):
            if value == "none":
                rest += flat[end:start] + "."
                end = stop
        rest += flat[end:]
        return any(value == "any" for value, _, _ in matches("prior", rest)) or bool(matches("change", rest))


class _Read(NamedTuple):
    """A statement of a sentence; the places are those of the sentence."""

    finding: str
    state: State
    attributes: Attributes
    start: int
    end: int


class StatementReader:
    """Reads the statements of texts. Sentences and texts that were read before are not read again."""

    def __init__(self, phrases: str = "") -> None:
        """`phrases` is the path of a table that is added to those of the labeler. Raises DataError."""
        own = Source(FINDINGS, files(__package__).joinpath(FINDINGS).read_text(encoding="utf-8"))
        self._reader = reader((own, *((read_source(Path(phrases)),) if phrases else ())))
        self.added_tables = self._reader.tables.added[1:]
        tables = word_tables()
        self._names: dict[str, str] = tables["names"]
        self._compared = frozenset(tables["compared"]["concepts"])
        self._generic: list[str] = tables["generic"]["concepts"]
        self._adjectives = frozenset(tables["generic"]["adjectives"])
        self._sentence = lru_cache(maxsize=MAX_SENTENCES)(self._read_sentence)
        self.read = lru_cache(maxsize=MAX_TEXTS)(self._read_text)

    @property
    def findings(self) -> tuple[str, ...]:
        """Return the names of all findings, "other" last."""
        concepts = (c.name for c in self._reader.tables.concepts if c.name not in ("devices", "operated", "other"))
        names = dict.fromkeys(self._names.get(name, name) for name in concepts)
        return (*names, *word_tables()["devices"], "device", "other")

    def _read_text(self, text: str) -> StatementText:
        prepared = prepare(text, self._reader.is_word)
        language = foreign_language(prepared.text)
        if language:
            return StatementText(text, language=language)
        statements: list[Statement] = []
        unread: list[str] = []
        count = 0
        spans = section_spans(prepared.text, self._reader.names_finding)
        for number, sentence in enumerate(sentence_spans(prepared.text, spans)):
            read, clinical = self._sentence(sentence.text)
            count += clinical
            if clinical and not read:
                unread.append(sentence.text)
            for r in read:
                span = prepared.original(*place_in(prepared.text, sentence, r.start, r.end))
                statements.append(_statement(r, text, span, sentence, number))
        groups: dict[str, list[Statement]] = {}
        for s in statements:
            groups.setdefault(s.finding, []).append(s)
        return StatementText(text, tuple(statements), tuple(unread), count, "", groups)

    def _read_sentence(self, sentence: str) -> tuple[tuple[_Read, ...], bool]:
        """Return what a sentence states, and whether it is one that should state something."""
        mentions = self._reader.read(sentence)
        flat = sentence.lower()
        if len(flat) != len(sentence):
            flat = "".join(c.lower() if len(c.lower()) == 1 else c for c in sentence)
        if not mentions:
            words = {value for value, _, _ in matches("clinical", flat)}
            return (), words == {"words"} and not self._reader.names_finding(flat)
        named = _one_device([(m, self._finding(m, flat)) for m in self._specific(mentions)], flat)
        devices = [finding in DEVICES for _, finding in named]
        attributes = read_attributes(flat, [(m.start, m.end) for m, _ in named], devices)
        read: list[_Read] = []
        for (m, finding), each in zip(named, attributes, strict=True):
            for own in each:
                _add(read, _Read(finding, self._state(m, flat), own, m.start, m.end))
        return tuple(read), True

    def _specific(self, mentions: Sequence[ConceptMention]) -> list[ConceptMention]:
        """Return the mentions without those of generic concepts that share words with another one."""
        rank = {name: i + 1 for i, name in enumerate(self._generic)}
        kept = []
        for m in mentions:
            own = rank.get(m.concept.name, 0)
            if m.concept.name in self._adjectives and any(o.start == m.end + 1 for o in mentions):
                continue  # "surgical clips"
            others = (o for o in mentions if o is not m and o.start < m.end and m.start < o.end)
            if not own or all(rank.get(o.concept.name, 0) >= own and o.concept is not m.concept for o in others):
                kept.append(m)
        return kept

    def _state(self, mention: ConceptMention, flat: str) -> State:
        if mention.concept.name in self._compared:
            return "compared"
        state = _STATES[mention.state]
        if mention.state == "hedged" and not mention.cue and _ABNORMAL.search(flat, mention.start, mention.end):
            return "stated"
        return state

    def _finding(self, mention: ConceptMention, flat: str) -> str:
        """Return the name of the finding."""
        name, words = mention.concept.name, flat[mention.start : mention.end]
        if name in ("devices", "operated"):
            kinds = matches("devices", words)
            if kinds or name == "devices":
                return kinds[0][0] if kinds else "device"
        if name in ("other", "operated"):
            stem = _STEM.search(words)
            return f"other: {stem[0][:7] if stem else words}"
        return self._names.get(name, name)


def _one_device(named: list[tuple[ConceptMention, str]], flat: str) -> list[tuple[ConceptMention, str]]:
    """Leave out ends and bare nouns of devices ("its tip", "the tube") if the sentence names the device as well."""
    bare = [finding == "device" or flat.startswith("tip", m.start) for m, finding in named]
    if not any(finding in DEVICES and not own for (_, finding), own in zip(named, bare, strict=True)):
        return named
    return [(m, finding) for (m, finding), own in zip(named, bare, strict=True) if not (own and finding in DEVICES)]


def _add(read: list[_Read], new: _Read) -> None:
    """Add a statement of a sentence, or give its words to one that says the same: "pacemaker with two leads"."""
    for i, old in enumerate(read):
        if old.finding == new.finding and old.state == new.state and not _apart(old.attributes, new.attributes):
            one, other = old.attributes, new.attributes
            merged = Attributes(
                one.side or other.side, tuple(sorted({*one.place, *other.place})), one.severity or other.severity,
                one.size or other.size, one.change or other.change, one.age or other.age, one.tip or other.tip,
            )  # fmt: skip
            read[i] = old._replace(attributes=merged)
            return
    read.append(new)


def _apart(one: Attributes, other: Attributes) -> bool:
    """Whether two sets of attributes of one sentence speak of two things: another side, severity or place."""
    return (
        bool(one.side and other.side and one.side != other.side)
        or bool(one.place and other.place and one.place != other.place)
        or bool(one.severity and other.severity and one.severity != other.severity)
    )


def _statement(read: _Read, text: str, span: tuple[int, int], sentence: Sentence, number: int) -> Statement:
    own = read.attributes
    words = " ".join(text[slice(*span)].split())
    return Statement(
        read.finding, read.state, own.side, own.place, own.severity, own.size, own.change, own.age, own.tip, words,
        span, sentence.text, number,
    )  # fmt: skip
