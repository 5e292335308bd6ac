"""What a reporter takes of a study besides its images, and the same as texts and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

from ...data.image_files import decode
from ...data.images import shrink
from ...types import Study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...types import View

Need = Literal["no", "optional", "required"]

SECTIONS = ("indication", "technique", "comparison")  # of the study
FACTS = ("age", "sex")  # in `Study.extra`
REPORT = ("findings", "impression")  # of the prior study
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
    texts = {name: study.sections.get(name, "").strip() for name in SECTIONS}
    texts |= {name: str(value).strip() for name in FACTS if (value := study.extra.get(name)) is not None}
    if study.prior is not None:
        texts["prior_report"] = study.prior.text(REPORT)
    return {name: text for name, text in texts.items() if text}


def missing_context(study: Study, takes: Takes) -> list[str]:
    """Return the names of the inputs that `takes` requires and the study does not have; images are not checked."""
    given: Mapping[str, object] = context_of(study)
    if study.prior is not None and study.prior.views:
        given = {**given, "prior_images": True}
    names = (*SECTIONS, *FACTS, "prior_images", "prior_report")
    return [WORDS.get(name, name) for name in names if getattr(takes, name) == "required" and name not in given]


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
