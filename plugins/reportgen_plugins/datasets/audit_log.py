"""The account a reader keeps of what it drops."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from reportgen_core import Audit, Collection, Study


class Ledger:
    """Reasons and the ids they struck, in the order they were met, and facts about what was kept."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.dropped: dict[str, list[str]] = {}
        self.notes: list[str] = []

    def drop(self, id: str, reason: str) -> None:
        self.dropped.setdefault(reason, []).append(id)

    def collect(self, studies: Iterable[Study]) -> Collection:
        """The studies with their audit. Adds how many studies have how many views, and the sizes of the splits."""
        kept = tuple(studies)
        views = Counter(len(s.views) for s in kept)
        splits = Counter(s.split for s in kept if s.split)
        notes = [*self.notes]
        if kept:
            notes.append("views a study: " + ", ".join(f"{n} in {views[n]}" for n in sorted(views)))
        if splits:
            notes.append("split: " + ", ".join(f"{k} {splits[k]}" for k in ("train", "val", "test") if k in splits))
        dropped = {reason: tuple(ids) for reason, ids in self.dropped.items()}
        images = sum(len(s.views) for s in kept)
        return Collection(kept, Audit(self.source, len(kept), images, dropped, tuple(notes)))


def require_files(studies: Iterable[Study], ledger: Ledger) -> list[Study]:
    """The studies with the views whose files exist; those left without any are dropped."""
    kept = []
    for study in studies:
        views = tuple(v for v in study.views if v.path.is_file())
        if not study.views:
            ledger.drop(study.id, "it lists no image")
        elif not views:
            ledger.drop(study.id, "none of its image files is there")
        else:
            for v in study.views:
                if v not in views:
                    ledger.drop(f"{study.id}: {v.path.name}", "this one image file is not there")
            kept.append(study if len(views) == len(study.views) else replace(study, views=views))
    return kept
