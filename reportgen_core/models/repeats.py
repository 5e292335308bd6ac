"""Reports without the sentences that they have already: what `GenerationSettings.distinct` asks for.

A decoder that does not read what it wrote tends to say the likeliest sentence again. A sentence is left out when the
same words were said earlier in its report; its rows of attention go with it. The score stays that of all words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..types import Attention, Candidate

Row = tuple[int, ...]


def without_repeats(candidate: Candidate, mark: int | None) -> Candidate:
    """The candidate with the first of equal sentences alone; `mark`, if any, ends a sentence within a row."""
    said: set[Row] = set()
    rows: list[Row] = []
    kept_rows, kept_words, at = [], [], 0
    for number, row in enumerate(candidate.sentences):
        kept: list[int] = []
        for start, end in _pieces(row, mark):
            words = tuple(w for w in row[start:end] if w != mark)
            if words not in said:
                kept += range(start, end)
            if words:
                said.add(words)
        if kept or not row:
            rows.append(tuple(row[i] for i in kept))
            kept_rows.append(number)
            kept_words += [at + i for i in kept]
        at += len(row)
    if at == len(kept_words):
        return candidate
    looked = candidate.attention and _selected(candidate.attention, kept_rows, kept_words)
    return replace(candidate, sentences=tuple(rows), attention=looked)


def _pieces(row: Row, mark: int | None) -> list[tuple[int, int]]:
    """Where the sentences of a row begin and end, each with its mark."""
    ends = [i + 1 for i, word in enumerate(row) if word == mark]
    if not ends or ends[-1] < len(row):
        ends.append(len(row))
    return list(zip([0, *ends[:-1]], ends, strict=True))


def _selected(looked: Attention, rows: Sequence[int], words: Sequence[int]) -> Attention:
    """The looks of the rows or words that are left; what was looked at of the words that are left keeps its share."""
    at = list(rows if looked.per == "sentence" else words)
    return replace(
        looked,
        regions=None if looked.regions is None else looked.regions[at],
        tags=None if looked.tags is None else looked.tags[at],
        words=None if looked.words is None else looked.words[:, list(words)],
    )
