"""Labels reports sentence by sentence: which of them are abnormal, row by row, for tables of any size.

Ni, Hsu, Gentili, McAuley: Learning Visual-Semantic Embeddings for Reporting Abnormal Findings on Chest X-rays, 2020,
arXiv:2010.02467, §3.1 and 3.2: the abnormal set holds, of each report, its abnormal sentences alone. A row gets two
columns: `sentence_abnormal`, true or false for each sentence that the recipe `plain` finds in these sections, in order,
which dual decoders read; and the section `abnormal`, those sentences as one text, which CVSE and hier-cnn-rnn read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files.cells import text_value
from ..files.table_writer import written
from ..files.tables import TABLES, OnNote, Row, kind_of, row_split, table_rows, text_of
from ..sentence_parts import SentenceClassifier, sentence_key
from ..text.recipes import with_stop
from .classifiers import labelled_of, split_of, split_report

AT_ONCE = 512  # rows that are labelled together
MAX_CACHED = 200_000  # sentences whose label is kept: reports repeat themselves
FLAGS, SECTION = "sentence_abnormal", "abnormal"


@dataclass(slots=True)
class SentenceCounts:
    """How many sentences are normal and how many abnormal, by one way of telling them apart."""

    name: str
    normal: int = 0
    abnormal: int = 0

    @property
    def share(self) -> float:
        """Of the sentences, those that are normal."""
        return self.normal / max(1, self.normal + self.abnormal)

    def add(self, flags: Sequence[bool]) -> None:
        """Count some sentences."""
        self.abnormal += sum(flags)
        self.normal += len(flags) - sum(flags)


@dataclass(slots=True)
class LabelSummary:
    """What was found in a table."""

    ratios: tuple[SentenceCounts, ...]  # the classifier's first
    reports: int = 0
    with_abnormal: int = 0  # reports with at least one abnormal sentence
    without_text: int = 0


@dataclass(slots=True)
class CachedLabels:
    """Labels of sentences by one classifier, remembered by `sentence_key`."""

    classifier: SentenceClassifier
    known: dict[str, bool] = field(default_factory=dict)

    def __call__(self, sentences: Sequence[str]) -> list[bool]:
        """Whether each sentence is abnormal."""
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
    on_note: OnNote | None = None,
) -> LabelSummary:
    """Write `source` to `out` with the two columns by the first of `classifiers`; the others are counted beside it.

    `only_abnormal` leaves reports without an abnormal sentence out, as the paper's sets do.
    """
    told = LabelSummary(tuple(SentenceCounts(name) for name in classifiers))
    labels = [CachedLabels(c) for c in classifiers.values()]
    with written(out) as rows:
        rows_read = table_rows(source, kinds=(*TABLES, "txt"), on_note=on_note)
        for row, abnormal in _labelled(source, rows_read, labels, told, sections, column):
            if abnormal or not only_abnormal:
                rows.write(row)
    if not told.reports:
        raise DataError(f"{source} holds no rows")
    return told


def _labelled(
    source: Path,
    rows: Iterable[tuple[str, Row]],
    labels: Sequence[CachedLabels],
    told: LabelSummary,
    sections: Sequence[str],
    column: str,
) -> Iterator[tuple[Row, bool]]:
    """Rows with their columns, and whether any sentence is abnormal."""
    for some in _chunks(rows, AT_ONCE):
        texts = [split_report(_text(source, place, row, sections, column)) for place, row in some]
        flat = [s for sentences in texts for s in sentences]
        said = [label(flat) for label in labels]
        for ratio, flags in zip(told.ratios, said, strict=True):
            ratio.add(flags)
        found = iter(said[0])
        for (_, row), sentences in zip(some, texts, strict=True):
            flags = [next(found) for _ in sentences]
            told.reports += 1
            told.with_abnormal += any(flags)
            told.without_text += not sentences
            yield _with_columns(row, sentences, flags), any(flags)


def _text(source: Path, place: str, row: Row, sections: Sequence[str], column: str) -> str:
    try:
        return text_of(row, sections, column)
    except DataError as e:
        raise DataError(f"{source}: {place}: {e}") from e


def _with_columns(row: Row, sentences: Sequence[str], flags: list[bool]) -> Row:
    """A study keeps sections and extras apart; a flat row has them beside the rest."""
    text = " ".join(with_stop(s) for s, f in zip(sentences, flags, strict=True) if f)
    if isinstance(row.get("sections"), Mapping):
        sections, extra = row["sections"] | {SECTION: text}, (row.get("extra") or {}) | {FLAGS: flags}
        return row | {"sections": {k: v for k, v in sections.items() if v}, "extra": extra}
    return row | {SECTION: text, FLAGS: flags}


def _chunks(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rows = iter(rows)
    while some := list(islice(rows, size)):
        yield some


def abnormal_sentences(source: Path, split: str = "train", on_note: OnNote | None = None) -> list[str]:
    """The abnormal sentences of a table, as often as they stand there.

    Of a row: the section or column `abnormal`, as `rg data abnormal` writes it; or the labelled sentences of
    `sentence_abnormal`. A text file holds one abnormal sentence a line. Rows that say another split are left out.
    Raises DataError where there is none.
    """
    found: list[str] = []
    rows = asked = 0
    plain = kind_of(source, (*TABLES, "txt")) == "txt"
    for place, row in table_rows(source, kinds=(*TABLES, "txt"), on_note=on_note):
        rows += 1
        sentences = [row["text"]] if plain else _abnormal(source, place, row, split)
        asked += sentences is not None
        found += sentences or ()
    if not asked and rows:
        raise DataError(
            f"{source} does not say what is abnormal; rg data abnormal {source} --model DIR --out FILE does"
        )
    if not found:
        raise DataError(f"{source}: no abnormal sentence in {rows} rows" + (f" of split {split}" if split else ""))
    return found


def _abnormal(source: Path, place: str, row: Row, split: str) -> list[str] | None:
    """Return the abnormal sentences of one row: [] if it has none or is of another split, None if it does not say."""
    wanted = ("", split_of(split))
    if isinstance(row.get(FLAGS), Mapping):
        labelled = labelled_of(source, place, row, FLAGS)
        return [s.text for of, s in labelled if s.abnormal and (not split or of in wanted)]
    if split and split_of(row_split(row)) not in wanted:
        return []
    inside = row.get("sections")
    there = inside if isinstance(inside, Mapping) else row
    if isinstance(inside, Mapping):
        told = SECTION in inside or FLAGS in (row.get("extra") or {})
    else:
        told = SECTION in row and FLAGS in row
    try:
        return split_report(text_value(there.get(SECTION)) or "") if told else None
    except DataError as e:
        raise DataError(f"{source}: {place}: {e}") from e
