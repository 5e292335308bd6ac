"""What a retriever can do beyond `search`: small protocols that are asked for when they are needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor

from ..types import Features

if TYPE_CHECKING:
    from ..types import TextRow
    from .index import TextIndex


@runtime_checkable
class KeepsTexts(Protocol):
    """A retriever whose texts stand as vectors in a folder beside its weights (`reportgen_core.retrieval.index`)."""

    def texts_to_save(self) -> TextIndex | tuple[Sequence[TextRow], Tensor] | None:
        """What it holds: an open index, or texts with their vectors (n, d) by the weights it has now."""

    def use_index(self, index: TextIndex) -> None:
        """Search this index from now on."""

    def embed(self, texts: Sequence[str]) -> Tensor:
        """(n, d): texts as they are searched. Raises CompositionError where it holds reports by their images."""

    def text_encoder(self) -> Mapping[str, Any]:
        """What an index must have been made with: name, options and fingerprint of the sentence encoder."""


@runtime_checkable
class ScoresPairs(Protocol):
    """A retriever that scores any image with any text, so that images are found for texts, too."""

    def rank(self, features: Features, texts: Sequence[str]) -> Tensor:
        """(B, A): how near each image is to each of these texts, higher is nearer."""

    def stored_texts(self) -> Sequence[TextRow]:
        """The n texts it finds, in order."""

    def score_held(self, features: Features) -> Tensor:
        """(B, n): how near each image is to each text it holds; exact, whatever the kind of its index."""

    def owners(self, texts: Sequence[str]) -> Sequence[int]:
        """Which of the held texts says what each of these says: its group, or the nearest one."""

    def stage_recall(self, features: Features, k: int) -> float | None:
        """Of the k texts that the exact search finds the share that two stages find; None where there is one stage."""
