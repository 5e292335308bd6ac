"""Store the sentences of the training reports, with vectors and groups, from which CVSE learns and which it finds."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from reportgen_core import DataError
from reportgen_core.registries import sentence_encoders
from reportgen_core.retrieval.index import TextRow
from reportgen_core.sentences.parts import Group, SentenceEncoder, SentenceGrouper

_WORD = re.compile(r"[^\W_]+")


def plain(text: str) -> str:
    """Return the words of a text in lower case, joined by single spaces, without punctuation.

    Two texts with the same plain text are the same sentence.
    """
    return " ".join(_WORD.findall(text.lower()))


@lru_cache(2)
def _cached_encoder(name: str, options: str) -> SentenceEncoder:
    encoder: SentenceEncoder = sentence_encoders.create(name, **json.loads(options))
    return encoder


def load_sentence_encoder(name: str, options: Mapping[str, Any]) -> SentenceEncoder:
    """Return a sentence encoder, which is read once in a process and then reused.

    It is not trained, and composing builds a model several times.
    """
    with torch.device("cpu"):
        return _cached_encoder(name, json.dumps(dict(options), sort_keys=True))


@dataclass(frozen=True, slots=True)
class Bank:
    """The stored sentences by their plain text. The vectors are the sentence encoder's, before any projection."""

    rows: Mapping[str, int]  # plain text: row of `vectors`
    vectors: Tensor  # (S, T)
    groups: Tensor  # (S,) int64
    central: Tensor  # (G,) the row of each group's central sentence
    texts: tuple[TextRow, ...]  # G, the texts that a search returns

    def group_of(self, texts: Sequence[str], vectors: Tensor) -> Tensor:
        """Return the group (n,) of each text, with its vectors (n, T).

        A text that is not stored belongs to the group whose central sentence is nearest.
        """
        rows = torch.tensor([self.rows.get(plain(t), -1) for t in texts], dtype=torch.long, device=vectors.device)
        near = (vectors @ self.vectors[self.central].to(vectors.device).T).argmax(1)
        return torch.where(rows >= 0, self.groups.to(vectors.device)[rows.clamp_min(0)], near)


def make_bank(groups: Sequence[Group], encoder: SentenceEncoder) -> Bank:
    """Build the bank of some groups. A sentence in two groups belongs to the first."""
    rows: dict[str, int] = {}
    owners: list[int] = []
    sentences: list[str] = []
    for number, group in enumerate(groups):
        for text in (group.central, *group.sentences):
            if plain(text) and plain(text) not in rows:
                rows[plain(text)] = len(rows)
                owners.append(number)
                sentences.append(text)
    vectors = torch.from_numpy(encoder.encode(sentences)).float()
    central = torch.tensor([rows[plain(g.central)] for g in groups])
    texts = tuple(TextRow(f"g{n}", g.central, g.sentences) for n, g in enumerate(groups))
    return Bank(rows, vectors, torch.tensor(owners), central, texts)


def group_sentences(sentences: Sequence[str], encoder: SentenceEncoder, grouper: SentenceGrouper | None) -> list[Group]:
    """Group all sentences of the training reports. Without a grouper each sentence is a group of its own.

    Raises DataError if no sentence has a word, or the grouper has too few.
    """
    sentences = [s for s in sentences if plain(s)]
    if not sentences:
        raise DataError(
            "cvse learns from the abnormal sentences of reports, and no training report has one in the sections that "
            "are read (--text sections; rg data abnormal makes a table with the section abnormal)"
        )
    if grouper is not None:
        return list(grouper.group(sentences, encoder).groups)
    return [Group((s,), s) for s in {plain(s): s for s in reversed(sentences)}.values()][::-1]
