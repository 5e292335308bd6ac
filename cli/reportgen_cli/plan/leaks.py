"""Find what two splits share: patients, reports with the same words, image files with the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from reportgen_core.types import Study

from .images import ImageFiles
from .texts import Texts, plain_text

ORDER = ("train", "val", "test")
MAX_IDS = 20  # examples of a leak


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """The studies of the second split that are in the first, too."""

    seen: str  # the split that a model learns from or is selected by
    held_out: str
    patients: int  # of the second split that the first has
    of_patients: int
    reports: int  # of the second split whose words a report of the first has
    of_reports: int
    images: int  # image files of the second split whose bytes the first has
    of_images: int
    studies: tuple[str, ...]  # some of the second split with a patient or an image of the first


def find_leaks(studies: Sequence[Study], texts: Texts, files: ImageFiles) -> tuple[Leak, ...]:
    """Return for every two splits what they share, training first."""
    rest = sorted({s.split for s in studies} - {*ORDER, ""})
    splits = [name for name in (*ORDER, *rest) if any(s.split == name for s in studies)]
    return tuple(_leak(studies, pair, texts, files) for pair in combinations(splits, 2))


def _leak(studies: Sequence[Study], pair: tuple[str, str], texts: Texts, files: ImageFiles) -> Leak:
    def report(s: Study) -> list[str]:
        return [plain_text(texts[s.id])] if s.id in texts else []

    def images(s: Study) -> list[str]:
        paths = dict.fromkeys(v.path for v in s.views)
        return [files.groups[path] for path in paths if path in files.groups]

    first, second = ([s for s in studies if s.split == name] for name in pair)
    patients = {s.patient for s in second if s.patient}
    known_patients = {s.patient for s in first if s.patient}
    known_images = {mark for s in first for mark in images(s)}
    same = [s.id for s in second if s.patient in known_patients or known_images.intersection(images(s))]
    return Leak(
        seen=pair[0],
        held_out=pair[1],
        patients=len(patients & known_patients),
        of_patients=len(patients),
        **_shared("reports", first, second, report),
        **_shared("images", first, second, images),
        studies=tuple(same[:MAX_IDS]),
    )


def _shared(
    what: str, first: Sequence[Study], second: Sequence[Study], marks: Callable[[Study], list[str]]
) -> dict[str, int]:
    """Return how many marks of the second split the first has, and how many there are."""
    known = {mark for s in first for mark in marks(s)}
    own = [mark for s in second for mark in marks(s)]
    return {what: sum(mark in known for mark in own), f"of_{what}": len(own)}
