"""Cues and their scope: which words deny or doubt a mention, and how far they reach.

Cues reach from their place to the next break, as in NegEx (Chapman et al., A simple algorithm for identifying negated
findings, 2001) and ConText; no parser is needed. A break is a word ("but"), a word of cause ("due to"), or the place
where a list goes over to a statement ("no pneumothorax, large effusion").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .phrases import KINDS, BreakKind, Kind, Tables
from .statements import statement_words

ORDER: tuple[Kind, ...] = ("ignored", "negation", "doubt", "weak")  # of cues that reach a mention the first decides
_TOKEN = re.compile(r"[a-z0-9]+")
_PREDICATE = re.compile(
    r"\b(?:is|are|was|were|has|have|had|remains?|appears?|present|seen|noted|stable|unchanged|resolved|cleared|persists?"
    r"|improved|increased|decreased|worsened|absent)\b"
)
_ONE_WAY = ("negation", "doubt")  # kinds of which a cue turns what is on one side of it only
_ENDS = (",", ";", ")")
_ADJECTIVE = ("ive", "al", "ic", "ar", "ous", "ory")  # ends of words that belong to the noun after them
MAX_BETWEEN = 3  # words between a cue and "there is"
_CONTRAST = ("but", "though", "although", "however", "yet")
_OR = re.compile(r"\b(?:or|nor)\b")
_ENUMERATES = re.compile(r"differential|ddx|includ|considerations")
_COMPARES = re.compile(r",|\b(?:from|compared|comparison|than|unchanged|stable|similar|increased|decreased)\b")
_FINITE = re.compile(  # "no effusion pulmonary edema is unchanged"
    r"(?:(?!(?:or|and|nor|is|are|was|were|has|have)\b)\w+ ){1,3}"
    r"(?:remains?|persists?|(?:is |are |has |have )?(?:stable|unchanged|again|larger|smaller|worse|increased|decreased"
    r"|improved|worsened|progressed|enlarged|developed|cleared|resolved)|(?:is|are) (?:present|noted|now)"
    r"|(?<!seen )(?<!noted )(?<!identified )(?<!present )(?<!evident )(?:at|in|within|along|over|involving) (?:the )?"
    r"(?:right|left|both|lingula|r[uml]l|l[ul]l))\b"
)
_ATTRIBUTES = re.compile(  # "no abnormality suspicious for pneumonia"
    r"(?:suspicious|suggestive|suggesting|concerning|worrisome|indicative|indicating|compatible|consistent|typical"
    r"|characteristic|diagnostic|representing|to suggest|that (?:suggest|indicate))\b"
)
_BACK = re.compile(
    r"[.;,:]? ?(?:(?:and|but) )?(?:it|this|that|these|they|those|both|all|while|although|though|albeit) ?"
)  # "effusion; it has resolved"
_ACT = re.compile(r"\b(?:removal|extraction|explantation|withdrawal)$")  # a cue that is a noun, and no predicate
_TIME = re.compile(r"\b(?:after|following|post|before|prior to|upon|with|despite|during|pending)\b")
_COORDINATED = re.compile(r"\b(?:and|or|nor)\b")


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that turn a mention, and the places between which a mention must lie to be reached."""

    kind: Kind
    start: int
    end: int
    forward: bool
    words: str
    low: int = 0
    high: int = 0

    @property
    def takes_back(self) -> bool:
        """Whether the cue doubts what was denied before it: "not seen, but it cannot be excluded"."""
        return self.kind == "doubt" and not self.forward and self.words.startswith(_CONTRAST)

    def overlaps(self, start: int, end: int) -> bool:
        """Whether the cue shares letters with a span."""
        return self.start < end and start < self.end

    def reaches(self, start: int, end: int) -> bool:
        """Whether the cue governs a mention from start to end."""
        if start <= self.start and self.end <= end:  # "heart is not enlarged"
            return self.kind == "pseudo" or (self.forward and self.kind != "ignored")
        if (
            self.kind == "pseudo"
        ):  # "no fibrotic changes" denies; "no evidence that the effusion has resolved" is around it
            return self.overlaps(start, end) != self.forward
        if self.start <= start and end <= self.end:  # "is not enlarged" as a cue
            return self.kind == "negation"
        if self.forward:
            return self.end <= start <= self.high
        return self.low < end <= self.start


