"""Text recipes, sentences and vocabularies (torch-free). The recipes themselves are in recipes.py."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from ..errors import DataError, UnknownName
from ..registry import did_you_mean, known_fields
from ..types import Study
from .recipes import RECIPES, Recipe

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")


@dataclass(frozen=True, slots=True)
class TextSpec:
    """How reports become words: a named recipe and its limits. Saved with the model."""

    recipe: str = "plain"
    sections: tuple[str, ...] = ("findings",)
    min_count: int = 1  # rarer words become <unk>
    max_vocabulary: int | None = None  # keep only the commonest
    max_sentences: int = 8
    max_words: int = 30  # per sentence, the end mark not counted
    max_length: int | None = None  # words of a whole report; None: max_sentences × (max_words + 1)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TextSpec:
        """The spec that `to_json` wrote. Raises DataError for an unknown key."""
        spec = cls(**known_fields(cls, values, "a text spec", DataError))
        if not isinstance(spec.sections, tuple):
            raise DataError(f"sections {spec.sections!r} of a text spec must be a list, as {[spec.sections]}")
        recipe(spec)
        return spec

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "sections": list(self.sections)}

    @property
    def length(self) -> int:
        """The limit of a report's words, sentence marks counted."""
        return self.max_sentences * (self.max_words + 1) if self.max_length is None else self.max_length


class Vocabulary:
    """The words of a model, the special ones first. Word ids are positions."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self.words: tuple[str, ...] = (*SPECIAL, *words)
        self._ids = {w: i for i, w in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, words: Iterable[str]) -> list[int]:
        return [self._ids.get(w, UNK) for w in words]

    def decode(self, ids: Iterable[int]) -> list[str]:
        return [self.words[i] for i in ids if i not in (PAD, BOS, EOS)]


def recipe(spec: TextSpec) -> Recipe:
    """The recipe a spec names. Raises UnknownName."""
    if spec.recipe not in RECIPES:
        raise UnknownName(f"no text recipe named {spec.recipe!r}; {did_you_mean(spec.recipe, RECIPES)}")
    return RECIPES[spec.recipe]


def sentence_words(text: str, spec: TextSpec) -> list[list[str]]:
    """The report as sentences of words, by the recipe, cut to the limits.

    Sentences without a word are left out; a report without words is [].
    """
    found = [s[: spec.max_words] for s in recipe(spec).split(text) if _says_something(s)]
    return found[: spec.max_sentences]


def report_words(text: str, spec: TextSpec) -> list[str]:
    """The report as one row of words, each sentence with its mark after it, cut to `spec.length`.

    For r2gen recipes this is exactly what R2Gen trains on and scores against: sentence limits do not cut, and
    sentences that cleaning emptied keep their mark. A report without words is [].
    """
    how = recipe(spec)
    if how.flat:
        pieces = how.split(text)
        pieces = pieces if any(map(_says_something, pieces)) else []
    else:
        pieces = sentence_words(text, spec)
    return [word for s in pieces for word in (*s, how.mark)][: spec.length]


def count_cut_words(text: str, words: Sequence[str], spec: TextSpec) -> int:
    """How many words the limits cut off a report, sentence marks counted; `words` are what `flat` left of it."""
    long = max((b - a for a, b in spans(words, spec)), default=0)
    if len(words) < spec.length and long < spec.max_words and words.count(recipe(spec).mark) < spec.max_sentences:
        return 0  # at no limit, as nearly all reports are
    endless = replace(spec, max_sentences=sys.maxsize, max_words=sys.maxsize, max_length=sys.maxsize)
    return len(report_words(text, endless)) - len(words)


def cut_note(texts: Sequence[str], spec: TextSpec) -> str:
    """How many of the reports to learn from the limits cut, as a sentence; empty where there is none."""
    cut = sum(count_cut_words(text, report_words(text, spec), spec) > 0 for text in texts)
    whole = "" if spec.max_length is None else f" or {spec.max_length} words in all"
    limits = f"{spec.max_sentences} sentences of {spec.max_words} words{whole}"
    return f"{cut} of {len(texts)} reports to learn from are longer than {limits}, and are cut" if cut else ""


def spans(words: Sequence[str], spec: TextSpec) -> list[tuple[int, int]]:
    """Where the sentences of a row of words begin and end, the marks between them left out."""
    mark = recipe(spec).mark
    cuts = [-1, *(i for i, word in enumerate(words) if word == mark), len(words)]
    return [(a + 1, b) for a, b in pairwise(cuts) if b > a + 1]


def unflatten(words: Iterable[str], spec: TextSpec) -> list[list[str]]:
    """A row of words as sentences, cut at the marks; the mark itself is left out."""
    row = list(words)
    return [row[a:b] for a, b in spans(row, spec)]


def join(sentences: Iterable[Sequence[str]], spec: TextSpec) -> str:
    """Words back to text, as the recipe writes it. A sentence may be a whole row with marks of its own."""
    how = recipe(spec)
    return how.write([how.unknown if w == SPECIAL[UNK] else w for w in s] for s in sentences)


def build_vocabulary(texts: Iterable[str], spec: TextSpec) -> Vocabulary:
    """The vocabulary of training texts, by `min_count` and `max_vocabulary`. Words are counted before any cut.

    The recipe's sentence mark is always a word; only where it is a word like any other (r2gen) is it counted.
    Order: the commonest first and equals by the alphabet, or all by the alphabet, as the recipe says.
    """
    how = recipe(spec)
    counts = Counter(w for text in texts for s in how.split(text) for w in (*s, how.mark))
    for known in SPECIAL:
        del counts[known]
    marks = counts.pop(how.mark, 0)
    if how.flat and marks:
        counts[how.mark] = marks
    common = sorted((w for w, n in counts.items() if n >= spec.min_count), key=lambda w: (-counts[w], w))
    common = common[: spec.max_vocabulary]
    if how.flat:
        return Vocabulary(sorted(common) if how.alphabetical else common)
    return Vocabulary((how.mark, *(sorted(common) if how.alphabetical else common)))


def _says_something(words: Sequence[str]) -> bool:
    """Whether there is a word among the signs."""
    return any(c.isalnum() for w in words for c in w)


def recipe_sentences(study: Study, text: TextSpec) -> list[str]:
    """The sentences of a report as the text recipe writes them."""
    return [join([s], text) for s in sentence_words(study.text(text.sections), text)]
