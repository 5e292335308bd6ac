"""The reading of one sentence: which findings its words name, and whether they are stated, denied or doubted.

A mention is found by the phrases of labeler_findings.toml, and turned by the cues of labeler_cues.toml. Every answer
names the words it comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Literal

from .anchors import pieces
from .cues import Cue, Scan
from .phrases import ROLES, Concept, Kind, Role, Source, Tables, build_tables, plugin_sources
from .spelling import Spelling

State = Literal["stated", "denied", "doubted", "hedged"]
MAX_SENTENCES = 1 << 16  # sentences whose mentions are remembered
_STATES: dict[Role, State] = {"absent": "denied", "unsure": "hedged", "present": "stated"}
_BY_CUE: dict[Kind, State] = {"negation": "denied", "doubt": "doubted", "weak": "hedged"}
_VERBS: dict[Kind, str] = {"negation": "negated", "doubt": "doubted", "weak": "hedged"}


@dataclass(frozen=True, slots=True)
class ConceptMention:
    """A concept named in a sentence. Places are those of the sentence."""

    concept: Concept
    state: State
    start: int
    end: int
    rule: str
    cue: str = ""
    scope: tuple[int, int] = (0, 0)


class Reader:
    """Reads sentences by tables of phrases. Radiologists repeat themselves: half of the sentences were read before."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.spelling = Spelling(partial(_has_label, tables), tables.literals)
        self.read = lru_cache(maxsize=MAX_SENTENCES)(self._read)

    def names_finding(self, text: str) -> bool:
        """Whether a lower-case text names a finding."""
        return any(True for _ in self.tables.findings.find(text, pieces(text)))

    def is_word(self, word: str, head: int) -> bool:
        """Whether a word that was broken after `head` letters is one of the tables: its pieces cross the break."""
        return any(
            word[start:end] in self.tables.literals
            for start in range(head)
            for end in range(max(head + 1, start + 5), len(word) + 1)
        )

    def _read(self, sentence: str) -> tuple[ConceptMention, ...]:
        """Return the concepts that the sentence names, in the order of its words."""
        flat = sentence.lower()
        if len(flat) != len(sentence):  # a letter whose small form is longer; places must agree
            flat = "".join(c.lower() if len(c.lower()) == 1 else c for c in sentence)
        words = pieces(flat)
        corrected, places = self.spelling.correct(flat, words)
        if places is not None:
            words = pieces(corrected)
        named = self._named(corrected, words)
        if not named:
            return ()
        scan = Scan(corrected, words, self.tables, [(start, end) for _, _, start, end in named])
        mentions = []
        for concept, state, start, end in named:
            cue = scan.ruling(start, end)
            if cue is None or cue.kind != "ignored":
                mentions.append(_mention(concept, state, (start, end), cue, scan, places))
        return tuple(mentions)

    def _named(self, flat: str, words: Sequence[str]) -> list[tuple[Concept, State, int, int]]:
        """Return what the phrases name, in order. Of a concept's phrases a denial or a hedge keeps shared words."""
        matches: dict[Concept, list[tuple[int, int, int]]] = {}
        for (concept, role), m in self.tables.findings.find(flat, words):
            matches.setdefault(concept, []).append((ROLES.index(role), *m.span()))
        named = []
        for concept, spans in matches.items():
            taken: list[tuple[int, int]] = []
            for rank, start, end in sorted(spans, key=lambda s: s[:2]):
                barred = ROLES[rank] == "except"
                if barred or all(end <= s or e <= start for s, e in taken):
                    taken.append((start, end))
                    if not barred:
                        named.append((concept, _STATES[ROLES[rank]], start, end))
        return sorted(named, key=lambda n: n[2:])


def _has_label(tables: Tables, word: str) -> bool:
    """Whether a word names a finding that counts for a label."""
    return any(any(concept.labels.values()) for (concept, _), _ in tables.findings.find(word, (word,)))


def _mention(
    concept: Concept, state: State, span: tuple[int, int], cue: Cue | None, scan: Scan, places: Sequence[int] | None
) -> ConceptMention:
    """Return a mention under a cue, with places of the sentence as it was before its spelling was corrected."""

    def place(start: int, end: int) -> tuple[int, int]:
        return (start, end) if places is None else (places[start], places[end - 1] + 1)

    if state == "denied" and cue and cue.kind == "negation" and cue.end + 1 == span[0] and scan.says_normal(span[0]):
        state, cue = "hedged", None  # "by no means normal heart size"
    if state == "denied" or cue is None:
        rule = {"denied": "these words deny it", "hedged": "these words hedge"}.get(state, "stated")
        return ConceptMention(concept, state, *place(*span), rule)
    rule = f"{_VERBS[cue.kind]} by {cue.words!r}"
    return ConceptMention(concept, _BY_CUE[cue.kind], *place(*span), rule, cue.words, place(*scan.scope(cue)))


@cache
def reader(added: tuple[Source, ...] = ()) -> Reader:
    """Return a reader with the shipped tables, those of plugins and those added. Raises DataError for a bad table."""
    return Reader(build_tables((*plugin_sources(), *added)))
