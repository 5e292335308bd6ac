"""A small report language: the facts that ChestX-ray14 has of a radiograph, in sentences of our own wording.

ChestX-ray14 (Wang et al., ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks, 2017, arXiv:1705.02315) has
no reports, only labels. A report here has these sentences in this order: the projection and the patient; the exposure,
which is measured in the pixels; the heart; each finding of the lungs and the pleura, or that there is none. Every
sentence comes from facts. The study's id chooses among a few wordings, so that equal facts have different texts.
`read_labels` is the inverse: it reads the findings of a text of this language, also of a model's text.

The labels were taken from reports by rules. A finding without a label counts as absent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

# ChestX-ray14's names, in the order of a report.
HEART = ("Cardiomegaly",)
LUNGS = (
    "Pneumonia",
    "Infiltration",
    "Consolidation",
    "Edema",
    "Atelectasis",
    "Mass",
    "Nodule",
    "Emphysema",
    "Fibrosis",
)
PLEURA = ("Effusion", "Pneumothorax", "Pleural_Thickening", "Hernia")
FINDINGS = (*HEART, *LUNGS, *PLEURA)

POSITIVE = {
    "Cardiomegaly": ("The heart is enlarged: cardiomegaly.", "The heart shadow is wide, in keeping with cardiomegaly."),
    "Pneumonia": ("The opacity is in keeping with pneumonia.", "The picture is that of pneumonia."),
    "Infiltration": ("There is infiltration of the lung.", "An infiltration is seen in the lung."),
    "Consolidation": ("Part of the lung shows consolidation.", "There is consolidation of the lung."),
    "Edema": ("The vessels are blurred as in pulmonary edema.", "There is pulmonary edema."),
    "Atelectasis": ("There is atelectasis.", "Part of the lung has lost volume: atelectasis."),
    "Mass": ("There is a mass in the lung.", "A pulmonary mass is seen."),
    "Nodule": ("There is a nodule in the lung.", "A pulmonary nodule is seen."),
    "Emphysema": ("The lungs are overinflated as in emphysema.", "There is emphysema."),
    "Fibrosis": ("There is fibrosis of the lung.", "Strands in the lung speak for fibrosis."),
    "Effusion": ("There is a pleural effusion.", "Fluid is seen in the pleural space: effusion."),
    "Pneumothorax": ("There is a pneumothorax.", "Air is seen in the pleural space: pneumothorax."),
    "Pleural_Thickening": ("There is pleural thickening.", "Pleural thickening is seen."),
    "Hernia": ("There is a hiatal hernia.", "A hernia is seen behind the heart."),
}
NORMAL = {
    HEART: ("The heart is of normal size.", "The heart is not enlarged."),
    LUNGS: ("The lungs are clear.", "The lungs show no opacity."),
    PLEURA: ("There is no pleural effusion.", "The pleural spaces are free."),
}
DECADES = ("", "teens", "twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties")
BRIGHTNESS = ("dark", "of medium brightness", "bright")
CONTRAST = ("low", "ordinary", "high")
LEVELS = ((0.5, 0.6), (0.20, 0.24))  # of the mean and the deviation of grey, 0..1: about a third of the images in each
PROJECTIONS = {"PA": "posteroanterior", "AP": "anteroposterior"}
PERSONS = {"M": ("boy", "man", "his"), "F": ("girl", "woman", "her")}

_NEGATION = re.compile(r"\b(no|not|without|free|clear|normal)\b")
_NAMES = {name: re.compile(rf"\b{name.replace('_', ' ').lower()}\b") for name in FINDINGS}


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one frontal radiograph."""

    findings: tuple[str, ...]  # of FINDINGS; empty if the label is "No Finding"
    view: str  # "PA" or "AP"
    sex: str  # "M" or "F"
    age: int  # years
    brightness: int = 1  # index into BRIGHTNESS
    contrast: int = 1  # index into CONTRAST

    @property
    def decade(self) -> int:
        """Return the decade of the age: 0 for up to nine years, at most 9."""
        return min(self.age, 99) // 10


def describe(facts: Facts, key: str) -> str:
    """Return the report of `facts`; `key`, the study's id, chooses among wordings."""
    chosen = _Choice(key)
    exposure = f"The image is {BRIGHTNESS[facts.brightness]} with {CONTRAST[facts.contrast]} contrast."
    sentences = [_patient(facts, chosen), exposure]
    for group, normal in NORMAL.items():
        present = [name for name in group if name in facts.findings]
        sentences += [chosen.of(POSITIVE[name]) for name in present] or [chosen.of(normal)]
    return " ".join(sentences)


def exposure(mean: float, deviation: float) -> tuple[int, int]:
    """Return brightness and contrast, 0 to 2 each, of an image with this mean and deviation of grey values, 0..1."""
    brightness, contrast = (
        sum(value >= t for t in limits) for value, limits in zip((mean, deviation), LEVELS, strict=True)
    )
    return brightness, contrast


def _patient(facts: Facts, chosen: _Choice) -> str:
    child, adult, whose = PERSONS[facts.sex]
    view, person = PROJECTIONS[facts.view], child if facts.decade < 2 else adult
    age = f"in {whose} {DECADES[facts.decade]}" if facts.decade else "under ten"
    return chosen.of(
        (
            f"{view.capitalize()} view, as of a {person} {age}.",
            f"{view.capitalize()} view; it suggests a {person} {age}.",
        )
    )


class _Choice:
    """A sequence of choices, the same for the same key on every machine."""

    def __init__(self, key: str) -> None:
        self.key, self.count = key, 0

    def of(self, wordings: Sequence[str]) -> str:
        """Return the next choice."""
        self.count += 1
        digest = hashlib.sha256(f"{self.key} {self.count}".encode()).digest()
        return wordings[int.from_bytes(digest[:4]) % len(wordings)]


def read_labels(text: str) -> tuple[str, ...]:
    """Return the findings that `text` says are present, in the order of FINDINGS.

    A finding is present if a sentence names it and has no word of negation.
    """
    positive = [s for s in re.split(r"[.;]", text.lower()) if not _NEGATION.search(s)]
    return tuple(name for name, pattern in _NAMES.items() if any(pattern.search(s) for s in positive))


def read_patient(text: str) -> tuple[str, str, int | None]:
    """Return the projection, sex and decade of age in `text`; "" or None for each that it does not name."""
    words = set(re.findall(r"\w+", text.lower()))
    view = next((code for code, word in PROJECTIONS.items() if word in words), "")
    sex = next((code for code, (child, adult, _) in PERSONS.items() if words & {child, adult}), "")
    decade = next((i for i, word in enumerate(DECADES) if word in words), 0 if "under ten" in text.lower() else None)
    return view, sex, decade


def read_exposure(text: str) -> tuple[int | None, int | None]:
    """Return the brightness and contrast in `text`; None if it does not name them."""
    match = re.search(r"\bimage is (.+?) with (\w+) contrast", text.lower())
    if not match or match[1] not in BRIGHTNESS or match[2] not in CONTRAST:
        return None, None
    return BRIGHTNESS.index(match[1]), CONTRAST.index(match[2])
