"""What the labeler shows of an answer: the words, where they are, the cue that turned them, its scope, and the rule."""

from __future__ import annotations

from dataclasses import dataclass

from .rules import ConceptMention
from .text import Prepared, Sentence, place_in


@dataclass(frozen=True, slots=True)
class Mention:
    """One mention of a label in a text, and the rule that read it."""

    value: int  # 1 positive, 0 negative, -1 uncertain
    words: str  # as in the text
    rule: str
    sentence: str  # as it was read
    span: tuple[int, int] = (0, 0)  # where the words are in the text
    cue: str = ""  # the words that deny or doubt it
    scope: str = ""  # how far these words reach, in the sentence


def explain_mention(value: int, named: ConceptMention, sentence: Sentence, text: str, prepared: Prepared) -> Mention:
    """Return a mention with its words and its place in the text as the user wrote it."""
    span = prepared.original(*place_in(prepared.text, sentence, named.start, named.end))
    words = " ".join(text[slice(*span)].split())
    rule = f"{named.concept.name}: {named.rule}"
    scope = sentence.text[slice(*named.scope)].strip(" ,;")
    return Mention(value, words, rule, sentence.text, span, named.cue, scope)
