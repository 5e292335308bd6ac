"""Find the abnormal sentences of the rows of a block, as `rg data abnormal --model` does for JSON lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reportgen_core import DataError
from reportgen_core.files.tables import TABLES, BadRow, Row, scan_rows, text_of
from reportgen_core.files.text_lines import only_piece
from reportgen_core.registries import sentence_classifiers
from reportgen_core.sentences.classifiers import load_classifier
from reportgen_core.sentences.label_table import CachedLabels, LabelSummary, SentenceCounts, label_rows

from ..seam import Block, Outcome, Work
from ..tables import TableSource


@dataclass(frozen=True, slots=True)
class AbnormalJob:
    """Labels sentences as normal or abnormal by a classifier, and counts them by the rule of words as well."""

    source: TableSource
    model: Path
    sections: tuple[str, ...]
    text: str
    only_abnormal: bool

    def start(self) -> Work:
        """Load the classifier, and return the function that labels a block. Raises ReportgenError."""
        labels = [CachedLabels(c) for c in (load_classifier(self.model), sentence_classifiers.create("words"))]

        def label(block: Block) -> Outcome:
            summary = LabelSummary((SentenceCounts("model"), SentenceCounts("words")))
            bad: list[BadRow] = []
            with only_piece(self.source.piece(block)):
                read = self._readable(bad)
                labelled = label_rows(self.source.table, read, labels, summary, self.sections, self.text)
                rows = [row for row, abnormal in labelled if abnormal or not self.only_abnormal]
            return Outcome(rows, bad, counts_of(summary))

        return label

    def _readable(self, bad: list[BadRow]) -> Iterator[tuple[str, Row]]:
        """Yield the rows that have a text, with their places; put the others into `bad`."""
        for row in scan_rows(self.source.table, kinds=(*TABLES, "txt")):
            if isinstance(row, BadRow):
                bad.append(row)
                continue
            try:
                text_of(row.cells, self.sections, self.text)
            except DataError as e:
                bad.append(BadRow(row.line, str(e)))
            else:
                yield f"line {row.line}", row.cells


def counts_of(summary: LabelSummary) -> dict[str, int]:
    """Return the counts of a block by name, which the engine adds up."""
    counts = {name: getattr(summary, name) for name in ("reports", "with_abnormal", "without_text")}
    for ratio in summary.ratios:
        counts |= {f"{ratio.name} normal": ratio.normal, f"{ratio.name} abnormal": ratio.abnormal}
    return counts


def summary_of(counts: Counter[str], model: str) -> LabelSummary:
    """Return the summary of all blocks. The classifier is called `model`."""
    ratios = [
        SentenceCounts(model if name == "model" else name, counts[f"{name} normal"], counts[f"{name} abnormal"])
        for name in ("model", "words")
    ]
    return LabelSummary(tuple(ratios), counts["reports"], counts["with_abnormal"], counts["without_text"])
