"""The sentences of the training reports, their vectors and their groups: what CVSE learns against and then finds."""

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
from reportgen_core.sentence_parts import Group, SentenceEncoder, SentenceGrouper
from reportgen_core.types import TextRow

_WORD = re.compile(r"[^\W_]+")


def plain(text: str) -> str:
    """Words in lower case, single spaces, no signs: two texts of one plain text are the same sentence."""
    return " ".join(_WORD.findall(text.lower()))


@lru_cache(2)
def _reader(name: str, options: str) -> SentenceEncoder:
    return sentence_encoders.create(name, **json.loads(options))


def reader(name: str, options: Mapping[str, Any]) -> SentenceEncoder:
    """A sentence encoder, read once a process: it is not trained, and composing builds a model several times."""
    with torch.device("cpu"):
        return _reader(name, json.dumps(dict(options), sort_keys=True))


@dataclass(frozen=True, slots=True)
class Bank:
    """Sentences by their plain text. Vectors are the sentence encoder's, before any learned projection."""

    rows: Mapping[str, int]  # plain text: row of `vectors`
    vectors: Tensor  # (S, T)
    groups: Tensor  # (S,) int64
    central: Tensor  # (G,) the row that stands for each group
    texts: tuple[TextRow, ...]  # G, as they are found

    def group_of(self, texts: Sequence[str], vectors: Tensor) -> Tensor:
        """The group of each text: its own, or for one that is new, the one whose central sentence is nearest."""
        rows = torch.tensor([self.rows.get(plain(t), -1) for t in texts], dtype=torch.long, device=vectors.device)
        near = (vectors @ self.vectors[self.central].to(vectors.device).T).argmax(1)
        return torch.where(rows >= 0, self.groups.to(vectors.device)[rows.clamp_min(0)], near)


def make_bank(groups: Sequence[Group], encoder: SentenceEncoder) -> Bank:
    """The bank of these groups. A sentence that two groups have after all is the first's."""
    rows: dict[str, int] = {}
    owners: list[int] = []
    said: list[str] = []
    for number, group in enumerate(groups):
        for text in (group.central, *group.sentences):
            if plain(text) and plain(text) not in rows:
                rows[plain(text)] = len(rows)
                owners.append(number)
                said.append(text)
    vectors = torch.from_numpy(encoder.encode(said)).float()
    central = torch.tensor([rows[plain(g.central)] for g in groups])
    texts = tuple(TextRow(f"g{n}", g.central, g.sentences) for n, g in enumerate(groups))
    return Bank(rows, vectors, torch.tensor(owners), central, texts)


def group_sentences(sentences: Sequence[str], encoder: SentenceEncoder, grouper: SentenceGrouper | None) -> list[Group]:
    """Groups of all sentences of the training reports; without a grouper each sentence is one of its own."""
    said = [s for s in sentences if plain(s)]
    if not said:
        raise DataError(
            "cvse learns from the abnormal sentences of reports, and no training report has one in the sections that "
            "are read (--text sections; rg data abnormal makes a table with the section abnormal)"
        )
    if grouper is not None:
        return list(grouper.group(said, encoder).groups)
    return [Group((s,), s) for s in {plain(s): s for s in reversed(said)}.values()][::-1]
