"""Which language a text is written in, as far as the labeler must know: English, or not.

A finding has the same name in many languages ("Kein Pneumothorax"), and its denial has not. A text in which words of
another language are more than those of English is not read.
"""

from __future__ import annotations

import re
from functools import cache

from .spelling import word_lists

_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile("[A-Za-z]+")
PREFIX = "language_"
SCRIPTS = (
    ("Chinese or Japanese", re.compile("[\u3040-\u30ff\u3400-\u9fff]")),
    ("Korean", re.compile("[\uac00-\ud7af]")),
    ("Russian or another Slavic language", re.compile("[\u0400-\u04ff]")),
    ("Greek", re.compile("[\u0386-\u03ff]")),
    ("Arabic or Persian", re.compile("[\u0600-\u06ff]")),
    ("Hebrew", re.compile("[\u0590-\u05ff]")),
    ("Hindi or a language of its script", re.compile("[\u0900-\u097f]")),
    ("Thai", re.compile("[\u0e00-\u0e7f]")),
)


@cache
def _languages() -> dict[str, frozenset[str]]:
    return {k.removeprefix(PREFIX).title(): v for k, v in word_lists().items() if k.startswith(PREFIX)}


def foreign_language(text: str) -> str:
    """Return the language of a text that is not English, as a name for the user; "" for English or an unknown one."""
    words = {w.lower() for w in _WORD.findall(text)}
    english = len(words & word_lists()["english"])
    if english > 2 and text.isascii():
        return ""
    if not text.isascii():
        latin = len(_LATIN.findall(text))
        for name, script in SCRIPTS:
            if len(script.findall(text)) > latin:
                return name
    name, known = max(((n, len(words & w)) for n, w in _languages().items()), key=lambda item: item[1])
    return name if known > english else ""
