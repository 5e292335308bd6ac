"""What is known of a study besides its images: the texts that come with it, and the patient's earlier study."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..text.spec import TextSpec, Vocabulary, recipe
from ..types import Study, View

SECTIONS = ("indication", "technique", "comparison")  # of the study
FACTS = ("age", "sex")  # in `Study.extra`
REPORT = (("findings", "impression"), ("last_paragraph",))  # of the prior study: the first that has a text
TEXTS = (*SECTIONS, *FACTS, "prior_report")
FIELDS = (*TEXTS, "prior_images")


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of one study besides its images. A field that is "" or () was not given."""

    indication: str = ""
    technique: str = ""
    comparison: str = ""
    age: str = ""
    sex: str = ""
    prior_report: str = ""  # of the patient's earlier study
    prior_images: tuple[View, ...] = ()
    words: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # ids of the words of each text, see `encoded`

    @classmethod
    def of(cls, study: Study) -> Context:
        """Return the context of a study: of its sections, its facts and its prior."""
        texts: dict[str, Any] = {name: study.sections.get(name, "").strip() for name in SECTIONS}
        texts |= {name: str(value).strip() for name in FACTS if (value := study.extra.get(name)) is not None}
        if study.prior is None:
            return cls(**texts)
        report = next((text for sections in REPORT if (text := study.prior.text(sections))), "")
        return cls(**texts, prior_report=report, prior_images=study.prior.views)

    @property
    def given(self) -> tuple[str, ...]:
        """Return the names of the fields that were given, in order."""
        return tuple(name for name in FIELDS if getattr(self, name))

    def texts(self) -> dict[str, str]:
        """Return the texts that were given, by field."""
        return {name: text for name in TEXTS if (text := getattr(self, name))}

    def only(self, names: Collection[str]) -> Context:
        """Return the context of these fields; the others are as if they were not given."""
        empty = Context()
        dropped = {f.name: getattr(empty, f.name) for f in fields(self) if f.name not in (*names, "words")}
        return replace(self, **dropped, words={name: ids for name, ids in self.words.items() if name in names})

    def encoded(self, text: TextSpec, vocabulary: Vocabulary) -> Context:
        """Return the context with the ids of the words of its texts, split as reports are, but without a limit.

        The sentence mark of the recipe is a word. A word that the vocabulary lacks has the id of <unk>.
        """
        rules = recipe(text)
        split = {
            name: [w for s in rules.split(own) if s for w in (*s, rules.mark)] for name, own in self.texts().items()
        }
        return replace(self, words={name: tuple(vocabulary.encode(words)) for name, words in split.items() if words})
