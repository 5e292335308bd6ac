"""Label each sentence of the reports of a table as normal or abnormal, row by row, for tables of any size.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, §3.1 and 3.2: the abnormal set has only the abnormal sentences of each report. A row gets two columns.
`sentence_abnormal` has true or false for each sentence that the recipe `plain` finds in the sections, in order; dual
decoders read it. The section `abnormal` has the abnormal sentences as one text; CVSE and hier-cnn-rnn read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files.cells import text_value
from ..files.table_writer import write_table
from ..files.tables import TABLES, OnNote, Row, kind_of, row_split, table_rows, text_of
from ..text.recipes import with_stop
from .classifiers import labelled_of, split_of, split_report
from .parts import SentenceClassifier, sentence_key

AT_ONCE = 512  # rows that are labelled together
MAX_CACHED = 200_000  # sentences whose labels are remembered: reports repeat sentences
FLAGS, SECTION = "sentence_abnormal", "abnormal"


@dataclass(slots=True)
class SentenceCounts:
    """The numbers of normal and of abnormal sentences, by one classifier."""

    name: str
    normal: int = 0
    abnormal: int = 0

    @property
    def share(self) -> float:
        """The share of the normal sentences, 0..1."""
        return self.normal / max(1, self.normal + self.abnormal)

    def add(self, flags: Sequence[bool]) -> None:
        """Count sentences; a flag is true for an abnormal one."""
        self.abnormal += sum(flags)
        self.normal += len(flags) - sum(flags)


@dataclass(slots=True)
class LabelSummary:
    """The counts of a table that was labelled."""

    ratios: tuple[SentenceCounts, ...]  # of each classifier, in order
    reports: int = 0
    with_abnormal: int = 0  # reports with at least one abnormal sentence
    without_text: int = 0


@dataclass(slots=True)
class CachedLabels:
    """Labels of sentences by one classifier, remembered by `sentence_key`."""

    classifier: SentenceClassifier
    known: dict[str, bool] = field(default_factory=dict)

    def __call__(self, sentences: Sequence[str]) -> list[bool]:
        """Return for each sentence whether it is abnormal."""
        keys = [sentence_key(s) for s in sentences]
        if len(self.known) > MAX_CACHED:
            self.known.clear()
        new = {k: s for k, s in zip(keys, sentences, strict=True) if k not in self.known}
        self.known.update(zip(new, self.classifier.abnormal(list(new.values())), strict=True))
        return [self.known[k] for k in keys]


def label_table(
    source: Path,
    out: Path,
    classifiers: Mapping[str, SentenceClassifier],
    *,
    sections: Sequence[str] = ("findings",),
    column: str = "",
    only_abnormal: bool = False,
    raw_cells: bool = False,
    on_note: OnNote | None = None,
) -> LabelSummary:
    """Write `source` to `out` with the two columns, labelled by the first of `classifiers`, and return the counts.

    The sentences that the other classifiers call abnormal are counted only. `only_abnormal` leaves out reports without
    an abnormal sentence, as in the paper. `raw_cells` leaves texts that a spreadsheet would run as they are. Raises
    DataError if the table has no rows or cannot be read.
    """
    summary = LabelSummary(tuple(SentenceCounts(name) for name in classifiers))
    labels = [CachedLabels(c) for c in classifiers.values()]
    with write_table(out, raw_cells=raw_cells) as writer:
        rows = table_rows(source, kinds=(*TABLES, "txt"), on_note=on_note)
        for row, abnormal in label_rows(source, rows, labels, summary, sections, column):
            if abnormal or not only_abnormal:
                writer.write(row)
    if not summary.reports:
        raise DataError(f"{source} has no rows")
    return summary


def label_rows(
    source: Path,
    rows: Iterable[tuple[str, Row]],
    labels: Sequence[CachedLabels],
    summary: LabelSummary,
    sections: Sequence[str],
    column: str,
) -> Iterator[tuple[Row, bool]]:
    """Yield each row with its new columns, and whether one of its sentences is abnormal; add to the counts.

    `rows` are (place, row); the first of `labels` gives the columns. Raises DataError for a row without a text.
    """
    for chunk in _chunks(rows, AT_ONCE):
        reports = [split_report(_text(source, place, row, sections, column)) for place, row in chunk]
        all_sentences = [s for sentences in reports for s in sentences]
        all_flags = [label(all_sentences) for label in labels]
        for counts, flags in zip(summary.ratios, all_flags, strict=True):
            counts.add(flags)
        remaining = iter(all_flags[0])
        for (_, row), sentences in zip(chunk, reports, strict=True):
            flags = list(islice(remaining, len(sentences)))
            summary.reports += 1
            summary.with_abnormal += any(flags)
            summary.without_text += not sentences
            yield _with_columns(row, sentences, flags), any(flags)


def _text(source: Path, place: str, row: Row, sections: Sequence[str], column: str) -> str:
    try:
        return text_of(row, sections, column)
    except DataError as e:
        raise DataError(f"{source}: {place}: {e}") from e


def _with_columns(row: Row, sentences: Sequence[str], flags: list[bool]) -> Row:
    """Return the row with its new columns: in `sections` and `extra` of a study, else next to the other columns."""
    text = " ".join(with_stop(s) for s, f in zip(sentences, flags, strict=True) if f)
    if isinstance(row.get("sections"), Mapping):
        sections, extra = row["sections"] | {SECTION: text}, (row.get("extra") or {}) | {FLAGS: flags}
        return row | {"sections": {k: v for k, v in sections.items() if v}, "extra": extra}
    return row | {SECTION: text, FLAGS: flags}


def _chunks(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rows = iter(rows)
    while chunk := list(islice(rows, size)):
        yield chunk


def abnormal_sentences(source: Path, split: str = "train", on_note: OnNote | None = None) -> list[str]:
    """Return the abnormal sentences of a table, each as often as it occurs.

    The sentences of a row are read from the section or column `abnormal`, as `rg data abnormal` writes it, or from the
    labelled sentences of `sentence_abnormal`. A text file has one abnormal sentence in each line. Rows of other splits
    are left out. Raises DataError if there is no abnormal sentence.
    """
    abnormal: list[str] = []
    rows = labelled_rows = 0
    plain = kind_of(source, (*TABLES, "txt")) == "txt"
    for place, row in table_rows(source, kinds=(*TABLES, "txt"), on_note=on_note):
        rows += 1
        sentences = [row["text"]] if plain else _abnormal(source, place, row, split)
        labelled_rows += sentences is not None
        abnormal += sentences or ()
    if not labelled_rows and rows:
        raise DataError(
            f"{source} does not say what is abnormal; rg data abnormal {source} --model DIR --out FILE does"
        )
    if not abnormal:
        raise DataError(f"{source}: no abnormal sentence in {rows} rows" + (f" of split {split}" if split else ""))
    return abnormal


def _abnormal(source: Path, place: str, row: Row, split: str) -> list[str] | None:
    """Return the abnormal sentences of one row of a table.

    [] if it has none or belongs to another split, None if its sentences are not labelled.
    """
    splits = ("", split_of(split))
    if isinstance(row.get(FLAGS), Mapping):
        labelled = labelled_of(source, place, row, FLAGS)
        return [s.text for of, s in labelled if s.abnormal and (not split or of in splits)]
    if split and split_of(row_split(row)) not in splits:
        return []
    sections = row.get("sections")
    if isinstance(sections, Mapping):
        text, is_labelled = sections.get(SECTION), SECTION in sections or FLAGS in (row.get("extra") or {})
    else:
        text, is_labelled = row.get(SECTION), SECTION in row and FLAGS in row
    try:
        return split_report(text_value(text) or "") if is_labelled else None
    except DataError as e:
        raise DataError(f"{source}: {place}: {e}") from e
