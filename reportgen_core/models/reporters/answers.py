"""Make a report of the answer of a model: its boxes are read, its text is cleaned and cut into sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import OptionError, lists_only
from ...registry import did_you_mean
from ...text.recipes import split_sentences, with_stop
from ...types import Box, Report
from .boxes import BOX_NOTATIONS, boxes_of_sentences, parse_boxes
from .cleaning import CLEANINGS


@lists_only
@dataclass(frozen=True, slots=True)
class AnswerRule:
    """How an answer becomes a report. Raises OptionError for a name that is no rule."""

    cleaning: str = "sections"
    sections: tuple[str, ...] = ("findings",)  # of the answer, in the order of the report
    boxes: str = "none"

    def __post_init__(self) -> None:
        for what, name, names in (("cleaning", self.cleaning, CLEANINGS), ("boxes", self.boxes, BOX_NOTATIONS)):
            if name not in names:
                raise OptionError(f"no {what} named {name!r}; {did_you_mean(name, names)}")

    def to_json(self) -> dict[str, Any]:
        """Return the rule with the version of its cleaning, as JSON values."""
        version = CLEANINGS[self.cleaning][0]
        return {"cleaning": f"{self.cleaning} {version}", "sections": list(self.sections), "boxes": self.boxes}

    def report(self, study: str, answer: str, size: tuple[int, int] = (1, 1), note: str = "") -> Report:
        """Return the report of an answer. `size` is the width and height of the first image.

        An answer without a report becomes a report with a problem. The answer itself is kept in any case.
        """
        grounded = parse_boxes(answer, self.boxes, size)
        sentences: list[str] = []
        boxes: list[tuple[Box, ...]] = []
        texts: list[str] = []
        notes, problem = [note, *grounded.notes], ""
        for text, own in grounded.texts:
            cleaned = CLEANINGS[self.cleaning][1](text, self.sections)
            notes.append(cleaned.note)
            problem = problem or cleaned.problem
            parts = [with_stop(s) for s in split_sentences(cleaned.text) if any(c.isalnum() for c in s)]
            texts += [with_stop(cleaned.text) if len(grounded.texts) > 1 else cleaned.text] if parts else []
            sentences += parts
            boxes += [own, *[()] * (len(parts) - 1)] if parts else []
        if grounded.loose and not sentences and not problem:  # an answer of boxes alone: its labels are the report
            labels = dict.fromkeys(with_stop(box.label) for box in grounded.loose if box.label)
            sentences, texts, boxes = list(labels), list(labels), [()] * len(labels)
        return self._with_loose(study, answer, (texts, sentences, boxes), grounded.loose, (notes, problem))

    def _with_loose(
        self,
        study: str,
        answer: str,
        made: tuple[Sequence[str], Sequence[str], Sequence[tuple[Box, ...]]],
        loose: Sequence[Box],
        remarks: tuple[list[str], str],
    ) -> Report:
        """Return the report with each loose box at the sentence that has the words of its label."""
        (texts, sentences, boxes), (notes, problem) = made, remarks
        more, left = boxes_of_sentences(sentences, loose)
        if left:
            names = ", ".join(dict.fromkeys(box.label or "without a label" for box in left))
            notes.append(f"no sentence has the words of {len(left)} boxes ({names:.80})")
        joined = tuple((*own, *others) for own, others in zip(boxes, more, strict=True))
        if not sentences and not problem:
            problem = "the answer is empty" if not answer.strip() else "the answer has no sentence"
        return Report(
            study,
            " ".join(texts) if sentences else "",
            tuple(sentences),
            boxes=joined if any(joined) else (),
            answer=answer,
            note="; ".join(dict.fromkeys(filter(None, notes))),
            problem=f"study {study}: {problem}" if problem else "",
        )


def rule_from(options: Mapping[str, Any]) -> AnswerRule:
    """Return the rule of a reporter's options `cleaning`, `sections` and `boxes`."""
    sections: Any = options["sections"]
    return AnswerRule(
        options["cleaning"], tuple([sections] if isinstance(sections, str) else sections), options["boxes"]
    )
