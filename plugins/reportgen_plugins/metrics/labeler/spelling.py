"""Words of the tables that were written with one wrong letter.

One edit is one letter too many, missing, exchanged, or two that changed places. Only long words are corrected, never a
word that exists, and never one that is as near to another finding.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Sequence
from functools import cache
from importlib.resources import files

SHORTEST, LONGEST = 5, 30  # letters of a word that is corrected
SAME_STEM = 5  # letters that all corrections of a word must share
_DOUBLE = re.compile(r"(.)\1")
MAX_WORDS = 1 << 16
_WORD = re.compile(  # tokenizers write "is n't"
    r"\b(?P<short>(?:is|are|was|were|do|does|did|has|have|had|could|would|should|must|might|need|ca|wo)"
    r" ?n ?['`] ?t)(?![a-z])"
    r"|[a-z]+(?:['`]s(?![a-z]))?"
)


@cache
def word_lists() -> dict[str, frozenset[str]]:
    """Return the lists of labeler_words.toml by name."""
    text = files(__package__).joinpath("labeler_words.toml").read_text(encoding="utf-8")
    return {name: frozenset(words.split()) for name, words in tomllib.loads(text).items()}


@cache
def short_forms() -> dict[str, str]:
    """Return short forms, written out. Those with "not" stand here without their apostrophe."""
    regular = {f"{verb}nt": f"{verb} not" for verb in word_lists()["verbs"]}
    clipped = {f"{word}'s": f"{word} is" for word in ("there", "it", "that", "heart", "here")}
    return {**regular, **clipped, "cant": "cannot", "wont": "will not", "shant": "shall not", "aint": "is not"}


class Spelling:
    """Corrects the words of a sentence."""

    def __init__(self, is_finding: Callable[[str], bool], known: Collection[str]) -> None:
        """`is_finding` says whether a word, as it is written, names a finding; `known` words are right."""
        lists = word_lists()
        self._is_finding, self._short = is_finding, short_forms()
        self._right = lists["right"] | lists["words"] | frozenset(known)
        self._near: dict[str, list[str]] = {}
        for word in lists["words"]:
            for piece in _shortened(word):
                self._near.setdefault(piece, []).append(word)
        self._single = {_DOUBLE.sub(r"\1", word): word for word in sorted(lists["words"])}
        self._corrections: dict[str, str] = {}

    def correct(self, flat: str, words: Sequence[str]) -> tuple[str, list[int] | None]:
        """Return a lower-case sentence with words corrected and short forms written out: "isn't" is "is not".

        The second value is the old place of each letter; None: nothing changed. `words` are the words in it.
        """
        wrong = {w for w in words if (SHORTEST <= len(w) <= LONGEST and self._correction(w)) or w in self._short}
        if not wrong and "'" not in flat and "`" not in flat:
            return flat, None
        text, end = "", 0
        places: list[int] = []
        for m in _WORD.finditer(flat):
            word = re.sub("[^a-z]", "", m[0]) if m["short"] else m[0].replace("`", "'")
            right = self._short.get(word, "")
            right = right or (self._correction(word) if word in wrong else "")
            if not right:
                continue
            text += flat[end : m.start()] + right
            places += range(end, m.start())
            places += (min(m.start() + i, m.end() - 1) for i in range(len(right)))
            end = m.end()
        return (text + flat[end:], [*places, *range(end, len(flat))]) if end else (flat, None)

    def _correction(self, word: str) -> str:
        """Return the word that was meant; "" for a word that is right or unknown."""
        correction = self._corrections.get(word)
        if correction is None:
            if len(self._corrections) >= MAX_WORDS:
                self._corrections.clear()
            correction = self._corrections[word] = self._nearest(word)
        return correction

    def _nearest(self, word: str) -> str:
        if word in self._right:
            return ""
        pieces = _shortened(word)
        near = sorted({w for piece in pieces for w in self._near.get(piece, ()) if _one_edit(word, w)})
        if not near and (single := self._single.get(_DOUBLE.sub(r"\1", word))):
            near = [single]  # "efussion": letters doubled in the wrong place
        if not near or len({w[:SAME_STEM] for w in near}) > 1 or self._is_finding(word):
            return ""
        return near[0]


def _shortened(word: str) -> set[str]:
    """Return the word and all words that are one letter shorter."""
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}


def _one_edit(one: str, other: str) -> bool:
    """Whether one letter more, less or exchanged, or two that change places, make one word of the other."""
    start = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, others = one[start:], other[start:]
    exchanged = rest[1:] == others[1:]
    return exchanged or rest[1:] == others or rest == others[1:] or (rest[1::-1] + rest[2:] == others and len(rest) > 1)
