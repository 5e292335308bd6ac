"""Text recipes: how a report is cut into sentences of words, and how words become text again (torch-free).

plain        lower case; words, numbers and punctuation signs; list numbers left out.
jing         only alphabetic words. Jing et al., On the Automatic Generation of Medical Imaging Reports, 2018, §4.1.
ditag        words, and <num> for each number. Park et al., Feature Difference Makes Sense, 2020, table 2.
chinese      the words that jieba finds; a rare word is written <nou>, as in the DenseNet-LSTM paper of Nanjing.
r2gen-iu, r2gen-mimic
             Chen et al., Generating Radiology Reports via Memory-driven Transformer, 2020: the text of their scores,
             with its peculiarities, because their tables cannot be reproduced otherwise. A sentence without words
             after cleaning keeps its full stop; `- # $ ~ |` stay and `< = > @` are removed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

Sentences = list[list[str]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The functions from text to words and from words to text, and their settings."""

    split: Callable[[str], Sentences]  # all sentences of a text, also those without words after cleaning
    write: Callable[[Iterable[Sequence[str]]], str]
    mark: str = "."  # the word between the sentences of a report that is one row of words
    unknown: str = "<unk>"  # how an unknown word is written
    alphabetical: bool = False  # the order of the vocabulary; False: the commonest word first
    flat: bool = False  # a report is one row of words: empty sentences keep their mark, sentence limits do not cut
    words: tuple[str, ...] = ()  # all words that `split` can give, in their order; (): those of the training reports
    show: Callable[[str], str] = str  # a word as pages show it


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
    """Return the numbers of a numbered list, 1 2 3 in this order.

    The first number must follow a stop. Of several candidates for a later number, one after a stop is preferred.
    """
    items: list[re.Match[str]] = []
    numbers = list(_ITEM.finditer(text))
    while True:
        after = items[-1].end() if items else 0
        same = [m for m in numbers if int(m[1]) == len(items) + 1 and m.start() >= after]
        stopped = [m for m in same if text[: m.start()].rstrip()[-1:] in ("", *".!?:;")]
        if not (candidates := stopped or (same if items else [])):
            return items
        items.append(candidates[0])


def _abbreviated(text: str, stop: re.Match[str]) -> bool:
    """Return whether the stop belongs to an abbreviation."""
    word = text[max(0, stop.start() - 12) : stop.end()].rsplit(maxsplit=1)[-1:]
    return bool(word) and word[0].lower().lstrip("(\"'") in _ABBREVIATIONS


def split_sentences(text: str, keep_numbers: bool = False) -> list[str]:
    """Cut a text at its stops, but not inside 3.5, after `dr.` or `vs.`, nor after the number of a list item.

    `keep_numbers`: whether the numbers of list items stay in the sentences.
    """
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
    sentences = []
    for sentence in split_sentences(text, keep_numbers=True):
        words = (w.rstrip(".") for w in _WORD.findall(sentence.lower()) if w[0].isalnum() or (w[0] == "<" and w[1:]))
        sentences.append(["<num>" if w[0].isdigit() and not any(c.isalpha() for c in w) else w for w in words])
    return sentences


def with_stop(sentence: str) -> str:
    """Return the sentence with a full stop at its end, unless it ends with a mark (`.`, `!`, `?` or `。`)."""
    return sentence if sentence.endswith((".", "!", "?", "。")) else sentence + "."


def _write_plain(sentences: Iterable[Sequence[str]]) -> str:
    """Join words to text: sentences end in ". ", and there is no space before a comma or inside brackets."""
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


@cache
def _chinese_tokenizer() -> Any:
    """Return jieba's tokenizer with its dictionary, which is built from jieba's own file once a process.

    jieba itself reads a marshal file from the shared temporary folder, where anybody may put one: neither that file nor
    any other cache is read or written.
    """
    import jieba

    tokenizer = jieba.Tokenizer()
    with tokenizer.get_dict_file() as file:
        tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(file)
    tokenizer.initialized = True
    return tokenizer


def cut_chinese(text: str) -> list[str]:
    """Return the words of a Chinese text as jieba finds them, white space and punctuation among them."""
    return list(_chinese_tokenizer().lcut(text))


def _chinese(text: str) -> Sentences:
    text = _CHINESE_ITEM.sub("", text.replace("；", "。").replace("\r", ""))
    pieces = [_CHINESE_ITEM.sub("", s) for s in _CHINESE_END.split(text)]
    return [[w for w in cut_chinese(s.lower()) if not w.isspace()] for s in pieces if s.strip()]


def _write_chinese(sentences: Iterable[Sequence[str]]) -> str:
    """Join words to text without spaces, except between two words of Latin letters."""
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
    """Join all words and full stops by a space; a sentence gets a full stop unless it contains one."""
    return " ".join(" ".join(s if "." in s else (*s, ".")) for s in sentences)


RECIPES = {
    "plain": Recipe(_plain, _write_plain),
    "jing": Recipe(_jing, _write_plain),
    "ditag": Recipe(_ditag, _write_plain),
    "chinese": Recipe(_chinese, _write_chinese, mark="。", unknown="<nou>"),
    "r2gen-iu": Recipe(_r2gen_iu, _write_r2gen, alphabetical=True, flat=True),
    "r2gen-mimic": Recipe(_r2gen_mimic, _write_r2gen, alphabetical=True, flat=True),
}
SUMMARIES = {  # of each recipe: what it does, and its paper
    "plain": ("lower case; words, numbers and punctuation signs; list numbers left out", ""),
    "jing": ("lower case, words of letters", "arXiv:1711.08195"),
    "ditag": ("words, and <num> for each number", ""),
    "chinese": ("the words that jieba finds; a rare word is <nou>", ""),
    "r2gen-iu": ("the text of R2Gen's scores on IU X-Ray, with its peculiarities", "arXiv:2010.16056"),
    "r2gen-mimic": ("the text of R2Gen's scores on MIMIC-CXR, with its peculiarities", "arXiv:2010.16056"),
}
