"""Findings for tables of reports, or of images with their reports: labelling an archive.

Rows stream: a window of them is read, sorted by length so that a batch holds little padding, annotated, and given back
in the order of the table. Memory does not grow with the table. A row that cannot be read is given back as a `BadRow`.

A probability becomes a label by a threshold of its finding. Thresholds are chosen where labels are known, for the
largest F1, and lie beside the weights in thresholds.json; without that file they are 0.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..data.batches import pad_words, read_batches
from ..errors import CompositionError, DataError
from ..interfaces import Annotates
from ..models.model import Model
from ..models.precision import autocast_for
from ..text.spec import BOS, EOS, TextSpec, flat, unread
from ..types import Annotation, Batch, Report, Study, Targets
from .report_rows import BadRow as BadRow
from .report_rows import Columns as Columns
from .report_rows import Row as Row
from .report_rows import read_rows as read_rows
from .roc import Classified, classified
from .thresholds import Thresholds, choose_thresholds

if TYPE_CHECKING:
    pass

WINDOW = 4096  # rows held at once

OnBadRow = Callable[[BadRow], object]  # what to do about a row that cannot be read


@dataclass(frozen=True, slots=True)
class Annotated:
    """What a model says about one row."""

    line: int
    id: str
    findings: Mapping[str, float]  # probabilities, in the model's order
    labels: tuple[str, ...]  # those at or above their thresholds
    note: str = ""  # what a reader should know: no words, the end not read
    words: tuple[tuple[str, float], ...] = ()  # of an explained row: each word, and the largest look at it


def annotate(
    model: Model,
    rows: Iterable[Row | BadRow],
    *,
    thresholds: Thresholds | None = None,
    explain: bool = False,
    batch_size: int = 128,
    precision: str = "auto",
    workers: int | None = 0,
    cache: Path | None = None,
) -> Iterator[Annotated | BadRow]:
    """What the model says about each row, in the order of the rows. Raises CompositionError where it cannot say."""
    annotator(model)
    thresholds = thresholds or Thresholds()
    model.eval()
    source = iter(rows)
    while window := list(islice(source, WINDOW)):
        good = [row for row in window if isinstance(row, Row)]
        reader = _Reader(model, good, batch_size, workers, cache)
        with torch.inference_mode(), autocast_for(model.device, precision):
            found = dict(reader.annotations(thresholds, explain))
        for row in window:
            yield row if isinstance(row, BadRow) else found[row.line]


def annotator(model: Model) -> Annotates:
    """The part of a model that annotates. Raises CompositionError where it has none, or knows no findings."""
    part = model.head
    if not isinstance(part, Annotates):
        raise CompositionError(
            f"{part.part_config['name']} reads no findings off reports or images; train a model with the decoder tienet"
        )
    if not model.findings:
        raise CompositionError("this model knows no findings yet: train it first (rg train MODEL --data D)")
    return part


@dataclass(frozen=True, slots=True)
class _Reader:
    """A window of rows on its way through a model."""

    model: Model
    rows: Sequence[Row]
    batch_size: int
    workers: int | None
    cache: Path | None

    def annotations(self, thresholds: Thresholds, explain: bool) -> Iterator[tuple[int, Annotated | BadRow]]:
        """(line, what is said) of every row, short reports first."""
        text, encode = self.model.text, self.model.vocabulary.encode
        reports = [row.study.text(text.sections) for row in self.rows]
        words = [flat(report, text) for report in reports]
        order = sorted(range(len(self.rows)), key=lambda i: len(words[i]))
        for some, pixels, mask, problems in self._images(order):
            yield from ((self.rows[i].line, BadRow(self.rows[i].line, why)) for i, why in problems.items())
            if not some:
                continue
            targets = Targets(words=pad_words([[BOS, *encode(words[i]), EOS] for i in some]).to(self.model.device))
            features = self.model.encode(Batch((), pixels, mask, targets))
            made = annotator(self.model).annotate(features, targets)
            for i, one in zip(some, self._said(made, [words[i] for i in some], thresholds, explain), strict=True):
                row = self.rows[i]
                yield row.line, replace(one, line=row.line, id=row.study.id, note=_note(reports[i], words[i], text))

    def _images(self, order: Sequence[int]) -> Iterator[tuple[list[int], Tensor, Tensor, dict[int, str]]]:
        """Batches in this order: which rows, their pixels and mask, and what is wrong with rows that are left out."""
        spec = self.model.encoder.image
        if not spec.views:
            for at in range(0, len(order), self.batch_size):
                some = list(order[at : at + self.batch_size])
                pixels = torch.zeros(len(some), 0, spec.height, spec.width, dtype=torch.uint8)
                yield some, pixels, torch.zeros(len(some), 0, dtype=torch.bool), {}
            return
        studies = [replace(self.rows[i].study, id=str(i)) for i in order]
        for batch, problems in read_batches(studies, spec, self.batch_size, workers=self.workers, cache=self.cache):
            some = [int(i) for i in batch.ids]
            yield some, batch.pixels, batch.mask, {int(i): w for i, w in problems.items() if i not in batch.ids}

    def _said(
        self, made: Annotation, words: Sequence[Sequence[str]], thresholds: Thresholds, explain: bool
    ) -> Iterator[Annotated]:
        """Tensors of a batch as values."""
        names = self.model.findings
        least = np.array([thresholds.of(name) for name in names])
        found = made.findings.float().cpu().numpy().astype(np.float64)
        looks = made.words.amax(1).float().cpu().tolist() if explain and made.words is not None else None
        for b, row in enumerate(found):
            labels = tuple(name for name, there in zip(names, row >= least, strict=True) if there)
            said = tuple(zip(words[b], looks[b], strict=False)) if looks else ()
            yield Annotated(0, "", dict(zip(names, row.tolist(), strict=True)), labels, words=said)


def _note(report: str, words: Sequence[str], spec: TextSpec) -> str:
    """What a reader should know of a report of which these words were read."""
    if not words:
        return "the report has no words"
    if not (left := unread(report, words, spec)):
        return ""
    share = max(1, round(100 * left / (left + len(words))))
    limits = f"{spec.max_sentences} sentences of {spec.max_words} words, {spec.length} words and marks in all"
    return f"{share} % of the report was not read: the model reads {limits}"


def tune(
    model: Model, rows: Iterable[Row | BadRow], source: str = "", *, told: OnBadRow | None = None, **how: Any
) -> Thresholds:
    """Thresholds chosen on rows whose studies have labels; a finding that a labelled row leaves out is absent there.

    `told` is called with each row that cannot be read. Options: see `annotate`. Raises DataError where no row has a
    label of one of the model's findings, or none of these is there in some rows and absent in others.
    """
    said, studies = labelled(model, rows, source, told, **how)
    found = np.array([list(a.findings.values()) for a in said]).reshape(len(said), len(model.findings))
    gold = np.array([[s.labels.get(name, np.nan) for name in model.findings] for s in studies]).reshape(found.shape)
    chosen = choose_thresholds(model.findings, found, gold, source)
    if not chosen.values:
        raise DataError(
            f"{source or 'the table'}: none of the model's findings is there in some of {len(said)} rows and absent "
            f"in others, so that no threshold can be chosen: {', '.join(model.findings)}"
        )
    return chosen


def evaluate(
    model: Model,
    rows: Iterable[Row | BadRow],
    source: str = "",
    *,
    resamples: int = 1000,
    seed: int = 0,
    told: OnBadRow | None = None,
    **how: Any,
) -> Classified:
    """How well the model tells its findings apart, on rows whose studies have labels; what they leave out is absent.

    `told` is called with each row that cannot be read. Options: see `annotate`. Raises DataError where no row has a
    label of one of the model's findings.
    """
    said, studies = labelled(model, rows, source, told, **how)
    reports = [Report(a.id, "", findings=a.findings) for a in said]
    return classified(reports, studies, resamples=resamples, seed=seed)


def labelled(
    model: Model, rows: Iterable[Row | BadRow], source: str, told: OnBadRow | None, **how: Any
) -> tuple[list[Annotated], list[Study]]:
    """What the model says of each row whose study has a label of one of its findings, and that study."""
    known, lines = set(model.findings), dict[int, Study]()

    def chosen() -> Iterator[Row | BadRow]:
        for row in rows:
            if isinstance(row, BadRow):
                yield row
            elif known & row.study.labels.keys():
                lines[row.line] = row.study
                yield row

    said: list[Annotated] = []
    studies: list[Study] = []
    for row in annotate(model, chosen(), **how):
        if isinstance(row, Annotated):
            said.append(row)
            studies.append(lines[row.line])
        elif told is not None:
            told(row)
    if not said:
        raise DataError(f"{source or 'the table'} has no row with a label of: {', '.join(model.findings)}")
    return said, studies
