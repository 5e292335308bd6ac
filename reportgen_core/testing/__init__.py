"""Check that a part keeps the promises of its interface. A part of a model promises shapes, gradients, masks,
repeatable output, saving and loading; a metric, dataset, reporter, protocol, preset, manifest or command has
promises of its own. The tests of a third-party package call these functions on its own parts; the built-in parts are
tested by the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .context import check_context
    from .packages import check_command, check_manifest, check_preset, check_reporter
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
    from .scoring import check_dataset, check_metric, check_protocol
    from .sentences import check_sentence_classifier, check_sentence_encoder

__all__ = [
    "check_command",
    "check_context",
    "check_dataset",
    "check_decoder",
    "check_disk",
    "check_encoder",
    "check_generation",
    "check_manifest",
    "check_metric",
    "check_preset",
    "check_protocol",
    "check_reporter",
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
        "context": ["check_context"],
        "packages": ["check_command", "check_manifest", "check_preset", "check_reporter"],
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
        "scoring": ["check_dataset", "check_metric", "check_protocol"],
        "sentences": ["check_sentence_classifier", "check_sentence_encoder"],
    },
)
