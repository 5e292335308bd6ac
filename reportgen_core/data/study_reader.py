"""Read the images of a study: which of them a model takes, and what a reader must know of the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ImageError
from ..text.printable import printable
from ..text.spec import TextSpec
from ..types import ImageSpec, Study, TargetSpec, View
from .images import prepare_file

if TYPE_CHECKING:
    from ..types import Array

MAX_NAMES = 5  # images that a note names; the others are counted
MAX_NAME = 60  # characters of the name of an image in a note
_PREFERENCE = {"frontal": 0, "": 1, "lateral": 2}


@dataclass(frozen=True, slots=True)
class LoadedStudy:
    """A study with the images that could be read, the problems of the others, and notes for the reader of a report."""

    study: Study
    views: tuple[View, ...]
    images: tuple[Array, ...]  # (H, W) uint8 or uint16 each
    problems: tuple[str, ...] = ()
    pictures: tuple[Array, ...] = ()  # (h, w) grey 0..1 of each image, if `picture_side` is not 0
    notes: tuple[str, ...] = ()
    not_chest: tuple[str, ...] = ()  # why a header says that this is no chest radiograph


@dataclass(frozen=True)
class StudyReader:
    """Turns a study into numbers: its images by `image`, its report by `text` into ids of the words of `targets`.

    Targets are left out if text or names are not given. `cache` is the folder of prepared images. With `check_all`, the
    images that a model does not take are read too, so that one that cannot be read is named.
    """

    image: ImageSpec
    text: TextSpec | None = None
    targets: TargetSpec | None = None
    cache: Path | None = None
    picture_side: int = 0  # pixels of the longer side; 0: no pictures
    check_all: bool = False

    def read(self, study: Study) -> LoadedStudy:
        """Read the images of a study, frontal views first, until `image.views` of them could be read.

        List the others in `problems`; never raise ImageError.
        """
        views: list[View] = []
        unused: list[View] = []
        images: list[Array] = []
        pictures: list[Array] = []
        problems: list[str] = []
        notes: dict[str, None] = {}
        not_chest: dict[str, None] = {}
        for view in by_preference(study) if self.image.views else ():
            needed = len(views) < self.image.views
            if not needed and not self.check_all:
                unused.append(view)
                continue
            try:
                side = self.picture_side if needed else 0
                image = prepare_file(view.path, self.image, self.cache, picture_side=side)
            except ImageError as e:
                problems.append(str(e))
                continue
            if not needed:
                unused.append(view)
                continue
            views.append(view)
            images.append(image.pixels)
            if image.picture is not None:
                pictures.append(image.picture)
            name = f"{_short(view.path.name)}: " if len(study.views) > 1 else ""
            notes |= dict.fromkeys(name + note for note in image.notes)
            not_chest |= dict.fromkeys(name + note for note in image.not_chest)
        if not study.views and self.image.views:
            problems.append(f"study {study.id} has no image")
        if views:
            notes = dict.fromkeys((*_view_notes(study, views, unused), *notes))
        parts = (tuple(views), tuple(images), tuple(problems), tuple(pictures), tuple(notes), tuple(not_chest))
        return LoadedStudy(study, *parts)


def choose_views(study: Study, spec: ImageSpec) -> tuple[View, ...]:
    """Return at most `spec.views` images: frontal ones first, then those of unknown projection, then lateral ones."""
    return by_preference(study)[: spec.views]


def check_views(study: Study, spec: ImageSpec) -> str:
    """Return one line if the study has no image, or none but lateral ones; "" otherwise."""
    return _projection_note(choose_views(study, spec)) if study.views else "the study has no image"


def by_preference(study: Study) -> tuple[View, ...]:
    """Return all images of a study in the order in which models take them."""
    return tuple(sorted(study.views, key=lambda v: _PREFERENCE[v.projection]))


def _view_notes(study: Study, views: Sequence[View], unused: Sequence[View]) -> list[str]:
    """Return notes on the projection of the images that are used, and on those that are not."""
    notes = [_projection_note(views)]
    if unused:
        names = [_short(v.path.name) + (" (lateral)" if v.projection == "lateral" else "") for v in unused]
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        notes.append(
            f"{len(views)} of its {len(study.views)} images used; not used: {', '.join(names[:MAX_NAMES])}{more}"
        )
    return list(filter(None, notes))


def _projection_note(views: Sequence[View]) -> str:
    """Return a note if all of these images are lateral ones; "" otherwise."""
    if views and all(v.projection == "lateral" for v in views):
        return "no frontal view: the report is written from the lateral one" + "s" * (len(views) > 1)
    return ""


def _short(name: str) -> str:
    """Return the name of a file for a note: on one line, with only characters that can be printed."""
    return printable(name, MAX_NAME)
