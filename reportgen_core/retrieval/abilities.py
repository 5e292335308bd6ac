"""Abilities that a retriever may have besides `search`, each a small protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor

from ..types import Features

if TYPE_CHECKING:
    from .index import TextIndex, TextRow


@runtime_checkable
class KeepsTexts(Protocol):
    """A retriever that stores its texts with their vectors in the model's folder (`reportgen_core.retrieval.index`)."""

    def texts_to_save(self) -> TextIndex | tuple[Sequence[TextRow], Tensor] | None:
        """Return its texts: an open index, or texts with their vectors (n, d) by its present weights. None: no text."""

    def use_index(self, index: TextIndex) -> None:
        """Search this index from now on."""

    def embed(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors (n, d) of texts. Raises CompositionError if it finds reports by their images."""

    def text_encoder(self) -> Mapping[str, Any]:
        """Return name, options and fingerprint of the sentence encoder that an index must be built with."""


@runtime_checkable
class ScoresPairs(Protocol):
    """A retriever that scores any image with any text, so that it also finds images for texts."""

    def rank(self, features: Features, texts: Sequence[str]) -> Tensor:
        """Return the score (B, A) of each image with each of these texts, higher is nearer."""

    def stored_texts(self) -> Sequence[TextRow]:
        """Return its n texts, in order."""

    def score_held(self, features: Features) -> Tensor:
        """Return the score (B, n) of each image with each stored text; exact for every kind of index."""

    def owners(self, texts: Sequence[str]) -> Sequence[int]:
        """Return for each of `texts` the index, 0..n-1, of the stored text with the same meaning.

        It is the stored text whose group contains the text, else the one with the nearest vector.
        """

    def stage_recall(self, features: Features, k: int) -> float | None:
        """Return the recall@k, 0..1, of the two-stage search, the mean over all B studies.

        It is the share of the k best texts by exact search that the two stages find, too. Return None if the index is
        searched in one stage.
        """
