"""The tables of phrases: the shipped ones, those of plugins and those of the user, read into indexes.

labeler_findings.toml says what is looked for and explains the phrase language; labeler_cues.toml says what turns it.
A table of a plugin (hook `register_phrases`) or of the user has the same form and adds to them: phrases for a finding,
for a label, for a finding of its own, or for a kind of cue.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast, get_args

from reportgen_core import DataError
from reportgen_core.discovery import implementations, run
from reportgen_core.errors import quoted
from reportgen_core.registry import did_you_mean

from .anchors import PhraseIndex

Scheme = Literal["chexpert14", "chestxray14"]
Kind = Literal["pseudo", "weak", "doubt", "ignored", "negation"]
BreakKind = Literal["any", "before", "cause", "list"]
Role = Literal["except", "absent", "unsure", "present"]  # the first takes the words that it shares with the next
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
KINDS: tuple[Kind, ...] = get_args(Kind)
ROLES: tuple[Role, ...] = get_args(Role)
WAYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(KINDS, ("after", "before")),
    "pseudo": ("around", "before"),
    "break": get_args(BreakKind),
}
MAX_TABLE = 4 * 2**20  # bytes

LABELS: dict[str, tuple[str, ...]] = {
    "chexpert14": (
        "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
        "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture",
        "Support Devices",
    ),
    "chestxray14": (
        "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
        "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia", "No Finding", "normal",
    ),
}  # fmt: skip
NOTHING_FOUND = ("No Finding", "normal")  # labels of what is not there; phrases cannot state them

_STOP = (
    "but|however|although|though|without|no|normal|unremarkable|enlarged|with|given|due|because|secondary|limited|"
    "obscured|owing|by|from|despite|where|which|while|since|as|behind|after|following|and the|there"
)
_GAPS = {  # words in between; a gap with commas belongs to denials, where "not" turns the sense
    " ... ": rf":?(?: (?!(?:{_STOP}|not)\b)[^ ;:]+){{0,10}} ",
    " .. ": rf":?(?: (?!(?:{_STOP})\b)[^ ,;:]+){{0,5}} ",
}


@dataclass(frozen=True, slots=True)
class Concept:
    """Something that phrases can name, finer than a label."""

    name: str
    labels: Mapping[str, str] = field(hash=False)  # scheme: label, or ""
    blocks: frozenset[str] = frozenset(NOTHING_FOUND)  # labels of no finding that it takes away


@dataclass(frozen=True, slots=True)
class Source:
    """One table as text, and the name by which errors and explanations call it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Tables:
    """All phrases of a labeler. `added` names the tables that are not shipped, by name and digest."""

    findings: PhraseIndex[tuple[Concept, Role]]
    cues: PhraseIndex[tuple[Kind, bool]]  # True: it is written before the mention
    breaks: PhraseIndex[BreakKind]
    concepts: tuple[Concept, ...]
    literals: frozenset[str]  # runs of letters in the phrases: what a word of the tables is made of
    added: tuple[str, ...] = ()


