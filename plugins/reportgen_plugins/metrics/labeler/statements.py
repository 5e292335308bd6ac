"""Where a new statement begins inside a sentence: in text without punctuation, and where a list goes over to a finding.

"no pneumothorax small right effusion": a size, a side or a change opens a statement if a noun comes before it. Words
are enough for this; a parser would need the punctuation that is missing. The words are in labeler_words.toml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import NamedTuple

from .spelling import word_lists

WORD = re.compile(r"[a-z0-9]+")
_DENIED = re.compile(r"\b(?:no|without|or)\b(?!.*\b(?:is|are|has|have|the|there)\b)")
_GOES_ON = re.compile(r"(?:(?!(?:no|is|are|has|have|the|there|with)\b)\w+,? ){1,5}(?:or|nor)\b")
_SIZED, _BIG = ("heart", "silhouette", "size", "mediastinum", "contour"), ("enlarged", "large", "prominent", "big")
LOOK_BACK = 60  # letters


class StatementWords(NamedTuple):
    """Words that open a statement, go on with it or end it."""

    openers: frozenset[str]
    participles: frozenset[str]
    modifiers: frozenset[str]
    continues: frozenset[str]
    joins: frozenset[str]
    ends: frozenset[str]
    articles: frozenset[str]
    devices: frozenset[str]
    subjects: Mapping[str, frozenset[str]]  # with the words that may follow; empty: any
    not_about: frozenset[str]  # words that may follow no subject

    def clause(self, previous: str, word: str, following: str) -> bool:
        """Whether a clause or a device begins with `word`: "the", "lungs", "pulmonary" before "vasculature"."""
        if word in self.articles or (word in self.devices and previous not in self.devices):
            return True
        followers = self.subjects.get(word)
        if followers is None or not following or following in self.not_about:
            return False
        return not followers or following in followers


@cache
def statement_words() -> StatementWords:
    """Return the words of labeler_words.toml that part statements."""
    lists = word_lists()
    openers = frozenset().union(*(lists[k] for k in ("sizes", "changes", "sides", "forms", "hedges")))
    subjects = dict.fromkeys(lists["subjects"], frozenset[str]())
    subjects |= {k.removeprefix("subject_"): v for k, v in lists.items() if k.startswith("subject_")}
    return StatementWords(
        openers=openers,
        participles=lists["participles"],
        modifiers=lists["modifiers"] | openers,
        continues=lists["continues"],
        joins=lists["joins"],
        ends=lists["ends"],
        articles=lists["articles"],
        devices=lists["devices"],
        subjects=subjects,
        not_about=lists["not_about"],
    )


def split_statements(flat: str) -> Iterator[str]:
    """Yield the statements of a text without sentence ends."""
    start = 0
    low = flat.lower()
    for place in _starts(low, list(WORD.finditer(low))):
        if statement := flat[start:place].strip(" ,;.").lstrip("- "):
            yield statement
        start = place
    if statement := flat[start:].strip(" ,;.").lstrip("- "):
        yield statement


def _starts(flat: str, tokens: list[re.Match[str]]) -> Iterator[int]:
    """Yield where statements begin, from the second on."""
    words = statement_words()
    closed, adverb = False, ""  # "heart enlarged" and "heart mildly enlarged" are complete
    for before, token, after in zip(tokens, tokens[1:], [*tokens[2:], None], strict=False):
        previous, word, following = before[0], token[0], after[0] if after else ""
        between = flat[before.end() : token.start()]
        if (between != " " and "," not in between) or previous in words.joins:
            continue
        if word == "no" and (not following or "," in flat[token.end() : token.end() + 2]):
            continue  # "effusion no, edema yes"
        opens = words.clause(previous, word, following)
        measured = previous in _SIZED or (previous == adverb and word in _BIG)
        adverb = word if measured and (word.endswith("ly") or word == "borderline") else ""
        ended, closed = closed, measured and word in _BIG and _follows(words, word, following)
        if not opens and following and word in words.openers and not (closed or adverb):
            opens = not _closed(flat, token.start())
        if opens and (ended or _complete(words, previous, word)):
            yield token.start()


def _follows(words: StatementWords, word: str, following: str) -> bool:
    """Return whether what follows "heart enlarged" does not belong to it: "lungs", "no", "right"."""
    return words.clause(word, following, "size") or (word == "enlarged" and following in words.openers)


def _complete(words: StatementWords, previous: str, word: str) -> bool:
    """Return whether the words before `word` may be a whole statement."""
    if word in ("no", "there"):
        return True
    if word in words.subjects:
        return previous not in words.openers
    return previous not in words.continues and previous not in words.openers


def _closed(flat: str, place: int) -> bool:
    """Return whether a denied list continues to an "or": "no mass, large effusion or pneumothorax"."""
    return bool(_DENIED.search(flat[max(0, place - LOOK_BACK) : place]) and _GOES_ON.match(flat[place:]))
