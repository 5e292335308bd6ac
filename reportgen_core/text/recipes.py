"""Text recipes: how a report is cut into sentences of words, and how words are written back (torch-free).

plain        lower case; words, numbers and punctuation signs; list numbers left out.
jing         only alphabetic words. Jing et al., On the Automatic Generation of Medical Imaging Reports, 2018, §4.1.
ditag        words, and <num> for each number. Park et al., Feature Difference Makes Sense, 2020, table 2.
chinese      words as jieba finds them; a rare word is written <nou>, as in the DenseNet-LSTM paper of Nanjing.
r2gen-iu, r2gen-mimic
             Chen et al., Generating Radiology Reports via Memory-driven Transformer, 2020: the text their scores are
             computed on, quirks included, because their tables cannot be met otherwise: a sentence that cleaning
             empties leaves its full stop, and `- # $ ~ |` stay while `< = > @` go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Sentences = list[list[str]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """One way from text to words and back."""

    split: Callable[[str], Sentences]  # all sentences of a text, also those that cleaning emptied
    write: Callable[[Iterable[Sequence[str]]], str]
    mark: str = "."  # the word between the sentences of a report that is one row of words
    unknown: str = "<unk>"  # how an unknown word is written
    alphabetical: bool = False  # the vocabulary's order; else the commonest first
    flat: bool = False  # a report is one row of words: emptied sentences keep their mark, sentence limits do not cut


_ABBREVIATIONS = ("dr.", "mr.", "mrs.", "ms.", "vs.", "e.g.", "i.e.", "approx.", "a.m.", "p.m.", "cf.", "fig.", "ca.")
_END = re.compile(
    r"(?<![.!?])[.!?]+[\"')\]]*(?=\s|$)"  # a stop before a space
    r"|(?<=[a-z]{2})\.(?=[A-Za-z][a-z])"  # a forgotten space: "opacity.No effusion"
    r"|\n[ \t]*\n"  # a blank line
)
_ITEM = re.compile(r"(?:(?<=\s)|^)\(?(\d{1,2})[.)](?=\s+\S)")  # "2. " of a numbered list
_WORD = re.compile(
    rf"\b(?:{'|'.join(map(re.escape, _ABBREVIATIONS))})(?!\w)"
    r"|<\w+>"  # <unk>, <num>
    r"|\d+(?:[.,]\d+)*(?!\w)"
    r"|[^\W_]+(?:['’-][^\W_]+)*"  # x-ray, patient's, t12
    r"|_+|[^\w\s.]"
)


def _items(text: str) -> list[re.Match[str]]:
    """The numbers of a list, 1 2 3 in this order: the first after a stop, the others after a stop if they can be."""
    found: list[re.Match[str]] = []
    numbers = list(_ITEM.finditer(text))
    while True:
        after = found[-1].end() if found else 0
        same = [m for m in numbers if int(m[1]) == len(found) + 1 and m.start() >= after]
        stopped = [m for m in same if text[: m.start()].rstrip()[-1:] in ("", *".!?:;")]
        if not (chosen := stopped or (same if found else [])):
            return found
        found.append(chosen[0])


def _abbreviated(text: str, stop: re.Match[str]) -> bool:
    """Whether the stop belongs to an abbreviation."""
    word = text[max(0, stop.start() - 12) : stop.end()].rsplit(maxsplit=1)[-1:]
    return bool(word) and word[0].lower().lstrip("(\"'") in _ABBREVIATIONS


def split_sentences(text: str, keep_numbers: bool = False) -> list[str]:
    """Cut at stops, but not inside 3.5, after `dr.` or `vs.`, nor after the number of a list item."""
    items = _items(text)
    numbers = {m.end() for m in items}
    cuts = [(m.start(), m.start() if keep_numbers else m.end()) for m in items]
    cuts += [m.span() for m in _END.finditer(text) if m.end() not in numbers and not _abbreviated(text, m)]
    pieces, at = [], 0
    for start, end in sorted(cuts):
        pieces.append(text[at:start])
        at = end
    return [p.strip() for p in (*pieces, text[at:]) if p.strip()]


def _plain(text: str) -> Sentences:
    return [_WORD.findall(s.lower()) for s in split_sentences(text)]


def _jing(text: str) -> Sentences:
    return [[w for word in s if (w := word.rstrip(".")).isalpha()] for s in _plain(text)]


def _ditag(text: str) -> Sentences:
    found = []
    for sentence in split_sentences(text, keep_numbers=True):
        words = (w.rstrip(".") for w in _WORD.findall(sentence.lower()) if w[0].isalnum() or (w[0] == "<" and w[1:]))
        found.append(["<num>" if w[0].isdigit() and not any(c.isalpha() for c in w) else w for w in words])
    return found


def with_stop(sentence: str) -> str:
    """Return the sentence with a full stop at its end if it ends in no mark of its own (`.`, `!`, `?` or `。`)."""
    return sentence if sentence.endswith((".", "!", "?", "。")) else sentence + "."


def _write_plain(sentences: Iterable[Sequence[str]]) -> str:
    """Sentences end in ". "; signs stand where a writer puts them."""
    pieces = []
    for sentence in sentences:
        text = " ".join(sentence)
        text = re.sub(r" ([.,;:!?%)\]])", r"\1", text)
        text = re.sub(r"([(\[]) ", r"\1", text)
        text = text.replace(" / ", "/")
        if text:
            pieces.append(with_stop(text))
    return " ".join(pieces)


_CHINESE_END = re.compile(r"[。；！？!?;\n]+|(?<!\d)\.(?!\d)|\.(?=\s|$)")
_CHINESE_ITEM = re.compile(r"^\s*[(（]?\d{1,2}[、.．)）](?!\d)\s*")


def _chinese(text: str) -> Sentences:
    import jieba  # builds its dictionary on the first use

    jieba.setLogLevel("ERROR")  # it reports the building on stderr
    text = _CHINESE_ITEM.sub("", text.replace("；", "。").replace("\r", ""))
    pieces = [_CHINESE_ITEM.sub("", s) for s in _CHINESE_END.split(text)]
    return [[w for w in jieba.lcut(s.lower()) if not w.isspace()] for s in pieces if s.strip()]


def _write_chinese(sentences: Iterable[Sequence[str]]) -> str:
    """No spaces, but between two words of Latin letters."""
    pieces = []
    for sentence in sentences:
        text = re.sub(r"(?<=[a-z]) (?=[a-z0-9])", "\0", " ".join(sentence)).replace(" ", "").replace("\0", " ")
        if text:
            pieces.append(text if text.endswith("。") else text + "。")
    return "".join(pieces)


_R2GEN_SPACES = (("\n", " "), *((("__", "_"),) * 7), *((("  ", " "),) * 7))
_R2GEN_ITEMS = (
    ("1. ", ""),
    *((f". {n}. ", ". ") for n in range(2, 6)),
    *((f" {n}. ", ". ") for n in range(2, 6)),
)
_R2GEN_GONE = re.compile(r"[.,?;*!%^&_+():-\[\]{}\"/\\']")  # ":-\[" is the range from ":" to "["


def _r2gen(text: str, edits: Iterable[tuple[str, str]]) -> Sentences:
    for old, new in edits:
        text = text.replace(old, new)
    return [_R2GEN_GONE.sub("", s).split() for s in text.strip().lower().split(". ")]


def _r2gen_iu(text: str) -> Sentences:
    return _r2gen(text, (*((("..", "."),) * 3), *_R2GEN_ITEMS))


def _r2gen_mimic(text: str) -> Sentences:
    return _r2gen(text, (*_R2GEN_SPACES, *((("..", "."),) * 8), *_R2GEN_ITEMS))


def _write_r2gen(sentences: Iterable[Sequence[str]]) -> str:
    """All words and full stops joined by a space; a sentence that holds full stops of its own has all it needs."""
    return " ".join(" ".join(s if "." in s else (*s, ".")) for s in sentences)


RECIPES = {
    "plain": Recipe(_plain, _write_plain),
    "jing": Recipe(_jing, _write_plain),
    "ditag": Recipe(_ditag, _write_plain),
    "chinese": Recipe(_chinese, _write_chinese, mark="。", unknown="<nou>"),
    "r2gen-iu": Recipe(_r2gen_iu, _write_r2gen, alphabetical=True, flat=True),
    "r2gen-mimic": Recipe(_r2gen_mimic, _write_r2gen, alphabetical=True, flat=True),
}
