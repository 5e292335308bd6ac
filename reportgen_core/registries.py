"""The registries of all kinds of parts, filled by the plugins at the first use. Nothing here imports torch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .discovery import entries as _entries
from .registry import Registry

if TYPE_CHECKING:
    from .dataset import Dataset
    from .interfaces import Decoder, Encoder, Retriever
    from .metric import Metric
    from .protocol import TextProtocol


def _registry(kind: str, base: str, hook: str) -> Registry[Any]:
    return Registry(kind, f"reportgen_core.{base}", partial(_entries, hook))


encoders: Registry[Encoder] = _registry("encoder", "interfaces:Encoder", "register_encoders")
decoders: Registry[Decoder] = _registry("decoder", "interfaces:Decoder", "register_decoders")
retrievers: Registry[Retriever] = _registry("retriever", "interfaces:Retriever", "register_retrievers")
reporters: Registry[Any] = _registry("reporter", "models.reporters.reporter:Reporter", "register_reporters")
metrics: Registry[Metric] = _registry("metric", "metric:Metric", "register_metrics")
protocols: Registry[TextProtocol] = _registry("protocol", "protocol:TextProtocol", "register_protocols")
datasets: Registry[Dataset] = _registry("dataset", "dataset:Dataset", "register_datasets")
sentence_encoders: Registry[Any] = _registry(
    "sentence encoder", "sentences.parts:SentenceEncoder", "register_sentence_encoders"
)
sentence_classifiers: Registry[Any] = _registry(
    "sentence classifier", "sentences.parts:SentenceClassifier", "register_sentence_classifiers"
)
sentence_groupers: Registry[Any] = _registry(
    "sentence grouper", "sentences.parts:SentenceGrouper", "register_sentence_groupers"
)
text_recipes: Registry[object] = Registry("text recipe", "builtins:object", partial(_entries, "register_text_recipes"))
presets: Registry[object] = Registry("preset", "builtins:object", partial(_entries, "register_presets"))
