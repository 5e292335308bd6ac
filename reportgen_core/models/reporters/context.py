"""What a reporter takes of a study besides its images, what of it is missing or not used, and the same as pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from ...data.context import FACTS as FACTS
from ...data.context import FIELDS, Context
from ...data.context import SECTIONS as SECTIONS
from ...data.image_files import decode
from ...data.images import shrink
from ...types import Study

if TYPE_CHECKING:
    from ...types import View

Need = Literal["no", "optional", "required"]

WORDS = {"prior_report": "prior report", "prior_images": "prior image", "views": "image"}


@dataclass(frozen=True, slots=True)
class Takes:
    """What a reporter takes of a study: each kind of input is not taken, optional or required."""

    views: Need = "required"
    most_views: int = 1  # images of a study that are used, frontal ones first
    indication: Need = "no"
    technique: Need = "no"
    comparison: Need = "no"
    age: Need = "no"
    sex: Need = "no"
    prior_images: Need = "no"
    prior_report: Need = "no"


def context_of(study: Study) -> dict[str, str]:
    """Return the texts that a study has by name: its indication, technique, comparison, age, sex, and prior report."""
    return Context.of(study).texts()


def missing_context(study: Study, takes: Takes) -> list[str]:
    """Return the names of the inputs that `takes` requires and the study does not have; images are not checked."""
    given = Context.of(study).given
    return [WORDS.get(name, name) for name in FIELDS if getattr(takes, name) == "required" and name not in given]


def lack_of_context(study: Study, takes: Takes, whose: str = "this reporter") -> str:
    """Return a line on the inputs that `whose` requires and the study does not have; "" if it has all."""
    missing = missing_context(study, takes)
    return f"study {study.id} has no {' and no '.join(missing)}, which {whose} requires" if missing else ""


def unused_context(studies: Iterable[Study], takes: Takes, name: str) -> str:
    """Return a line on what these studies have besides images and the model `name` does not take; "" if it takes all.

    With several studies, each field has the number of the studies that have it.
    """
    contexts = [Context.of(study).given for study in studies]
    counts = Counter(field for given in contexts for field in given if getattr(takes, field) == "no")
    if not counts:
        return ""
    many = len(contexts) > 1
    parts = [
        WORDS.get(field, field) + (f" ({counts[field]} of {len(contexts)} studies)" if many else "")
        for field in FIELDS
        if counts[field]
    ]
    return f"given and not used by {name}: {', '.join(parts)}"


def pictures_of(views: Sequence[View], max_side: int = 0) -> list[Image.Image]:
    """Return images as RGB pictures of 8 bits. A longer side than `max_side` pixels is reduced to it; 0: never.

    Raises ImageError, naming the file.
    """
    pictures = []
    for view in views:
        grey = decode(view.path).grey()  # (H, W) 0..1
        grey = shrink(grey, max_side) if max_side else grey
        pictures.append(Image.fromarray(np.rint(grey * 255).astype(np.uint8)).convert("RGB"))
    return pictures
