"""Protocols that only cut a text into words.

coco                the PTB tokenizer, as pycocoevalcap and most captioning papers (needs Java)
raw                 lower case, cut at white space, punctuation left where it is
tokens              cut at white space and nothing else, for texts that are words already (R2Gen's gts and res files)
chinese-words       jieba's words, punctuation dropped
chinese-characters  each Chinese character a word; Latin words and numbers whole; punctuation dropped

The papers of CVSE and TieNet name no tokenizer; `cvse` and `tienet` are coco's with the sections those papers score.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reportgen_core import TextProtocol
from reportgen_core.text.recipes import cut_chinese


class Coco(TextProtocol):
    """The PTB tokenizer on both sides.

    Args:
        sections: sections of the reference; none: those of the model, else the findings.
    """

    version = "1"

    def __init__(self, *, sections: Sequence[str] = ()) -> None:
        self.sections = tuple(sections)

    def reports(self, texts: Sequence[str]) -> list[str]:
        from ..metrics.nlg.ptb import tokenize

        return tokenize(texts)

    references = reports


class Raw(TextProtocol):
    """White space on both sides.

    Args:
        lower: whether the text is put into lower case.
    """

    version = "1"

    def __init__(self, *, lower: bool = True) -> None:
        self.lower = lower

    def reports(self, texts: Sequence[str]) -> list[str]:
        return [" ".join((t.lower() if self.lower else t).split()) for t in texts]

    references = reports


_CHARACTER = re.compile(r"[A-Za-z0-9]+(?:\.[0-9]+)?|\w")


class Chinese(TextProtocol):
    """Words by jieba, or characters.

    Args:
        characters: whether each character is a word.
    """

    version = "1"
    language = "zh"

    def __init__(self, *, characters: bool = False) -> None:
        self.characters = characters

    def reports(self, texts: Sequence[str]) -> list[str]:
        if self.characters:
            return [" ".join(_CHARACTER.findall(t.lower())) for t in texts]
        return [" ".join(w for w in cut_chinese(t.lower()) if any(c.isalnum() for c in w)) for t in texts]

    references = reports
