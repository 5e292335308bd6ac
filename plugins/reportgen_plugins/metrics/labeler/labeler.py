"""`chexpert-rules`: what a report says about CheXpert's 14 observations or ChestX-ray14's 14 diseases, by rules.

After J. Irvin et al., CheXpert: a large chest radiograph dataset with uncertainty labels and expert comparison, 2019,
arXiv:1901.07031, and Y. Peng et al., NegBio: a high-performance tool for negation and uncertainty detection in
radiology reports, 2018, arXiv:1712.05898. The labels, the three values, their precedence (positive,
uncertain, negative) and the rule of "No Finding" are CheXpert's; phrases, cues and code are ours. Where we depart:

- Sections that ask or compare (indication, history, comparison, technique) are not read.
- "History of pneumonia" and "evaluate for effusion" are not mentions; CheXpert's patterns negate the former.
- A text without words has no label at all; CheXpert's rule would call it "No Finding".

This module has the `Labeler`; the metric of the same name, with its conventions, is in `clinical`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

from reportgen_core import OptionError
from reportgen_core.registry import did_you_mean

from .rules import Concept, State, read
from .text import read_sections, sentences

Scheme = Literal["chexpert14", "chestxray14"]
Hedge = Literal["uncertain", "positive"]

LABELS: dict[str, tuple[str, ...]] = {
    "chexpert14": (
        "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
        "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture",
        "Support Devices",
    ),
    "chestxray14": (
        "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
        "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia", "No Finding", "normal",
    ),
}  # fmt: skip
CHEXPERT5 = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")

_read = lru_cache(maxsize=1 << 16)(read)  # radiologists repeat themselves: half of the sentences were read before


@dataclass(frozen=True, slots=True)
class Mention:
    """One mention of a label in a text, and the rule that read it."""

    value: int  # 1 positive, 0 negative, -1 uncertain
    words: str  # as in the text
    rule: str
    sentence: str


class Labeler:
    """Labels texts by rules.

    `scheme` is "chexpert14", or "chestxray14": ChestX-ray14's names, "No Finding" (none of the 14) and "normal"
    (nothing abnormal at all, as the coders of Open-i use it). `weak` says what "probable", "likely" and "versus" count
    as; None is the scheme's own reading: uncertain for CheXpert's, positive for ChestX-ray14's.
    """

    version = "1"

    def __init__(self, *, scheme: Scheme = "chexpert14", weak: Hedge | None = None) -> None:
        if scheme not in LABELS:
            raise OptionError(f"no labels named {scheme!r}; {did_you_mean(scheme, LABELS)}")
        if weak not in (None, *get_args(Hedge)):
            raise OptionError(f"weak hedges cannot count as {weak!r}; {did_you_mean(str(weak), get_args(Hedge))}")
        self.scheme, self.labels_of_scheme = scheme, LABELS[scheme]
        hedged = weak or ("uncertain" if scheme == "chexpert14" else "positive")
        self._values: dict[State, int] = {
            "stated": 1,
            "denied": 0,
            "doubted": -1,
            "hedged": -1 if hedged == "uncertain" else 1,
        }

    def explain(self, text: str) -> dict[str, tuple[Mention, ...]]:
        """Return all mentions of each label that is mentioned, the deciding mention first."""
        mentions: dict[str, list[Mention]] = {}
        blocked: set[str] = set()
        has_words = False
        for sentence in sentences(read_sections(text)):
            has_words = True
            for named in _read(sentence):
                value = self._values[named.state]
                label = named.concept.labels[self.scheme]
                if label:
                    mentions.setdefault(label, []).append(
                        Mention(value, named.words, f"{named.concept.name}: {named.rule}", sentence)
                    )
                if value:
                    blocked |= self._blocked_by(named.concept)
        for label in ("No Finding", "normal"):
            if label in self.labels_of_scheme and label not in blocked and has_words:
                mentions[label] = [Mention(1, "", "nothing else is stated or doubted", "")]
        return {
            k: tuple(sorted(mentions[k], key=lambda m: (1, -1, 0).index(m.value)))
            for k in self.labels_of_scheme
            if k in mentions
        }

    def _blocked_by(self, concept: Concept) -> frozenset[str]:
        """Return the labels of no finding that a concept rules out; ChestX-ray14's "No Finding" is none of the 14."""
        if self.scheme == "chestxray14" and not concept.labels[self.scheme]:
            return concept.blocks - {"No Finding"}
        return concept.blocks

    def label(self, text: str) -> Mapping[str, Mention]:
        """Return the deciding mention of each label that is mentioned."""
        return {label: mentions[0] for label, mentions in self.explain(text).items()}

    def labels(self, texts: Iterable[str]) -> list[dict[str, float]]:
        """Return the values of the labels that each text mentions: 1, 0 or -1. Labels not mentioned are left out."""
        return [{label: float(m.value) for label, m in self.label(text).items()} for text in texts]
