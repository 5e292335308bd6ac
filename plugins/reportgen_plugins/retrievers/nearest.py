"""nearest: the report of the study with the nearest image, without training. Every system should be better than it.

Images are compared by the cosine of the encoder's pooled features, and the report is that of the nearest study. The
encoder is not trained, so the result depends on its pretrained weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from reportgen_core import CompositionError, Decoded, Features, FeatureSpec, Hit, Targets, TargetSpec
from reportgen_core.interfaces import Retriever
from reportgen_core.retrieval.index import TextIndex, TextRow
from reportgen_core.retrieval.kept_texts import read_texts, write_texts

from .exact_search import live_blocks, merge


class Nearest(Retriever):
    """Store reports with the pooled features of their images, and find the nearest."""

    needs = frozenset({"words"})

    def __init__(self, features: FeatureSpec, targets: TargetSpec) -> None:
        super().__init__(features, targets)
        self._reports: tuple[tuple[TextRow, ...], Tensor] | None = None
        self._index: TextIndex | None = None

    def loss(self, features: Features, targets: Targets) -> Decoded:
        """Return no losses: nothing is trained."""
        return Decoded({}, features.pooled.new_empty(0, 1))

    def index(self, ids: Sequence[str], texts: Sequence[str], features: Features | None = None) -> None:
        """Store these reports in place of the present ones. Raises CompositionError without their images' features."""
        if features is None:
            raise CompositionError("nearest finds reports by their images; rg train gives it both")
        rows = tuple(TextRow(id, text) for id, text in zip(ids, texts, strict=True))
        self._reports, self._index = (rows, F.normalize(features.pooled.float(), dim=-1)), None

    def texts_to_save(self) -> TextIndex | tuple[Sequence[TextRow], Tensor] | None:
        """Return the open index, or the reports with the pooled features of their images; None without reports."""
        return self._reports if self._reports is not None else self._index

    def use_index(self, index: TextIndex) -> None:
        """Search this index from now on."""
        self._reports, self._index = None, index

    def write_files(self, folder: Path, model_digest: str) -> None:
        """Write the texts as an index in the model's folder."""
        write_texts(self, folder, model_digest)

    def read_files(self, folder: Path, model_digest: str) -> None:
        """Search the index in the model's folder from now on, if there is one."""
        read_texts(self, folder, model_digest)

    def drop_files(self) -> None:
        """Keep the texts: training replaces them at its end."""

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Raise CompositionError: reports are found by their images."""
        raise CompositionError("nearest finds reports by their images and embeds no texts; rg train fills it")

    def text_encoder(self) -> Mapping[str, Any]:
        """Return {}: there is no text encoder."""
        return {}

    def search(self, features: Features, k: int = 1) -> list[list[Hit]]:
        """Return the reports of the k nearest images, by cosine, with the cosine as score.

        Raises CompositionError if no reports are stored.
        """
        queries = F.normalize(features.pooled.float(), dim=-1)  # (B, P)
        B, device = len(queries), queries.device
        best = (queries.new_empty(B, 0), torch.empty(B, 0, dtype=torch.long, device=device))
        for numbers, block in self._blocks(device):
            best = merge(best, queries @ block.T, numbers.expand(B, -1), k)
        rows = zip(best[0].tolist(), best[1].tolist(), strict=True)
        return [[self._hit(n, s) for s, n in zip(scores, numbers, strict=True)] for scores, numbers in rows]

    def _blocks(self, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the numbers (n,) and features (n, P) of the stored reports, block by block."""
        if self._reports is not None:
            yield torch.arange(len(self._reports[0]), device=device), self._reports[1].to(device)
        elif self._index is not None:
            yield from live_blocks(self._index, device)
        else:
            raise CompositionError("nearest holds no reports yet: rg train MODEL --data D --data-root DIR fills it")

    def _hit(self, number: int, score: float) -> Hit:
        """Return the stored report of that number as a hit."""
        if self._reports is not None:
            row = self._reports[0][number]
        else:
            assert self._index is not None
            row = self._index.row(number)
        return Hit(row.id, row.text, score)
