"""Say how far the attention of a report is from an even one, and to which sentences and words its rows belong.

A row of attention sums to 1 over the real regions, tags or words. Times their number, a weight is 1 everywhere in an
even row, and n if it is n times as much. Pages and pictures show this number, "× uniform", and never the share itself.
A row whose largest weight is less than POINTED times uniform has no preferred place: nothing of it is coloured.

Sentences and words are the report's own, by the rows that the report gives for them; no text is cut again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from reportgen_core import Report

if TYPE_CHECKING:
    from reportgen_core.types import Array

POINTED = 1.5  # × uniform: the largest weight of a row that prefers a place, at least
Grid = tuple[int, int, int]  # views, rows and columns of an encoder's tokens


@dataclass(frozen=True, slots=True)
class AttendedText:
    """A sentence or a word of a report, and its rows of attention, at least one."""

    number: int  # 1 is the first of the report
    text: str  # "" for a row that no sentence or word has
    rows: tuple[int, ...]


def region_times(report: Report, grid: Grid | None) -> Array | None:
    """Return the attention over regions (rows, V, r, c) of the V views that the study has, × uniform; None without."""
    attention = report.attention
    if attention is None or attention.regions is None or grid is None:
        return None
    weights: Array = attention.regions.float().cpu().numpy().reshape(-1, *grid)[:, : len(report.views)]
    return weights * (min(len(report.views), grid[0]) * grid[1] * grid[2])


def tag_times(report: Report) -> Array | None:
    """Return the attention over tags (rows, M), × uniform; None without."""
    attention = report.attention
    if attention is None or attention.tags is None or not report.attended_tags:
        return None
    times: Array = attention.tags.float().cpu().numpy() * len(report.attended_tags)
    return times


def word_times(report: Report) -> Array | None:
    """Return the attention (rows, T) over the T words of the report itself, × uniform; None without."""
    attention = report.attention
    if attention is None or attention.words is None or not report.words:
        return None
    times: Array = attention.words.float().cpu().numpy()[:, : len(report.words)] * len(report.words)
    return times


def attends_by_word(report: Report) -> bool:
    """Whether each word of the report has a row of attention of its own."""
    return report.attention is not None and report.attention.per == "word" and bool(report.words)


def attended_sentences(report: Report, count: int) -> list[AttendedText]:
    """Return the sentences that have a row among the first `count` rows.

    Rows of a model that attends by sentence, and that no sentence has, are sentences without a text.
    """
    if report.attention is None:
        return []
    by_sentence = report.attention.per == "sentence"
    if not by_sentence and not report.rows:
        return []  # which words a sentence has is not known
    spans = (tuple(row for row in report.attention_rows(i) if row < count) for i in range(len(report.sentences)))
    texts = [AttendedText(i + 1, report.sentences[i], rows) for i, rows in enumerate(spans) if rows]
    if by_sentence and not report.rows:
        texts += [AttendedText(i + 1, "", (i,)) for i in range(len(report.sentences), count)]
    return texts


def attended_words(report: Report, count: int) -> list[AttendedText]:
    """Return the words that have one of the first `count` rows; [] for a model that attends by sentence."""
    if not attends_by_word(report):
        return []
    return [AttendedText(i + 1, word, (i,)) for i, word in enumerate(report.words[:count])]


def row_names(report: Report, count: int) -> list[str]:
    """Return for each of `count` rows its word, or its sentence for a model that attends by sentence; "" without."""
    texts = attended_words(report, count) or attended_sentences(report, count)
    names = {row: text.text for text in texts for row in text.rows}
    return [names.get(row, "") for row in range(count)]


def mean_times(times: Array, text: AttendedText) -> Array:
    """Return the mean attention of a text over its rows."""
    mean: Array = times[list(text.rows)].mean(0)
    return mean


def peak(times: Array) -> float:
    """Return the largest of some weights; 0 if there are none."""
    return float(times.max()) if times.size else 0.0


def is_pointed(times: Array) -> bool:
    """Whether a row of attention, × uniform, prefers a place."""
    return peak(times) >= POINTED


def describe_peak(times: Array, thing: str = "place") -> str:
    """Return in words how pointed a row of attention, × uniform, is."""
    most = f"{peak(times):.1f} × uniform"
    return f"up to {most}" if is_pointed(times) else f"no preferred {thing}: at most {most}"


def preferred(times: Array, names: Sequence[str], count: int = 3) -> str:
    """Return the `count` names with the largest weights, × uniform, as words."""
    if not is_pointed(times):
        return describe_peak(times, "tag")
    best = np.argsort(-times, kind="stable")[:count]
    return ", ".join(f"{names[i]} {times[i]:.1f}×" for i in best if times[i] > 1)
