"""Annotate the rows of a block, as `rg annotate --json` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen_core.annotation.report_rows import Columns, read_report_rows
from reportgen_core.files.tables import BadRow
from reportgen_core.files.text_lines import only_piece

from ...formats.values import annotation_values
from ...options import pick_device
from ..seam import Block, Outcome, Work
from ..tables import TableSource

SCHEMA = {"id": "text", "findings": "numbers", "labels": "texts", "note": "text"}
EXPLAINED = {**SCHEMA, "words": "json"}


@dataclass(frozen=True, slots=True)
class AnnotateJob:
    """Finds the findings of rows by a model. The thresholds are those of the model's folder."""

    source: TableSource
    folder: Path
    columns: Columns
    batch_size: int
    precision: str
    device: str
    explain: bool

    def start(self) -> Work:
        """Load the model, and return the function that annotates a block. Raises ReportgenError."""
        from reportgen_core.annotation.findings import AnnotationSettings, annotate, annotator
        from reportgen_core.annotation.thresholds import load_thresholds
        from reportgen_core.models.loading import load_model

        model = load_model(self.folder).to(pick_device(self.device))
        annotator(model)
        thresholds = load_thresholds(self.folder, model.findings)
        settings = AnnotationSettings(batch_size=self.batch_size, precision=self.precision)

        def block_of(block: Block) -> Outcome:
            rows: list[dict[str, Any]] = []
            bad: list[BadRow] = []
            with only_piece(self.source.piece(block)):
                read = list(read_report_rows(self.source.table, self.columns))
            for row in annotate(model, read, settings, thresholds=thresholds, explain=self.explain):
                if isinstance(row, BadRow):
                    bad.append(row)
                else:
                    rows.append(annotation_values(row))
            return Outcome(rows, bad)

        return block_of
