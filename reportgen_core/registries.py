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


def _registry(kind: str, base: str) -> Registry[Any]:
    return Registry(kind, f"reportgen_core.{base}", partial(_entries, f"register_{kind.replace(' ', '_')}s"))


encoders: Registry[Encoder] = _registry("encoder", "interfaces:Encoder")
decoders: Registry[Decoder] = _registry("decoder", "interfaces:Decoder")
retrievers: Registry[Retriever] = _registry("retriever", "interfaces:Retriever")
reporters: Registry[Any] = _registry("reporter", "models.reporters.reporter:Reporter")
metrics: Registry[Metric] = _registry("metric", "metric:Metric")
protocols: Registry[TextProtocol] = _registry("protocol", "protocol:TextProtocol")
datasets: Registry[Dataset] = _registry("dataset", "dataset:Dataset")
sentence_encoders: Registry[Any] = _registry("sentence encoder", "sentences.parts:SentenceEncoder")
sentence_classifiers: Registry[Any] = _registry("sentence classifier", "sentences.parts:SentenceClassifier")
sentence_groupers: Registry[Any] = _registry("sentence grouper", "sentences.parts:SentenceGrouper")
text_stores: Registry[Any] = _registry("text store", "retrieval.stores:TextStore")
text_recipes: Registry[object] = Registry("text recipe", "builtins:object", partial(_entries, "register_text_recipes"))
presets: Registry[object] = Registry("preset", "builtins:object", partial(_entries, "register_presets"))
