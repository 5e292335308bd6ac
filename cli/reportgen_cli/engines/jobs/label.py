"""Label the texts of a block, as `rg label --json` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reportgen_core.files.reports import iter_texts
from reportgen_core.files.tables import BadRow
from reportgen_core.files.text_lines import only_piece

from ...labelers import label_values, labeler_of
from ..seam import Block, Outcome, Work
from ..tables import TableSource

SCHEMA = {"id": "text", "labels": "labels"}
EXPLAINED = {**SCHEMA, "mentions": "json"}


@dataclass(frozen=True, slots=True)
class LabelJob:
    """Finds the findings that texts state."""

    source: TableSource
    metric: str
    scheme: str
    phrases: str | None
    explain: bool

    def start(self) -> Work:
        """Return the function that labels a block. Raises MetricError and DataError as `labeler_of` does."""
        labeler = labeler_of(self.metric, self.scheme, self.phrases)

        def label(block: Block) -> Outcome:
            rows: list[dict[str, Any]] = []
            bad: list[BadRow] = []
            unlabeled = 0
            with only_piece(self.source.piece(block)):
                for text in iter_texts(self.source.table):
                    if isinstance(text, BadRow):
                        bad.append(text)
                        continue
                    mentions = labeler.explain(text[1])
                    unlabeled += not mentions
                    rows.append(label_values(text[0], mentions, self.explain))
            return Outcome(rows, bad, {"unlabeled": unlabeled})

        return label