@dataclass(frozen=True, slots=True)
class Break:
    """A place that ends the reach of cues."""

    start: int
    end: int
    kind: BreakKind
    clause: bool = False  # a new clause begins: cues that look back end here, too


class Scan:
    """The cues of one lower-case sentence, with their reach."""

    def __init__(self, flat: str, words: Sequence[str], tables: Tables, mentions: Sequence[tuple[int, int]]) -> None:
        """`words` are the pieces of the sentence, `mentions` the places of what it names, in order."""
        self.flat, self.mentions, self.statement = flat, mentions, statement_words()
        self.cues: list[Cue] = []
        found = [(kind, forward, m) for (kind, forward), m in tables.cues.find(flat, words)]
        if not found:
            return
        starts = {m.start() for _, forward, m in found if forward and not m[0].startswith("v")}  # "versus" joins
        breaks = [Break(*m.span(), kind) for kind, m in tables.breaks.find(flat, words)]
        self.breaks = sorted([*breaks, *self._list_breaks(starts)], key=lambda b: b.start)
        self._starts = sorted(starts)
        twins = {m.span() for kind, forward, m in found if kind in _ONE_WAY and not forward and "clinical" not in m[0]}
        twins &= {m.span() for kind, forward, m in found if kind in _ONE_WAY and forward}
        for kind, forward, m in found:
            if kind in _ONE_WAY and m.span() in twins and forward != self._looks_forward(*m.span()):
                continue
            if kind == "negation" and forward and self.flat[m.end() : m.end() + 1] in _ENDS:
                continue  # "effusion: no, edema: yes"
            low = 0 if forward or kind == "pseudo" else self._low(kind, m.start())
            if not forward and _ACT.search(m[0]):
                low = max(low, self._phrase(m.start()))
            if any(m.start() <= s and e <= m.end() for s, e in self.mentions):
                low = m.start()  # "effusion -": the cue is around its finding and reaches no other
            high = self._high(kind, m) if forward and kind != "pseudo" else 0
            self.cues.append(Cue(kind, *m.span(), forward, m[0].strip(" ,"), low, high))

    def ruling(self, start: int, end: int) -> Cue | None:
        """Return the cue that decides a mention: one that ignores it, else a negation, else doubt, else a weak hedge.

        Of cues that share words only the longest counts; a pseudo cue takes its words from the others.
        """
        reaching = [c for c in self.cues if c.reaches(start, end)]
        if len(reaching) > 1:
            reaching.sort(key=lambda c: (c.kind != "pseudo", c.start - c.end, KINDS.index(c.kind)))
            longest: list[Cue] = []
            for cue in reaching:
                if not any(cue.overlaps(c.start, c.end) for c in longest):
                    longest.append(cue)
            reaching = longest
        deciding = [c for c in reaching if c.kind != "pseudo"]
        return min(
            deciding,
            key=lambda c: (not c.takes_back, ORDER.index(c.kind), abs(c.start - start)),
            default=None,
        )

    def says_normal(self, start: int) -> bool:
        """Whether a word that calls something normal begins at `start`."""
        return self.flat.startswith(("normal", "unremarkable", "within"), start)

    def scope(self, cue: Cue) -> tuple[int, int]:
        """Return the places between which a cue reaches, its own words included."""
        if cue.forward:
            return cue.start, max(cue.high, cue.end)
        return min(cue.low, cue.start), cue.end

    def _looks_forward(self, start: int, end: int) -> bool:
        """Return whether a cue that may be on either side of its finding is before it: "resolved pneumonia"."""
        before = any(e <= start for _, e in self.mentions)
        following = next((s for s, _ in self.mentions if s >= end), None)
        return following is not None and (not before or self._only_modifiers(end, following))

    def _only_modifiers(self, start: int, end: int) -> bool:
        text = self.flat[start:end]
        return "," not in text and ":" not in text and all(w in self.statement.modifiers for w in _TOKEN.findall(text))

    def _high(self, kind: Kind, m: re.Match[str]) -> int:
        """Return the place of the break that ends the reach of a cue that looks forward."""
        end, enumerates = m.end(), _ENUMERATES.search(m[0])
        for b in self.breaks:
            if b.start < end:
                continue
            if b.kind == "cause" and kind != "ignored" and not self.flat[end : b.start].strip():
                continue  # "may be due to": the cue reaches the cause
            if self._is_asserted(end, b):
                continue
            if b.kind == "list" and (enumerates or self._no_noun(end, b.start) or self._closed(b)):
                continue
            return b.start
        return len(self.flat)

    def _finite(self, previous: str, start: int) -> bool:
        """Whether a statement begins at a noun: "no effusion pulmonary edema is unchanged"."""
        return _FINITE.match(self.flat, start) is not None and not previous.endswith(_ADJECTIVE)

    def _is_asserted(self, start: int, b: Break) -> bool:
        """Whether a cue reaches over "there is" or "it is": "no evidence that there is an effusion"."""
        if b.kind != "any" or not self.flat.startswith(("there ", "it "), b.start):
            return False
        between = self.flat[start : b.start].rstrip()
        named = any(start <= s < b.start for s, _ in self.mentions)
        return (
            not named
            and between.count(" ") <= MAX_BETWEEN
            and (between or self.flat[:start]).endswith((" that", " if", " whether"))
        )

    def _no_noun(self, start: int, end: int) -> bool:
        """Whether only adjectives stand between a cue and a break: "no new, focal consolidation"."""
        return all(w in self.statement.modifiers for w in _TOKEN.findall(self.flat, start, end))

    def _closed(self, b: Break) -> bool:
        """Whether a list that seems to go over to a statement ends in "or": "no mass, large effusion or edema"."""
        if b.end in self._starts or b.start in self._starts:
            return False
        following = [o.start for o in self.breaks if o.start >= b.end and o.kind != "list"]
        limit = min([*following, *(s for s in self._starts if s >= b.end)], default=len(self.flat))
        joined = _OR.search(self.flat, b.end, limit)
        return joined is not None and any(joined.end() <= s < limit for s, _ in self.mentions)

    def _low(self, kind: Kind, start: int) -> int:
        """Return the place of the break that ends the reach of a cue that looks back from `start`."""
        low = -1
        if kind == "ignored":  # "unchanged from a study 7 years ago"
            low = max((m.start() for m in _COMPARES.finditer(self.flat, 0, start)), default=-1)
        for b in self.breaks:
            if b.start >= start:
                break
            if _BACK.fullmatch(self.flat, b.start, start):
                continue
            if (b.kind == "any" or b.clause) and (self.flat[b.start : start].strip(" :-|") or b.end > start):
                low = max(low, b.start)
        for m in re.finditer(r",|\band\b", self.flat[:start]):
            named = [(s, e) for s, e in self.mentions if m.end() <= s and e <= start]
            if named and self._parts(m[0], m.start(), start):
                low = max(low, m.start())
        return low

    def _phrase(self, start: int) -> int:
        """Return where the phrase of an act at `start` begins: "a pneumothorax after | chest tube removal"; else -1.

        An act that names nothing of its own is said of what is before it: "the chest tube after removal".
        """
        named = [s for s, e in self.mentions if e <= start]
        return max(
            (m.start() for m in _TIME.finditer(self.flat, 0, start) if any(m.end() <= s for s in named)), default=-1
        )

    def _parts(self, sign: str, place: int, start: int) -> bool:
        """Return whether a comma or an "and" before a mention ends the statement before it."""
        if sign == ",":
            return not _COORDINATED.search(self.flat, place, start)
        earlier = max((e for _, e in self.mentions if e <= place), default=0)
        return _PREDICATE.search(self.flat, earlier, place) is not None

    def _list_breaks(self, starts: set[int]) -> Iterator[Break]:
        """Yield where a list goes over to a statement; `starts` are the places of cues that look forward."""
        tokens = list(_TOKEN.finditer(self.flat))
        ends, words = {end for _, end in self.mentions}, self.statement
        for n, (before, token) in enumerate(pairwise(tokens)):
            word, previous = token[0], before[0]
            attribute = _ATTRIBUTES.match(self.flat, token.start()) is not None
            opens = word in words.openers or word.isdigit() or (token.start() in starts and not attribute)
            between = self.flat[before.end() : token.start()]
            following = tokens[n + 2][0] if n + 2 < len(tokens) else ""
            if any(c in between for c in ",/(&+"):
                if opens or word in words.participles or words.clause(previous, word, following):
                    yield Break(before.end(), token.start(), "list", word in ("the", "this", "these", "there"))
            elif previous == "and" and n and opens:
                yield Break(before.start(), token.start(), "list")
            elif between != " " or not (before.end() in ends or previous in words.ends):
                continue
            elif opens or words.clause(previous, word, following) or self._finite(previous, token.start()):
                yield Break(before.end(), token.start(), "list", word in words.articles)
