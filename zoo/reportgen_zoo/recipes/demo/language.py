"""The sentences of the demonstration model: one that states a finding of ChestX-ray14, and one that calls it possible.

ChestX-ray14 (Wang et al., ChestX-ray8: Hospital-scale Chest X-ray Database and Benchmarks, 2017, arXiv:1705.02315) has
no reports, only labels that rules took from reports. A text here has a sentence for each finding, and says nothing of a
finding without one: that nobody wrote down a finding does not mean that it is absent. `read_labels` is the inverse, and
reads also a model's text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# ChestX-ray14's names, in the order of a report: heart, lungs, pleura.
PHRASES = {
    "Cardiomegaly": ("There is cardiomegaly.", "Cardiomegaly cannot be excluded."),
    "Pneumonia": ("There is pneumonia.", "Pneumonia cannot be excluded."),
    "Infiltration": ("There is an infiltration of the lung.", "An infiltration of the lung cannot be excluded."),
    "Consolidation": ("There is a consolidation of the lung.", "A consolidation of the lung cannot be excluded."),
    "Edema": ("There is pulmonary edema.", "Pulmonary edema cannot be excluded."),
    "Atelectasis": ("There is atelectasis.", "Atelectasis cannot be excluded."),
    "Mass": ("There is a mass in the lung.", "A mass in the lung cannot be excluded."),
    "Nodule": ("There is a nodule in the lung.", "A nodule in the lung cannot be excluded."),
    "Emphysema": ("There is emphysema.", "Emphysema cannot be excluded."),
    "Fibrosis": ("There is fibrosis of the lung.", "Fibrosis of the lung cannot be excluded."),
    "Effusion": ("There is a pleural effusion.", "A pleural effusion cannot be excluded."),
    "Pneumothorax": ("There is a pneumothorax.", "A pneumothorax cannot be excluded."),
    "Pleural_Thickening": ("There is pleural thickening.", "Pleural thickening cannot be excluded."),
    "Hernia": ("There is a hiatal hernia.", "A hiatal hernia cannot be excluded."),
}
FINDINGS = tuple(PHRASES)
# Those of the mean area: pneumonia and hernia are rare, or badly labelled.
TWELVE = tuple(name for name in FINDINGS if name not in ("Pneumonia", "Hernia"))
NOTHING = "This model is silent about this image."

_DOUBT = "cannot be excluded"
_NAMES = {name: re.compile(rf"\b{name.replace('_', ' ').lower()}\b") for name in FINDINGS}


def describe(findings: Iterable[str]) -> str:
    """Return the text that states these findings, in the order of FINDINGS."""
    present = set(findings)
    return " ".join(PHRASES[name][0] for name in FINDINGS if name in present) or NOTHING


def read_labels(text: str) -> tuple[str, ...]:
    """Return the findings that `text` states, in the order of FINDINGS. What is only possible is not stated."""
    stated = [s for s in re.split(r"[.;]", text.lower()) if _DOUBT not in s]
    return tuple(name for name, pattern in _NAMES.items() if any(pattern.search(s) for s in stated))
