"""Remove sentences from a report: repeated ones, for `GenerationSettings.distinct`, or all after `max_sentences`.

A decoder that does not read its own words tends to repeat the likeliest sentence. A sentence is removed if the same
words are in the report before it, together with its rows of attention. The score stays the score of all words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..types import Attention, Candidate

Row = tuple[int, ...]


def without_repeats(candidate: Candidate, mark: int | None) -> Candidate:
    """Return the candidate with only the first of equal sentences; `mark`, if any, ends a sentence within a row."""
    seen: set[Row] = set()
    rows: list[Row] = []
    kept_rows, kept_words, at = [], [], 0
    for number, row in enumerate(candidate.sentences):
        kept: list[int] = []
        for start, end in _sentence_spans(row, mark):
            words = tuple(w for w in row[start:end] if w != mark)
            if words not in seen:
                kept += range(start, end)
            if words:
                seen.add(words)
        if kept or not row:
            rows.append(tuple(row[i] for i in kept))
            kept_rows.append(number)
            kept_words += [at + i for i in kept]
        at += len(row)
    if at == len(kept_words):
        return candidate
    attention = candidate.attention and _selected(candidate.attention, kept_rows, kept_words)
    return replace(candidate, sentences=tuple(rows), attention=attention)


def first_sentences(candidate: Candidate, mark: int | None, most: int) -> Candidate:
    """Return the candidate with its first `most` sentences; `mark`, if any, ends a sentence within a row."""
    rows: list[Row] = []
    kept_rows, kept_words, at, count = [], [], 0, 0
    for number, row in enumerate(candidate.sentences):
        kept: list[int] = []
        for start, end in _sentence_spans(row, mark):
            if count < most:
                kept += range(start, end)
            count += any(w != mark for w in row[start:end])
        if kept or (not row and count < most):
            rows.append(tuple(row[i] for i in kept))
            kept_rows.append(number)
            kept_words += [at + i for i in kept]
        at += len(row)
    if count <= most:
        return candidate
    attention = candidate.attention and _selected(candidate.attention, kept_rows, kept_words)
    return replace(candidate, sentences=tuple(rows), attention=attention)


def _sentence_spans(row: Row, mark: int | None) -> list[tuple[int, int]]:
    """Return the start and end of each sentence of a row, with its mark."""
    ends = [i + 1 for i, word in enumerate(row) if word == mark]
    if not ends or ends[-1] < len(row):
        ends.append(len(row))
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _selected(attention: Attention, rows: Sequence[int], words: Sequence[int]) -> Attention:
    """Return the rows of attention of the sentences or words that are left; weights of the words left are the same."""
    at = list(rows if attention.per == "sentence" else words)
    return replace(
        attention,
        regions=None if attention.regions is None else attention.regions[at],
        tags=None if attention.tags is None else attention.tags[at],
        words=None if attention.words is None else attention.words[:, list(words)],
    )
