"""Join what is known of a study into the note of its report, and refuse a study that is no chest radiograph."""

from __future__ import annotations

from dataclasses import replace

from ..data.batches import StudyReading
from ..types import Report
from .domain import NOT_CHECKED


def noted_report(report: Report, reading: StudyReading, unusual: str = "", *, strict: bool = False) -> Report:
    """Return the report of a study with its problem and its note, which joins all notes with "; ".

    `unusual` is what the model says of the picture, "" for a usual one. With `strict`, a study that is no chest
    radiograph by its header or its picture has no text, but a problem that says why. A picture that was not checked is
    not refused.
    """
    checked = unusual if unusual != NOT_CHECKED else ""
    reasons = [*reading.not_chest, *filter(None, [checked])]
    if strict and reasons:
        problem = f"study {reading.id} is refused: {'; '.join(reasons)}"
        return Report(report.study, "", views=report.views, problem="; ".join(filter(None, (problem, reading.problem))))
    notes = dict.fromkeys((*reasons, *reading.notes, *filter(None, [unusual])))  # each once
    return replace(report, problem=reading.problem, note="; ".join(notes))
