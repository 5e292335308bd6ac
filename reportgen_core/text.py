"""Text recipes, sentences and vocabularies (torch-free)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def sentences(text: str, spec: TextSpec) -> list[list[str]]:
    """The report as sentences of words, by the recipe, cut to the limits."""
    raise NotImplementedError


def join(sentences: Iterable[Sequence[str]], spec: TextSpec) -> str:
    """Words back to text, as the recipe writes it."""
    raise NotImplementedError


def build_vocabulary(texts: Iterable[str], spec: TextSpec) -> Vocabulary:
    """The vocabulary of training texts, by the recipe's and the spec's limits."""
    raise NotImplementedError
