"""Findings for tables of reports, or of images with their reports, to label an archive.

Rows stream: a window of them is read, sorted by length so that a batch holds little padding, annotated, and returned in
the order of the table. Memory does not grow with the table. A row that cannot be read is returned as a `BadRow`.

A probability becomes a label by the threshold of its finding; see `thresholds.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np
import torch
from torch import Tensor

from ..data.batches import pad_words, read_batches
from ..errors import CompositionError, DataError
from ..models.abilities import Annotates
from ..models.computing.parts import HeadWork, PartPrecisions, part_precisions
from ..models.model import Model
from ..text.spec import BOS, EOS, TextSpec, count_cut_words, report_words, shown_words
from ..types import Annotation, Batch, Report, Study, Targets
from .report_rows import BadRow as BadRow
from .report_rows import Columns as Columns
from .report_rows import ReportRow as ReportRow
from .report_rows import read_report_rows as read_report_rows
from .roc import FindingCurves, score_findings
from .thresholds import Thresholds, choose_thresholds

WINDOW = 4096  # rows held at once
STUDIES_READ, WORDS_READ = 16, 60  # by which the precision is measured

OnBadRow = Callable[[BadRow], object]  # called for a row that cannot be read


class AnnotationOptions(TypedDict, total=False):
    """Keywords of `annotate`, `tune` and `evaluate_findings`; see `AnnotationSettings`."""

    batch_size: int
    precision: str
    workers: int | None
    cache: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationSettings:
    """How a model reads rows."""

    batch_size: int = 128
    precision: str = "auto"
    workers: int | None = 0  # processes that read images
    cache: Path | None = None  # a folder for resized images


@dataclass(frozen=True, slots=True)
class Annotated:
    """The findings of one row."""

    line: int
    id: str
    findings: Mapping[str, float]  # probabilities, in the model's order
    labels: tuple[str, ...]  # findings at or above their thresholds
    note: str = ""  # for the user: the report has no words, or its end was not read
    words: tuple[tuple[str, float], ...] = ()  # of an explained row: each word, and its largest attention weight


def annotate(
    model: Model,
    rows: Iterable[ReportRow | BadRow],
    settings: AnnotationSettings | None = None,
    *,
    thresholds: Thresholds | None = None,
    explain: bool = False,
    **options: Unpack[AnnotationOptions],
) -> Iterator[Annotated | BadRow]:
    """Return an iterator over the findings of each row, in order. With `explain` each word has its attention.

    `options` replace fields of `settings`. Raises CompositionError if the model reads no findings.
    """
    annotator(model)
    settings = replace(settings or AnnotationSettings(), **options)
    return _annotations(model, rows, settings, thresholds or Thresholds(), explain)


def _annotations(
    model: Model,
    rows: Iterable[ReportRow | BadRow],
    settings: AnnotationSettings,
    thresholds: Thresholds,
    explain: bool,
) -> Iterator[Annotated | BadRow]:
    model.eval()
    precisions = annotation_precisions(model, settings.precision)
    source = iter(rows)
    while window := list(islice(source, WINDOW)):
        good = [row for row in window if isinstance(row, ReportRow)]
        reader = _WindowReader(model, good, settings, precisions)
        with torch.inference_mode():
            annotations = dict(reader.annotations(thresholds, explain))
        for row in window:
            yield row if isinstance(row, BadRow) else annotations[row.line]


def annotator(model: Model) -> Annotates:
    """Return the part of a model that annotates. Raises CompositionError if it has none, or no findings."""
    part = model.head
    if not isinstance(part, Annotates):
        raise CompositionError(
            f"{part.part_config['name']} reads no findings off reports or images; train a model with the decoder tienet"
        )
    if not model.findings:
        raise CompositionError("this model knows no findings yet: train it first (rg train MODEL --data D)")
    return part


def annotation_precisions(model: Model, precision: str) -> PartPrecisions:
    """Return the precisions in which the parts of a model annotate; `auto` measures them on reports of noise."""
    draw = torch.Generator().manual_seed(0)
    words = torch.randint(EOS + 1, max(len(model.vocabulary), EOS + 2), (STUDIES_READ, WORDS_READ), generator=draw)
    targets = Targets(words=words.to(model.device))
    part = annotator(model)
    return part_precisions(model, precision, HeadWork("annotate", lambda f, _: part.annotate(f, targets), targets))


@dataclass(frozen=True, slots=True)
class _WindowReader:
    """Annotates one window of rows."""

    model: Model
    rows: Sequence[ReportRow]
    settings: AnnotationSettings
    precisions: PartPrecisions

    def annotations(self, thresholds: Thresholds, explain: bool) -> Iterator[tuple[int, Annotated | BadRow]]:
        """Yield (line, annotation) for every row, short reports first."""
        text, encode = self.model.text, self.model.vocabulary.encode
        reports = [row.study.text(text.sections) for row in self.rows]
        words = [report_words(report, text) for report in reports]
        order = sorted(range(len(self.rows)), key=lambda i: len(words[i]))
        for batch_rows, pixels, mask, problems in self._images(order):
            yield from ((self.rows[i].line, BadRow(self.rows[i].line, why)) for i, why in problems.items())
            if not batch_rows:
                continue
            ids = pad_words([[BOS, *encode(words[i]), EOS] for i in batch_rows])
            targets = Targets(words=ids.to(self.model.device))
            with self.precisions.of_encoder():
                features = self.model.encode(Batch((), pixels, mask, targets))
            with self.precisions.of_head():
                annotation = annotator(self.model).annotate(self.precisions.for_head(features), targets)
            values = self._values(annotation, [shown_words(words[i], text) for i in batch_rows], thresholds, explain)
            for i, value in zip(batch_rows, values, strict=True):
                row = self.rows[i]
                yield row.line, replace(value, line=row.line, id=row.study.id, note=_note(reports[i], words[i], text))

    def _images(self, order: Sequence[int]) -> Iterator[tuple[list[int], Tensor, Tensor, dict[int, str]]]:
        """Yield batches in this order: indices of rows, their pixels and mask, and the problems of rows left out."""
        spec = self.model.encoder.image
        if not spec.views:
            for at in range(0, len(order), self.settings.batch_size):
                batch_rows = list(order[at : at + self.settings.batch_size])
                pixels = torch.zeros(len(batch_rows), 0, spec.height, spec.width, dtype=torch.uint8)
                yield batch_rows, pixels, torch.zeros(len(batch_rows), 0, dtype=torch.bool), {}
            return
        studies = [replace(self.rows[i].study, id=str(i)) for i in order]
        size, workers, cache = self.settings.batch_size, self.settings.workers, self.settings.cache
        for batch, problems in read_batches(studies, spec, size, workers=workers, cache=cache):
            left_out = {int(i): why for i, why in problems.items() if i not in batch.ids}
            yield [int(i) for i in batch.ids], batch.pixels, batch.mask, left_out

    def _values(
        self, annotation: Annotation, words: Sequence[Sequence[str]], thresholds: Thresholds, explain: bool
    ) -> Iterator[Annotated]:
        """Yield the annotations of a batch, with the rows' lines and ids not yet filled in."""
        names = self.model.findings
        least = np.array([thresholds.of(name) for name in names])
        probabilities = annotation.findings.float().cpu().numpy().astype(np.float64)
        attended = annotation.words if explain else None
        weights = None if attended is None else attended.amax(1).float().cpu().tolist()
        for b, row in enumerate(probabilities):
            labels = tuple(name for name, present in zip(names, row >= least, strict=True) if present)
            explained = tuple(zip(words[b], weights[b], strict=False)) if weights else ()
            yield Annotated(0, "", dict(zip(names, row.tolist(), strict=True)), labels, words=explained)


