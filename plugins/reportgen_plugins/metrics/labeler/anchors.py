"""Find quickly which of many phrases can be in a sentence at all.

Every phrase has anchors, read off its regular expression: pieces of which one must be in any text that the phrase
matches. A piece is some letters of a word, a whole word ("=no") or a sign ("=?"). A phrase is tried only where a
sentence has one of its anchors, so that tables of a thousand phrases cost no more than the few that matter.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

T = TypeVar("T")
WORD = re.compile("[a-z]+")
_PIECE = re.compile(r"[a-z]+|[^\sa-z0-9.]")
_SEPARATOR = "[ /-]"
START, OUTER = r"(?<!\w)(?:", 4  # how a phrase of whole words begins, and its first element
MAX_WORDS = 1 << 16  # words whose phrases are remembered
_ELEMENT = re.compile(
    r"(?P<skip>\\b|\^|\$)|(?P<look>\(\?<?[=!])"  # these take no letters
    r"|(?P<open>\((?:\?(?:P<\w+>|[a-z-]*:))?)|(?P<close>\))|(?P<either>\|)"
    r"|(?P<letter>[a-z])|(?P<other>\\.|\[(?:\\.|[^\]\\])*\]|.)",
    re.DOTALL,
)
_REPEAT = re.compile(r"(?P<none>\?|\*|\{0?,\d*\}|\{0\})\??|\+\??|\{[\d,]+\}\??")

compiled = lru_cache(maxsize=None)(re.compile)


def pieces(flat: str) -> tuple[str, ...]:
    """Return the words and the signs of a lower-case text, each once."""
    return tuple(dict.fromkeys(_PIECE.findall(flat)))


class PhraseIndex(Generic[T]):
    """Phrases, each with a value, found in the order in which they were given."""

    def __init__(self, phrases: Sequence[tuple[T, str]]) -> None:
        """`phrases` holds a value and a regular expression for lower-case text of each phrase."""
        self.phrases = tuple(phrases)
        self._by_anchor: dict[str, list[int]] = {}
        self._always: list[int] = []
        self._by_word: dict[str, tuple[int, ...]] = {}
        for number, (_, pattern) in enumerate(self.phrases):
            anchors = find_anchors(pattern)
            for anchor in anchors:
                self._by_anchor.setdefault(anchor, []).append(number)
            if not anchors:
                self._always.append(number)
        self._longest = max(map(len, self._by_anchor), default=0)

    def find(self, flat: str, words: Collection[str]) -> Iterator[tuple[T, re.Match[str]]]:
        """Yield (value, match) of every phrase in a lower-case text with these `pieces`."""
        numbers = set(self._always)
        by_word = self._by_word
        for word in words:
            numbers.update(by_word[word] if word in by_word else self._of_word(word))
        for number in sorted(numbers):
            value, pattern = self.phrases[number]
            for match in compiled(pattern).finditer(flat):
                yield value, match

    def _of_word(self, word: str) -> tuple[int, ...]:
        """Return the numbers of the phrases that have an anchor in the word."""
        if len(self._by_word) >= MAX_WORDS:
            self._by_word.clear()
        numbers = set(self._by_anchor.get(f"={word}", ()))
        for start in range(len(word)):
            for end in range(start + 1, min(len(word), start + self._longest) + 1):
                numbers.update(self._by_anchor.get(word[start:end], ()))
        self._by_word[word] = tuple(numbers)
        return self._by_word[word]


def find_anchors(pattern: str) -> frozenset[str]:
    """Return pieces of which each text that the pattern matches has one; an empty set if none is certain.

    "=word" means a whole word or sign. A word is whole if a separator or an edge is on both of its sides.
    """
    elements = [(m.lastgroup or "", m[0], m.end()) for m in _ELEMENT.finditer(pattern)]
    anchors, _ = _alternatives(elements, 0, pattern)
    return anchors


def _alternatives(elements: Sequence[tuple[str, str, int]], at: int, pattern: str) -> tuple[frozenset[str], int]:
    """Return the anchors of a group from element `at` to its closing bracket, and the number of that element."""
    branches: list[frozenset[str]] = []
    best: frozenset[str] = frozenset()
    run, edge = "", at == OUTER and pattern.startswith(START)  # whether a whole word may begin here
    outer = edge
    while at < len(elements) and elements[at][0] != "close":
        kind, text, end = elements[at]
        candidate: frozenset[str] = frozenset()
        if kind in ("open", "look"):
            candidate, at = _alternatives(elements, at + 1, pattern)
            end = elements[at][2] if at < len(elements) else len(pattern)
        if kind == "look":
            at += 1
            continue
        repeat = _REPEAT.match(pattern, end)
        optional = repeat is not None and repeat["none"] is not None
        if kind == "letter" and not optional:
            run += text
            if repeat or not _goes_on(elements, at + 1, pattern):  # a longer run is rarer: weigh it where it ends
                whole = edge and not repeat and _ends_word(elements, at + 1, outer)
                best = _better(best, frozenset({f"={run}" if whole else run}))
        elif kind != "skip":
            run, edge = "", text == _SEPARATOR and not repeat
        if kind == "other" and text != _SEPARATOR and not optional:
            candidate = _signs(text)
        if repeat:
            run, edge = "", False
            while at + 1 < len(elements) and elements[at + 1][2] <= repeat.end():
                at += 1
        if candidate and not optional:
            best = _better(best, candidate)
        if kind == "either":
            branches.append(best)
            best, edge = frozenset(), outer
        at += 1
    branches.append(best)
    return (frozenset().union(*branches) if all(branches) else frozenset()), at


def _goes_on(elements: Sequence[tuple[str, str, int]], at: int, pattern: str) -> bool:
    """Whether element `at` is one more letter of a run, without a repetition of its own."""
    return at < len(elements) and elements[at][0] == "letter" and not _REPEAT.match(pattern, elements[at][2])


def _ends_word(elements: Sequence[tuple[str, str, int]], at: int, outer: bool) -> bool:
    """Whether a word ends before element `at`: a separator that must be there follows, or the whole phrase ends."""
    kind, text, _ = elements[at] if at < len(elements) else ("close", "", 0)
    optional = at + 1 < len(elements) and elements[at + 1][1] in ("?", "*")
    return (text == _SEPARATOR and not optional) or (outer and kind in ("close", "either"))


def _signs(text: str) -> frozenset[str]:
    """Return the signs that an element without letters matches; an empty set if it matches more."""
    inner = text[1:-1] if text.startswith("[") else text
    if inner.startswith("^") or re.search(r"\\?[\w\s]", inner) or inner == ".":
        return frozenset()
    return frozenset(f"={c}" for c in inner.replace("\\", ""))


def _better(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """Return the anchors that fewer words have: long ones, whole words, and few of them."""

    def rarity(anchors: frozenset[str]) -> float:
        shortest = min((len(a) + 2 * (a[0] == "=") for a in anchors), default=0)
        return shortest - 2 * math.log2(len(anchors)) / 3 if anchors else -99

    return max(one, other, key=rarity)
