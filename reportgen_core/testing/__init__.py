"""Check that a part keeps the promises of its interface: shapes, gradients, masks, repeatable output, saving and
loading. The tests of a third-party package call these functions on its own parts; the built-in parts are tested by the
same functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .parts import (
        check_decoder,
        check_disk,
        check_encoder,
        check_generation,
        check_retriever,
        sample_batch,
        tiny,
        tiny_model,
    )
    from .sentences import check_sentence_classifier, check_sentence_encoder

__all__ = [
    "check_decoder",
    "check_disk",
    "check_encoder",
    "check_generation",
    "check_retriever",
    "check_sentence_classifier",
    "check_sentence_encoder",
    "sample_batch",
    "tiny",
    "tiny_model",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "parts": [
            "check_decoder",
            "check_disk",
            "check_encoder",
            "check_generation",
            "check_retriever",
            "sample_batch",
            "tiny",
            "tiny_model",
        ],
        "sentences": ["check_sentence_classifier", "check_sentence_encoder"],
    },
)