def _note(report: str, words: Sequence[str], spec: TextSpec) -> str:
    """Return a note for the user if the report has no words or the model read only a part of it; "" otherwise.

    `words` are the words that the model read.
    """
    if not words:
        return "the report has no words"
    if not (left := count_cut_words(report, words, spec)):
        return ""
    share = max(1, round(100 * left / (left + len(words))))
    limits = f"{spec.max_sentences} sentences of {spec.max_words} words, {spec.length} words and marks in all"
    return f"{share} % of the report was not read: the model reads {limits}"


def tune(
    model: Model,
    rows: Iterable[ReportRow | BadRow],
    source: str = "",
    settings: AnnotationSettings | None = None,
    *,
    on_bad_row: OnBadRow | None = None,
    **options: Unpack[AnnotationOptions],
) -> Thresholds:
    """Choose thresholds on rows whose studies have labels. A finding that a labelled row leaves out is absent there.

    `source` names the table. `on_bad_row` is called for each row that cannot be read. Raises DataError if no row has a
    label of one of the model's findings, or if no finding is present in some rows and absent in others.
    """
    settings = replace(settings or AnnotationSettings(), **options)
    annotations, studies = labelled(model, rows, source, settings, on_bad_row)
    shape = len(annotations), len(model.findings)
    probabilities = np.array([list(a.findings.values()) for a in annotations]).reshape(shape)
    labels = np.array([[s.labels.get(name, np.nan) for name in model.findings] for s in studies]).reshape(shape)
    thresholds = choose_thresholds(model.findings, probabilities, labels, source)
    if not thresholds.values:
        raise DataError(
            f"{source or 'the table'}: none of the model's findings is there in some of {len(studies)} rows and absent "
            f"in others, so that no threshold can be chosen: {', '.join(model.findings)}"
        )
    return thresholds


def evaluate_findings(
    model: Model,
    rows: Iterable[ReportRow | BadRow],
    source: str = "",
    settings: AnnotationSettings | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
    on_bad_row: OnBadRow | None = None,
    **options: Unpack[AnnotationOptions],
) -> FindingCurves:
    """Compare the model's findings with the labels of the rows' studies. A finding that a row leaves out is absent.

    `source` names the table. `on_bad_row` is called for each row that cannot be read. Raises DataError if no row has a
    label of one of the model's findings.
    """
    settings = replace(settings or AnnotationSettings(), **options)
    annotations, studies = labelled(model, rows, source, settings, on_bad_row)
    reports = [Report(a.id, "", findings=a.findings) for a in annotations]
    return score_findings(reports, studies, resamples=resamples, seed=seed)


def labelled(
    model: Model,
    rows: Iterable[ReportRow | BadRow],
    source: str,
    settings: AnnotationSettings,
    on_bad_row: OnBadRow | None = None,
) -> tuple[list[Annotated], list[Study]]:
    """Annotate every row whose study has a label for at least one of the model's findings.

    Return the annotations and their studies, two lists of equal length. Call `on_bad_row` for each row that cannot be
    read. Raises DataError if no row is left.
    """
    names, labelled_studies = set(model.findings), dict[int, Study]()

    def with_labels() -> Iterator[ReportRow | BadRow]:
        for row in rows:
            if isinstance(row, BadRow):
                yield row
            elif names & row.study.labels.keys():
                labelled_studies[row.line] = row.study
                yield row

    annotations: list[Annotated] = []
    for row in annotate(model, with_labels(), settings):
        if isinstance(row, Annotated):
            annotations.append(row)
        elif on_bad_row is not None:
            on_bad_row(row)
    if not annotations:
        raise DataError(f"{source or 'the table'} has no row with a label of: {', '.join(model.findings)}")
    return annotations, [labelled_studies[a.line] for a in annotations]
