"""Record which studies a dataset drops, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from reportgen_core import Audit, Collection, Study


class AuditLog:
    """The ids of dropped studies by reason, in the order they came, and notes about the studies that remain."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.dropped: dict[str, list[str]] = {}
        self.notes: list[str] = []

    def drop(self, id: str, reason: str) -> None:
        """Record that the study `id` is dropped for `reason`."""
        self.dropped.setdefault(reason, []).append(id)

    def collect(self, studies: Iterable[Study]) -> Collection:
        """Return the studies with their audit, which also counts their views and the sizes of the splits."""
        studies = tuple(studies)
        views = Counter(len(s.views) for s in studies)
        splits = Counter(s.split for s in studies if s.split)
        notes = [*self.notes]
        if studies:
            notes.append("views a study: " + ", ".join(f"{n} in {views[n]}" for n in sorted(views)))
        if splits:
            notes.append("split: " + ", ".join(f"{k} {splits[k]}" for k in ("train", "val", "test") if k in splits))
        dropped = {reason: tuple(ids) for reason, ids in self.dropped.items()}
        images = sum(len(s.views) for s in studies)
        return Collection(studies, Audit(self.source, len(studies), images, dropped, tuple(notes)))


def require_files(studies: Iterable[Study], audit: AuditLog) -> list[Study]:
    """Return the studies with the views whose files exist. Studies without any such view are dropped.

    Of a prior study the files that exist are kept; a prior without an image and a report is left out.
    """
    complete = []
    for study in studies:
        if study.prior is not None:
            study = replace(study, prior=_existing(study.id, study.prior, audit))
        views = tuple(v for v in study.views if v.path.is_file())
        if not study.views:
            audit.drop(study.id, "it lists no image")
        elif not views:
            audit.drop(study.id, "none of its image files is there")
        else:
            for v in study.views:
                if v not in views:
                    audit.drop(f"{study.id}: {v.path.name}", "this one image file is not there")
            complete.append(study if len(views) == len(study.views) else replace(study, views=views))
    return complete


def _existing(id: str, prior: Study, audit: AuditLog) -> Study | None:
    """Return the prior of the study `id` with the views whose files exist; None if nothing of it is there."""
    views = tuple(v for v in prior.views if v.path.is_file())
    for v in prior.views:
        if v not in views:
            audit.drop(f"{id}: {v.path.name}", "this one image file of its prior is not there")
    return replace(prior, views=views) if views or prior.sections else None
