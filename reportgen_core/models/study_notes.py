"""Join what is known of a study into the note of its report, and refuse a study that is no chest radiograph."""

from __future__ import annotations

import re
from dataclasses import replace

from ..data.batches import StudyReading
from ..types import Report
from .domain import NOT_CHECKED

_FRONTAL = re.compile(r"postero-?anterior|antero-?posterior|frontal|(?<![\w-])(?:pa|ap)(?![\w-])", re.IGNORECASE)


def noted_report(report: Report, reading: StudyReading, unusual: str = "", *, strict: bool = False) -> Report:
    """Return the report of a study with its problem and its note, which joins all notes with "; ".

    A report that calls a lateral view frontal has a note on that. `unusual` is what the model says of the picture, ""
    for a usual one. With `strict`, a study that is no chest radiograph by its header or its picture has no text, but a
    problem that says why. A picture that was not checked is not refused.
    """
    checked = unusual if unusual != NOT_CHECKED else ""
    reasons = [*reading.not_chest, *filter(None, [checked])]
    if strict and reasons:
        problem = f"study {reading.id} is refused: {'; '.join(reasons)}"
        return Report(report.study, "", views=report.views, problem="; ".join(filter(None, (problem, reading.problem))))
    frontal = _FRONTAL.search(report.text) if reading.lateral else None
    wrong = f'the report says "{frontal[0]}", which a lateral view is not' if frontal else ""
    notes = dict.fromkeys(filter(None, (*reasons, wrong, *reading.notes, unusual, report.note)))  # each once
    return replace(report, problem=reading.problem, note="; ".join(notes))


def with_note(report: Report, note: str) -> Report:
    """Return the report with one more note for its reader; "" adds none."""
    return replace(report, note="; ".join(filter(None, (report.note, note)))) if note else report