class _Builder:
    """Collects the phrases of one table after another."""

    def __init__(self) -> None:
        self.concepts: dict[str, Concept] = {}
        self.findings: list[tuple[tuple[Concept, Role], str]] = []
        self.cues: list[tuple[tuple[Kind, bool], str]] = []
        self.breaks: list[tuple[BreakKind, str]] = []
        self.words: dict[str, str] = {}

    def add(self, source: Source) -> None:
        """Add a table. Raises DataError, with its line, for what cannot be used."""
        table = _parse(source)
        words = table.pop("words", {})
        for name, value in words.items():
            if not isinstance(value, str):
                raise _error(source, ("words", name), f"{name} must be text, is a {type(value).__name__}")
        self.words.update(words)
        for name, section in table.items():
            if not isinstance(section, dict):
                raise _error(
                    source, ("", name), f"{name} belongs to no section; write [negation], [effusion] or another"
                )
            if name in WAYS:
                self._add_cues(source, name, section)
            else:
                self._add_finding(source, name, section)

    def _add_cues(self, source: Source, kind: str, section: Mapping[str, Any]) -> None:
        for way, phrases in section.items():
            if way not in WAYS[kind]:
                raise _error(source, (kind, way), f"[{kind}] has no {way!r}; {did_you_mean(way, WAYS[kind])}")
            for pattern in self._patterns(source, kind, way, phrases):
                if kind == "break":
                    self.breaks.append((cast(BreakKind, way), pattern))
                else:
                    self.cues.append(((cast(Kind, kind), way == "before"), pattern))

    def _add_finding(self, source: Source, name: str, section: Mapping[str, Any]) -> None:
        known = (*SCHEMES, "blocks", *ROLES)
        for key in section:
            if key not in known:
                raise _error(source, (name, key), f"[{name}] has no {key!r}; {did_you_mean(key, known)}")
        concept = self.concepts.get(name) or self._new_concept(source, name, section)
        if name in self.concepts and (own := [k for k in (*SCHEMES, "blocks") if k in section]):
            raise _error(source, (name, own[0]), f"{own[0]} of [{name}] cannot be changed; name a finding of your own")
        self.concepts[name] = concept
        for role in ROLES:
            for pattern in self._patterns(source, name, role, section.get(role, [])):
                self.findings.append(((concept, role), pattern))

    def _new_concept(self, source: Source, name: str, section: Mapping[str, Any]) -> Concept:
        labels: dict[str, str] = {
            scheme: section.get(scheme, name if name in LABELS[scheme] else "") for scheme in SCHEMES
        }
        for scheme, label in labels.items():
            stateable = [k for k in LABELS[scheme] if k not in NOTHING_FOUND]
            if label and label not in stateable:
                raise _error(source, (name, scheme), f"no label {label!r}; {did_you_mean(str(label), stateable)}")
        if not any(labels.values()) and not any(scheme in section for scheme in SCHEMES):
            own = sorted({k for scheme in SCHEMES for k in LABELS[scheme]} - set(NOTHING_FOUND))
            hint = did_you_mean(name, [*self.concepts, *WAYS, *own])
            raise _error(
                source, (name, ""), f"[{name}] is no finding, label or kind of cue: {hint}; or give it a label"
            )
        blocks = section.get("blocks", list(NOTHING_FOUND))
        if not isinstance(blocks, list) or not set(blocks) <= set(NOTHING_FOUND):
            raise _error(source, (name, "blocks"), f"blocks is a list of {' and '.join(NOTHING_FOUND)}")
        return Concept(name, labels, frozenset(blocks))

    def _patterns(self, source: Source, name: str, key: str, phrases: object) -> Iterator[str]:
        if not isinstance(phrases, list):
            raise _error(source, (name, key), f"{key} of [{name}] must be a list of phrases in quotes")
        for phrase in phrases:
            if not isinstance(phrase, str) or not phrase.strip():
                raise _error(source, (name, key), f"{key} of [{name}] holds {phrase!r}, which is no phrase")
            try:
                pattern = phrase_pattern(phrase, self.words)
                if source.name not in SHIPPED and re.compile(pattern).search(""):
                    raise ValueError("it matches a text without words")
            except (re.error, ValueError) as e:
                raise _error(source, (name, phrase), f"{phrase!r} is no phrase: {e}") from e
            yield pattern


def phrase_pattern(phrase: str, words: Mapping[str, str]) -> str:
    """Return a phrase of the tables as a regular expression. Raises ValueError for a {name} that is not known."""
    for name in re.findall(r"\{([a-z]\w*)\}", phrase):
        if name not in words:
            raise ValueError(f"no word list {{{name}}}; {did_you_mean(name, words)}")
        phrase = phrase.replace(f"{{{name}}}", words[name])
    marks = {mark: f"\0{i}\0" for i, mark in enumerate(_GAPS)}
    for mark, hidden in marks.items():
        phrase = phrase.replace(mark, hidden)
    pattern = re.sub(r"(?<=[a-z])(?<!\\w)\*", r"\\w*", phrase).replace(" ", "[ /-]")
    for mark, hidden in marks.items():
        pattern = pattern.replace(hidden, _GAPS[mark])
    before = r"(?<!\w)" if phrase[0].isalnum() or phrase[0] == "(" else ""
    after = "" if phrase.endswith(("\\?", " ?")) or phrase[-1] in "]+ $" else r"(?!\w)"
    return f"{before}(?:{pattern}){after}"


