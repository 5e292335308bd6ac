"""Measure reports: lengths, what the limits of a text recipe cut, punctuation, vocabulary, duplicates."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reportgen_core.text.spec import TextSpec, count_cut_words, recipe, report_words
from reportgen_core.types import Study

from .numbers import Spread, spread_of

ENDS = frozenset(".!?;。．！？；।؟")  # signs that end a sentence
LONG = 15  # words: a report of so many has more than one sentence as a rule
STEPS = 20  # points of the curve of the vocabulary
RARE = 5  # a word that occurs less often is hardly learned
Texts = Mapping[str, str]  # the report of each study that has one, by id


@dataclass(frozen=True, slots=True, kw_only=True)
class CutReports:
    """The limits of a text recipe, and how many reports each of them cuts."""

    max_sentences: int
    max_words: int
    max_length: int
    by_sentences: int
    by_words: int
    by_length: int
    by_any: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFacts:
    """The reports of a dataset."""

    recipe: str
    reports: int
    without: int  # studies without a report
    words: Spread  # of a report, without marks
    sentences: Spread  # of a report
    cut: CutReports
    unpunctuated: int  # reports of at least `LONG` words without a sign that ends a sentence
    long_reports: int  # reports of at least `LONG` words
    distinct: int  # reports that differ in more than case and spaces
    commonest: int  # studies with the commonest report
    tokens: int
    vocabulary: int
    once: int  # words of the vocabulary that occur once
    rare: int  # words of the vocabulary that occur less than `RARE` times
    growth: tuple[tuple[int, int], ...]  # (reports read, distinct words in them), the reports in an order by chance
    unknown: Mapping[str, float]  # for each other split, the share of its words that no training report has


def read_texts(studies: Sequence[Study], sections: Sequence[str]) -> dict[str, str]:
    """Return the report of each study that has a letter or a digit in one of the sections, by id."""
    texts = {s.id: s.text(sections) for s in studies}
    return {id: text for id, text in texts.items() if any(c.isalnum() for c in text)}


def measure_texts(studies: Sequence[Study], texts: Texts, spec: TextSpec) -> TextFacts | None:
    """Return the facts of the reports; None if there is none. Raises what a recipe raises that does not exist."""
    split = recipe(spec).split
    cut = {id: [s for s in split(text) if any(c.isalnum() for w in s for c in w)] for id, text in texts.items()}
    if not cut:
        return None
    words = {id: [w for s in sentences for w in s if any(map(str.isalnum, w))] for id, sentences in cut.items()}
    counts = Counter(w for row in words.values() for w in row)
    same = Counter(map(plain_text, texts.values()))
    long = [id for id, row in words.items() if len(row) >= LONG]
    return TextFacts(
        recipe=spec.recipe,
        reports=len(texts),
        without=len(studies) - len(texts),
        words=spread_of([len(row) for row in words.values()]),
        sentences=spread_of([len(sentences) for sentences in cut.values()]),
        cut=_count_cut(texts, cut, spec),
        unpunctuated=sum(not ENDS & set(texts[id]) for id in long),
        long_reports=len(long),
        distinct=len(same),
        commonest=max(same.values()),
        tokens=counts.total(),
        vocabulary=len(counts),
        once=sum(n == 1 for n in counts.values()),
        rare=sum(n < RARE for n in counts.values()),
        growth=_growth(words),
        unknown=_unknown_words(studies, words),
    )


def plain_text(text: str) -> str:
    """Return a text by which duplicates are found: lower case, one space between words."""
    return " ".join(text.lower().split())


def _count_cut(texts: Texts, cut: Mapping[str, list[list[str]]], spec: TextSpec) -> CutReports:
    """Return how many reports the limits cut. A recipe that is one row of words has no limit of sentences or words."""
    flat = recipe(spec).flat
    lengths = [sum(len(s) + 1 for s in sentences) for sentences in cut.values()]  # with a mark after each sentence
    return CutReports(
        max_sentences=spec.max_sentences,
        max_words=spec.max_words,
        max_length=spec.length,
        by_sentences=0 if flat else sum(len(s) > spec.max_sentences for s in cut.values()),
        by_words=0 if flat else sum(any(len(x) > spec.max_words for x in s) for s in cut.values()),
        by_length=sum(n > spec.length for n in lengths),
        by_any=sum(count_cut_words(t, report_words(t, spec), spec) > 0 for t in texts.values()),
    )


def _growth(words: Mapping[str, Sequence[str]]) -> tuple[tuple[int, int], ...]:
    """Return how the vocabulary grows. The order depends on the ids alone, so that two looks draw the same curve."""
    ids = sorted(words, key=lambda id: hashlib.sha256(id.encode("utf-8", "replace")).digest())
    marks = {-(-len(ids) * step // STEPS) for step in range(1, STEPS + 1)}
    seen: set[str] = set()
    points = []
    for number, id in enumerate(ids, 1):
        seen.update(words[id])
        if number in marks:
            points.append((number, len(seen)))
    return tuple(points)


def _unknown_words(studies: Sequence[Study], words: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """Return for each split but training the share of its words that no training report has."""
    known = {w for s in studies if s.split == "train" for w in words.get(s.id, ())}
    rows: dict[str, list[str]] = {}
    for s in studies:
        if known and s.split not in ("", "train") and s.id in words:
            rows.setdefault(s.split, []).extend(words[s.id])
    return {split: round(sum(w not in known for w in row) / len(row), 5) for split, row in rows.items() if row}
