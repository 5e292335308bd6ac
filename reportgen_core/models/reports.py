"""Turn the output of a decoder or a retriever for one study into a Report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..data.images import seen_windows
from ..interfaces import Encoder
from ..text.recipes import with_stop
from ..text.spec import TextSpec, Vocabulary, join, recipe, shown_words, spans
from ..types import Attention, Candidate, Generated, Hit, Report, TargetSpec
from .repeats import first_sentences, without_repeats

if TYPE_CHECKING:
    from ..types import Array


@dataclass(frozen=True)
class ReportBuilder:
    """Builds reports from ids of words, by the text recipe and the names of one model."""

    text: TextSpec
    vocabulary: Vocabulary
    targets: TargetSpec

    def from_words(self, id: str, generated: Generated) -> Report:
        """Return the report of one study: its best candidate, and the texts of the others as alternatives.

        Candidates with the same text are one, so every alternative differs from the report and from the others.
        """
        best = generated.candidates[0]
        rows, attention = self._rows(best), best.attention
        text, *others = dict.fromkeys(join(filter(None, self._rows(c)), self.text) for c in generated.candidates)
        sentences = _sentences(rows, self.text, by_word=attention is not None and attention.per == "word")
        tags, findings = self.targets.tags, self.targets.findings
        return Report(
            id,
            text,
            tuple(join([s], self.text) for s, _ in sentences),
            best.score,
            _ranked(tags, generated.tags),
            _ranked(findings, generated.findings),
            tuple(others),
            attention,
            _attended_tags(tags, attention),
            words=shown_words((w for row in rows for w in row), self.text),
            rows=tuple(span for _, span in sentences) if attention is not None else (),
        )

    def distinct(self, candidate: Candidate) -> Candidate:
        """Return the candidate without repeated sentences."""
        return without_repeats(candidate, self._mark())

    def limited(self, id: str, generated: Generated, most: int | None) -> Report:
        """Return the report of at most `most` sentences, with a note if the model wrote more; None is no limit."""
        if most is None:
            return self.from_words(id, generated)
        shorter = tuple(first_sentences(candidate, self._mark(), most) for candidate in generated.candidates)
        report = self.from_words(id, replace(generated, candidates=shorter))
        if shorter[0] is generated.candidates[0]:
            return report
        return replace(report, note=f"cut after {most} sentence{'s' * (most > 1)}, as asked; the model wrote more")

    def _mark(self) -> int | None:
        """Return the id of the mark that ends a sentence within a row; None if the vocabulary has no mark."""
        mark = recipe(self.text).mark
        return self.vocabulary.encode([mark])[0] if mark in self.vocabulary.words else None

    def _rows(self, candidate: Candidate) -> list[list[str]]:
        """Return the words in the decoder's rows: a row for each sentence, or one row for the whole report."""
        return [self.vocabulary.decode(ids) for ids in candidate.sentences]


def from_hits(id: str, hits: Sequence[Hit], *, by_sentence: bool) -> Report:
    """Return the report of retrieved texts: all hits as sentences, or the best hit with the others as alternatives."""
    if not hits:
        return Report(id, "")
    if by_sentence:
        return _join_hits(id, hits)
    best = hits[0]
    others = tuple(h.text for h in hits[1:])
    return Report(id, best.text, (best.text,), best.score, alternatives=others, attention=best.attention)


def placed(report: Report, encoder: Encoder, views: tuple[str, ...], pictures: tuple[Array, ...]) -> Report:
    """Return the report with its views, and the place of its attention.

    The place is the encoder's grid, what the encoder saw of each view, and the rows of each sentence.
    """
    grid, windows = encoder.features.grid, seen_windows(views, encoder.image)
    report = replace(report, views=views, images=pictures, windows=windows)
    attention = report.attention
    if attention is None or attention.regions is None:
        return report
    fits = grid is not None and attention.regions.shape[1] == grid[0] * grid[1] * grid[2]
    return replace(report, attention=replace(attention, grid=grid if fits else None, spans=report.rows))


def _sentences(
    rows: Sequence[Sequence[str]], text: TextSpec, *, by_word: bool
) -> list[tuple[Sequence[str], tuple[int, int]]]:
    """Return the sentences that have words, each with its rows of attention: one, or one for each of its words."""
    sentences, before = [], 0
    for i, row in enumerate(rows):
        for start, end in spans(row, text):
            sentences.append((row[start:end], (before + start, before + end) if by_word else (i, i + 1)))
        before += len(row)
    return sentences


def _join_hits(id: str, hits: Sequence[Hit]) -> Report:
    """Return a report of retrieved sentences, with the attention of each hit."""
    regions = [h.attention.regions for h in hits if h.attention is not None and h.attention.regions is not None]
    attention = Attention("sentence", torch.cat(regions)) if len(regions) == len(hits) else None
    rows = tuple((i, i + 1) for i in range(len(hits))) if attention else ()
    texts = tuple(h.text for h in hits)
    score = sum(h.score for h in hits) / len(hits)
    return Report(id, " ".join(map(with_stop, texts)), texts, score, attention=attention, rows=rows)


def _ranked(names: Sequence[str], probabilities: Tensor | None) -> Mapping[str, float]:
    """Return all names with their probabilities, the likeliest first."""
    if probabilities is None or not names:
        return {}
    best = probabilities.float().cpu().topk(len(names))
    return {names[i]: round(p, 6) for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)}


def _attended_tags(tags: Sequence[str], attention: Attention | None) -> tuple[str, ...]:
    return () if attention is None or attention.tag_ids is None else tuple(tags[i] for i in attention.tag_ids.tolist())