def _parse(source: Source) -> dict[str, Any]:
    try:
        return tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as e:
        place = re.search(r"\(at (?:line (\d+), column \d+|end of document)\)", str(e))
        line = place[1] if place and place[1] else str(source.text.rstrip("\n").count("\n") + 1)
        raise DataError(f"{source.name}: line {line}: {str(e).partition(' (at ')[0]}") from e


def _error(source: Source, place: tuple[str, str], why: str) -> DataError:
    """Return an error that names the line of a key or a phrase in a section ("" is before all sections)."""
    section, text = place
    lines = source.text.splitlines()
    heads = ("[" + section + "]", f'["{section}"]', f"['{section}']")
    start = next((n for n, line in enumerate(lines) if line.partition("#")[0].strip() in heads), 0)
    written = (text, text.replace("\\", "\\\\"))
    line = next((n for n in range(start, len(lines)) if text and any(w in lines[n] for w in written)), start)
    return DataError(f"{source.name}: line {line + 1}: {why}")


SHIPPED = ("labeler_findings.toml", "labeler_cues.toml")


def read_source(path: Path) -> Source:
    """Read a table of the user. Raises DataError if it is no text in UTF-8."""
    try:
        if path.stat().st_size > MAX_TABLE:
            raise DataError(f"{path}: {path.stat().st_size} bytes is too large for a table of phrases")
        return Source(str(path), path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as e:
        line = path.read_bytes()[: e.start].count(b"\n") + 1
        raise DataError(f"{path}: line {line}: is no text in UTF-8") from e
    except OSError as e:
        raise DataError(f"{path}: {e.strerror or e}") from e


def plugin_sources() -> tuple[Source, ...]:
    """Return the tables of the plugins. Warn of a plugin whose table cannot be used, and leave it out."""
    sources: list[Source] = []
    for plugin, function in implementations("register_phrases"):
        tables = run(plugin, "register_phrases", partial(_plugin_tables, function))
        if tables is None:
            warnings.warn(f"phrases of plugin {plugin.name} are left out: {plugin.problem}", stacklevel=2)
        sources += tables or ()
    return tuple(sources)


def _plugin_tables(function: Callable[[], Any]) -> list[Source]:
    """Return the tables that a hook names, each tried. Raises DataError for one that cannot be used."""
    places = function()
    if not isinstance(places, list | tuple):
        raise DataError(f"returned {quoted(places)}, which is no list of tables")
    sources = [_from_plugin(place) for place in places]
    for source in sources:
        build_tables((source,))
    return sources


def _from_plugin(place: object) -> Source:
    """Return the table at a path or at "package:NAME/FILE", a data file of an installed package."""
    if not isinstance(place, str):
        raise DataError(f"a table of phrases is a path or package:NAME/FILE, not a {type(place).__name__}")
    if not place.startswith("package:"):
        return read_source(Path(place))
    package, _, inside = place.removeprefix("package:").partition("/")
    return Source(place, files(package).joinpath(inside).read_text(encoding="utf-8"))


@cache
def build_tables(added: Sequence[Source] = ()) -> Tables:
    """Return the shipped tables and those added to them, in that order. Raises DataError for a table with an error."""
    builder = _Builder()
    for name in SHIPPED:
        builder.add(Source(name, files(__package__).joinpath(name).read_text(encoding="utf-8")))
    for source in added:
        builder.add(source)
    patterns = [p for phrases in (builder.findings, builder.cues, builder.breaks) for _, p in phrases]
    return Tables(
        PhraseIndex(builder.findings),
        PhraseIndex(builder.cues),
        PhraseIndex(builder.breaks),
        tuple(builder.concepts.values()),
        frozenset(run for p in patterns for run in re.findall(r"(?<!\\)[a-z]{5,}", p)),
        tuple(f"{Path(s.name).name} {hashlib.sha256(s.text.encode()).hexdigest()[:8]}" for s in added),
    )
