"""`chexpert-rules`: what a report says about CheXpert's 14 observations or ChestX-ray14's 14 diseases, by rules.

After J. Irvin et al., CheXpert: a large chest radiograph dataset with uncertainty labels and expert comparison, 2019,
arXiv:1901.07031, and Y. Peng et al., NegBio: a high-performance tool for negation and uncertainty detection in
radiology reports, 2018, arXiv:1712.05898. The labels, the three values, their precedence (positive,
uncertain, negative) and the rule of "No Finding" are CheXpert's; phrases, cues and code are ours. Where we depart:

- Sections that ask or compare (indication, history, comparison, technique) are not read.
- "History of pneumonia" and "evaluate for effusion" are not mentions; CheXpert's patterns negate the former.
- A text that names nothing at all has no label; CheXpert's rule would call it "No Finding".
- A text in another language has no label.

This module has the `Labeler`; the metric of the same name, with its conventions, is in `clinical`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from reportgen_core import OptionError
from reportgen_core.registry import did_you_mean

from .checking import CheckReport, SentenceCheck, WrongAnswer, read_checks
from .explanation import Mention, explain_mention
from .language import foreign_language
from .phrases import LABELS, Concept, Scheme, read_source
from .rules import ConceptMention, Reader, State, reader
from .text import Prepared, Sentence, prepare, section_spans, sentence_spans

__all__ = ["CHEXPERT5", "LABELS", "Hedge", "Labeler", "Mention", "Scheme"]

Hedge = Literal["uncertain", "positive"]
CHEXPERT5 = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
PRECEDENCE = (1, -1, 0)  # positive, uncertain, negative
_NORMAL = re.compile(  # a text without a mention that says so is normal; any other says nothing that we can read
    r"\b(?:normal|clear|unremarkable|negative|within limits|wnl|nad|no|not|without|nothing|none|free|stable|unchanged"
    r"|intact)\b",
    re.IGNORECASE,
)


class Labeler:
    """Labels texts by rules.

    `scheme` is "chexpert14", or "chestxray14": ChestX-ray14's names, "No Finding" (none of the 14) and "normal"
    (nothing abnormal at all, as the coders of Open-i use it). `weak` says what "probable", "likely" and "versus" count
    as; None is the scheme's own reading: uncertain for CheXpert's, positive for ChestX-ray14's. `phrases` is the path
    of a table that is added to the shipped ones and to those of plugins.
    """

    version = "2"

    def __init__(self, *, scheme: Scheme = "chexpert14", weak: Hedge | None = None, phrases: str = "") -> None:
        if scheme not in LABELS:
            raise OptionError(f"no labels named {scheme!r}; {did_you_mean(scheme, LABELS)}")
        if weak not in (None, *get_args(Hedge)):
            raise OptionError(f"weak hedges cannot count as {weak!r}; {did_you_mean(str(weak), get_args(Hedge))}")
        self.scheme, self.labels_of_scheme = scheme, LABELS[scheme]
        self._reader: Reader = reader((read_source(Path(phrases)),) if phrases else ())
        self.added_tables = self._reader.tables.added
        hedged = weak or ("uncertain" if scheme == "chexpert14" else "positive")
        self._values: dict[State, int] = {
            "stated": 1,
            "denied": 0,
            "doubted": -1,
            "hedged": -1 if hedged == "uncertain" else 1,
        }

    def explain(self, text: str) -> dict[str, tuple[Mention, ...]]:
        """Return all mentions of each label that is mentioned, the deciding mention first."""
        prepared, named = self._read(text)
        mentions: dict[str, list[Mention]] = {}
        for sentence, mention in named:
            if label := mention.concept.labels[self.scheme]:
                value = self._values[mention.state]
                mentions.setdefault(label, []).append(explain_mention(value, mention, sentence, text, prepared))
        for label in self._nothing_found(prepared, named):
            mentions[label] = [Mention(1, "", "nothing else is stated or doubted", "")]
        return {
            k: tuple(sorted(mentions[k], key=lambda m: PRECEDENCE.index(m.value)))
            for k in self.labels_of_scheme
            if k in mentions
        }

    def labels(self, texts: Iterable[str]) -> list[dict[str, float]]:
        """Return the values of the labels that each text mentions: 1, 0 or -1. Labels not mentioned are left out."""
        return [self._labels(text) for text in texts]

    def _labels(self, text: str) -> dict[str, float]:
        """Return what `explain` says without its reasons, which take longer."""
        prepared, named = self._read(text)
        values: dict[str, set[int]] = {label: {1} for label in self._nothing_found(prepared, named)}
        for _, mention in named:
            if label := mention.concept.labels[self.scheme]:
                values.setdefault(label, set()).add(self._values[mention.state])
        return {k: float(next(v for v in PRECEDENCE if v in values[k])) for k in self.labels_of_scheme if k in values}

    def label(self, text: str) -> Mapping[str, Mention]:
        """Return the deciding mention of each label that is mentioned."""
        return {label: mentions[0] for label, mentions in self.explain(text).items()}

    def note(self, text: str) -> str:
        """Return why a text has no labels; "" for a text in English."""
        language = self.language(text)
        return f"is in {language}, and the rules read English" if language else ""

    def language(self, text: str) -> str:
        """Return the language of a text that is not English; "" for English or an unknown one."""
        return foreign_language(prepare(text, self._reader.is_word).text)

    def check(self, path: Path, on_note: Callable[[str], None] | None = None) -> CheckReport:
        """Compare the rules with a table of sentences and answers. Raises DataError for a table that cannot be used."""
        checks = read_checks(path, self.labels_of_scheme, on_note)
        return CheckReport(len(checks), tuple(wrong for check in checks if (wrong := self._wrong(check))))

    def _wrong(self, check: SentenceCheck) -> WrongAnswer | None:
        mention = self.label(check.text).get(check.label)
        answer = str(mention.value) if mention else "N"
        return None if answer in check.expected else WrongAnswer(check, answer, mention.rule if mention else "")

    def _read(self, text: str) -> tuple[Prepared, list[tuple[Sentence, ConceptMention]]]:
        """Return a text in plain signs and what its sentences name: nothing in a text of another language."""
        prepared = prepare(text, self._reader.is_word)
        if foreign_language(prepared.text):
            return Prepared(""), []
        spans = section_spans(prepared.text, self._reader.names_finding)
        read = self._reader.read
        return prepared, [(s, m) for s in sentence_spans(prepared.text, spans) for m in read(s.text)]

    def _nothing_found(self, prepared: Prepared, named: Sequence[tuple[Sentence, ConceptMention]]) -> list[str]:
        """Return the labels of no finding that hold: nothing is stated or doubted that takes them away."""
        blocked: set[str] = set()
        for _, mention in named:
            if self._values[mention.state]:
                blocked |= self._blocked_by(mention.concept)
        if not named:
            spans = section_spans(prepared.text, self._reader.names_finding)
            if not any(_NORMAL.search(prepared.text, start, end) for start, end in spans):
                return []
        return [label for label in ("No Finding", "normal") if label in self.labels_of_scheme and label not in blocked]

    def _blocked_by(self, concept: Concept) -> frozenset[str]:
        """Return the labels of no finding that a concept rules out; ChestX-ray14's "No Finding" is none of the 14."""
        if self.scheme == "chestxray14" and not concept.labels[self.scheme]:
            return concept.blocks - {"No Finding"}
        return concept.blocks
