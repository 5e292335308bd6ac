"""Interfaces, registries and the five things one does with a model of chest X-ray report generation.

`import reportgen_core` does not import torch; naming `Encoder`, `compose`, `load` and the like does.
"""

from __future__ import annotations

import importlib
from functools import partial
from typing import TYPE_CHECKING

from .discovery import entries as _entries
from .errors import (
    CheckpointError,
    CompositionError,
    DataError,
    ImageError,
    MetricError,
    OptionError,
    PluginError,
    ReportgenError,
    ShapeError,
    UnknownName,
)
from .hookspecs import hookimpl
from .registry import Entry, Registry
from .types import (
    Annotation,
    Attention,
    Audit,
    Batch,
    Box,
    Candidate,
    Collection,
    Decoded,
    Features,
    FeatureSpec,
    Generated,
    GenerationSettings,
    Hit,
    ImageSpec,
    Report,
    Score,
    Study,
    Targets,
    TargetSpec,
    View,
)

if TYPE_CHECKING:
    from .checkpoint import load, save
    from .composition import compose
    from .dataset import Dataset
    from .evaluation import evaluate
    from .interfaces import Decoder, Encoder, Retriever
    from .metric import Metric
    from .model import Model
    from .protocol import TextProtocol
    from .sentences import SentenceClassifier, SentenceEncoder, SentenceGrouper
    from .training import TrainSettings, train

__version__ = "0.1.0"

_LAZY = {
    "Dataset": "dataset", "Decoder": "interfaces", "Encoder": "interfaces", "Metric": "metric",
    "Retriever": "interfaces", "Model": "model", "TrainSettings": "training", "compose": "composition",
    "TextProtocol": "protocol", "evaluate": "evaluation", "load": "checkpoint", "save": "checkpoint",
    "train": "training",
}  # fmt: skip

__all__ = [
    "Annotation", "Attention", "Audit", "Batch", "Box", "Candidate", "CheckpointError", "Collection",
    "CompositionError", "DataError",
    "Dataset", "Decoded", "Decoder", "Encoder", "Entry", "FeatureSpec", "Features", "Generated", "GenerationSettings",
    "Hit", "ImageError", "ImageSpec", "Metric", "MetricError", "Model", "OptionError", "PluginError", "Registry",
    "Report", "ReportgenError", "Retriever", "Score", "ShapeError", "Study", "TargetSpec", "Targets", "TextProtocol",
    "TrainSettings", "UnknownName", "View", "compose", "datasets", "decoders", "encoders", "evaluate", "hookimpl",
    "load", "metrics", "presets", "protocols", "retrievers", "save", "sentence_classifiers",
    "sentence_encoders", "sentence_groupers", "train",
]  # fmt: skip

_HERE = "reportgen_core.interfaces:"
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
_SENTENCES = "reportgen_core.sentences:"
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


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
