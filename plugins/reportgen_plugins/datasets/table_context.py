"""Take the context of a study from the columns of a table: the patient's age and sex, and the earlier study, the prior.

A prior comes from two columns, the names of its images and the text of its report; either is enough. A table may name
the wrong image, so a prior is checked against all rows. One is left out, and the audit says so, if its image is an
image of the study itself, of another patient, or of another split. The last would let a model read in training what it
is tested on. Rows without a patient can be checked for the split alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from reportgen_core import Study, View
from reportgen_core.files.cells import is_nothing, names_value, text_value

from .audit_log import AuditLog

CONTEXT = ("indication", "technique", "comparison")  # sections that are read by name, whatever the option `text` says
FACTS = ("age", "sex")

Cell = Callable[[str], Any]  # the value of a row by the name of a part


def facts_of(cell: Cell) -> dict[str, Any]:
    """Return age and sex of a row's patient; a part that the row lacks is left out."""
    return {name: value for name in FACTS if not is_nothing(value := cell(name))}


def prior_of(id: str, patient: str, cell: Cell, separator: str, place: Callable[[str], Path]) -> Study | None:
    """Return the prior of a row by its columns; None if both are empty. `place` turns an image's name into its path."""
    views = tuple(View(place(name)) for name in names_value(cell("prior_images"), separator))
    report = (text_value(cell("prior_report")) or "").strip()
    if not views and not report:
        return None
    return Study(f"{id}-prior", views, {"findings": report} if report else {}, patient=patient)


def merged_prior(first: Study | None, second: Study | None) -> Study | None:
    """Return the prior of two rows of one study: with the images of both, and the first report."""
    if first is None or second is None:
        return first or second
    views = tuple(dict.fromkeys((*first.views, *second.views)))
    return replace(first, views=views, sections={**second.sections, **first.sections})


def checked_priors(studies: Sequence[Study], audit: AuditLog) -> list[Study]:
    """Return the studies without the priors that cannot be right, in the split of their study."""
    owners = {view.path: study for study in studies for view in study.views}
    checked = []
    for study in studies:
        if study.prior is not None:
            reason = _wrong(study, study.prior, owners)
            if reason:
                audit.drop(study.id, f"{reason}, and is left out")
            study = replace(study, prior=None if reason else replace(study.prior, split=study.split))
        checked.append(study)
    if count := sum(s.prior is not None for s in checked):
        audit.notes.append(f"prior: {count} studies have an earlier study")
    return checked


def _wrong(study: Study, prior: Study, owners: Mapping[Path, Study]) -> str:
    """Return why a prior cannot be the one of a study; "" if nothing speaks against it."""
    for view in prior.views:
        owner = owners.get(view.path)
        if owner is None:
            continue
        if owner.id == study.id:
            return "its prior image is its own image"
        if owner.patient and study.patient and owner.patient != study.patient:
            return "its prior image is of another patient"
        if owner.split != study.split:
            return "its prior image is in another split"
    return ""
