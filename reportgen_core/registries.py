"""The registries of all kinds of parts, filled by the plugins at the first use. Nothing here imports torch."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .discovery import entries as _entries
from .registry import Registry

if TYPE_CHECKING:
    from .dataset import Dataset
    from .interfaces import Decoder, Encoder, Retriever
    from .metric import Metric
    from .protocol import TextProtocol
    from .sentence_parts import SentenceClassifier, SentenceEncoder, SentenceGrouper

_HERE = "reportgen_core.interfaces:"
_SENTENCES = "reportgen_core.sentence_parts:"
encoders: Registry[Encoder] = Registry("encoder", _HERE + "Encoder", partial(_entries, "register_encoders"))
decoders: Registry[Decoder] = Registry("decoder", _HERE + "Decoder", partial(_entries, "register_decoders"))
retrievers: Registry[Retriever] = Registry("retriever", _HERE + "Retriever", partial(_entries, "register_retrievers"))
metrics: Registry[Metric] = Registry("metric", "reportgen_core.metric:Metric", partial(_entries, "register_metrics"))
protocols: Registry[TextProtocol] = Registry(
    "protocol", "reportgen_core.protocol:TextProtocol", partial(_entries, "register_protocols")
)
datasets: Registry[Dataset] = Registry(
    "dataset", "reportgen_core.dataset:Dataset", partial(_entries, "register_datasets")
)
sentence_encoders: Registry[SentenceEncoder] = Registry(
    "sentence encoder", _SENTENCES + "SentenceEncoder", partial(_entries, "register_sentence_encoders")
)
sentence_classifiers: Registry[SentenceClassifier] = Registry(
    "sentence classifier", _SENTENCES + "SentenceClassifier", partial(_entries, "register_sentence_classifiers")
)
sentence_groupers: Registry[SentenceGrouper] = Registry(
    "sentence grouper", _SENTENCES + "SentenceGrouper", partial(_entries, "register_sentence_groupers")
)
presets: Registry[object] = Registry("preset", "builtins:object", partial(_entries, "register_presets"))
