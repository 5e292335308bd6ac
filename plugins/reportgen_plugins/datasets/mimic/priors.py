"""Find the earlier study of the same patient, by the date and the time in the metadata of MIMIC-CXR-JPG.

The dates are shifted, each patient's by one number of days, so that they order the studies of one patient alone.
So the prior of a study is looked for among the studies of its own patient. It is the latest that is earlier: on an
earlier day, or earlier on the same day if both have a time. A study without a date has no prior and is none.

The prior is of the same split, too. The official splits are by patient and cut no pair; another file of splits may. A
model would read the report of a test study while it learns from the patient's next study, so such a prior is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reportgen_core import Study

from ..audit_log import AuditLog

OTHER_SPLIT = "its prior is in another split and is left out"


@dataclass(frozen=True, slots=True)
class Dated:
    """A study of a patient, with its day as YYYYMMDD and its time of day as a number; nan if it is not known."""

    study: Study
    day: str
    time: float


def dated(study: Study, day: str, time: str) -> Dated:
    """Return a study with StudyDate and StudyTime; StudyTime is a number that has lost its leading zeros."""
    try:
        clock = float(time)
    except ValueError:
        clock = math.nan
    return Dated(study, day if len(day) == 8 and day.isdigit() else "", clock)


def prior_of(one: Dated, patient: Sequence[Dated], audit: AuditLog) -> Study | None:
    """Return the prior of one study among the studies of its patient; None if there is none.

    A study with neither an image nor a report is no prior. A prior has no prior of its own.
    """
    earlier = [d for d in patient if (d.study.views or d.study.sections) and _is_earlier(d, one)]
    if not earlier:
        return None
    latest = max(earlier, key=lambda d: (d.day, -1.0 if math.isnan(d.time) else d.time, d.study.id)).study
    if latest.split != one.study.split:
        audit.drop(one.study.id, OTHER_SPLIT)
        return None
    return replace(latest, prior=None)


def _is_earlier(a: Dated, b: Dated) -> bool:
    """Return whether `a` is earlier than `b` without doubt; nan is never less."""
    return bool(a.day and b.day) and (a.day < b.day or (a.day == b.day and a.time < b.time))
