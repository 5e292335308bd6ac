"""Write the reports of a block of studies, as `rg report` writes them into reports.jsonl."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reportgen_core import GenerationSettings, Report, Study, View

from ...formats.values import as_values, named_by_file
from ...options import pick_device
from ..seam import Block, Outcome, Work
from ..tables import TableSource

SCHEMA = {
    "study": "text", "text": "text", "sentences": "texts", "score": "number", "tags": "numbers", "findings": "numbers",
    "alternatives": "texts", "views": "texts", "note": "text", "problem": "text", "boxes": "json", "windows": "json",
    "answer": "text", "attention": "json",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportJob:
    """Reports studies by a model. `source` lists them, as `StudyTree` does."""

    source: TableSource
    folder: Path  # of the model
    here: Path  # the folder that relative paths of images begin in
    settings: GenerationSettings
    batch_size: int
    precision: str
    device: str
    attention: bool
    paths: bool  # whole paths of images instead of file names
    strict: bool
    cache: Path | None
    may_send: bool

    def start(self) -> Work:
        """Load the model, and return the function that reports a block. Raises ReportgenError."""
        from reportgen_core import load

        if Path.cwd() != self.here:
            os.chdir(self.here)  # the worker is a process of its own
        model = load(str(self.folder)).move_to(pick_device(self.device))
        model.may_send = self.may_send

        def report(block: Block) -> Outcome:
            with self.source.piece(block).open() as file:
                studies = [_study(json.loads(line)) for line in file]
            reports = model.stream_reports(
                studies, self.settings, batch_size=self.batch_size, precision=self.precision, workers=0,
                cache=self.cache, strict=self.strict,
            )  # fmt: skip
            rows, counts = [], Counter[str]()
            for study, made in zip(studies, reports, strict=True):
                rows.append(self._row(study, made))
                counts.update(_counts(made))
            return Outcome(rows, counts=counts)

        return report

    def _row(self, study: Study, report: Report) -> dict[str, Any]:
        values = as_values(report, self.attention)
        return values if self.paths else named_by_file(values, [str(view.path) for view in study.views])


def _counts(report: Report) -> Iterator[str]:
    """Yield what a report is counted as."""
    failed = bool(report.problem) and not report.text
    yield "reports" if not failed else "refused" if report.views else "unread"
    if not failed:
        yield from ["noted"] * bool(report.note or report.problem)
        yield from ["images"] * len(report.views)


def _study(values: dict[str, Any]) -> Study:
    return Study(values["id"], tuple(View(Path(path), projection) for path, projection, *_ in values["views"]))
