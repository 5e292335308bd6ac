"""Define what the author of a plugin must know: values, interfaces, errors, hooks and registries. The functions that
most programs call (`compose`, `load`, `save`, `train`, `evaluate`) are defined in the wings and are public here, too.
`import reportgen_core` does not import torch. The first use of `Encoder`, `compose` or `load` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

# Names side by side, because the root of the core has a limit of lines.
# isort: off
from .errors import (
    CheckpointError, CompositionError, DataError, ImageError, MetricError, OptionError, PluginError, ReportgenError,
    ShapeError, UnknownName,
)  # fmt: skip
from .hookspecs import hookimpl
from .lazy import WINGS as _WINGS
from .lazy import at_first_call as _at_first_call
from .lazy import lazy_names
from .registries import (
    datasets, decoders, encoders, metrics, presets, protocols, reporters, retrievers, sentence_classifiers,
    sentence_encoders, sentence_groupers,
)  # fmt: skip
from .registry import Entry, Registry
from .types import (
    Annotation, Attention, Audit, Batch, Box, Candidate, Collection, Decoded, Features, FeatureSpec, Generated,
    GenerationSettings, Hit, ImageSpec, Report, Score, Study, Targets, TargetSpec, View,
)  # fmt: skip
from .version import __version__
# isort: on

if TYPE_CHECKING:
    from .dataset import Dataset
    from .interfaces import Decoder, Encoder, Retriever
    from .metric import Metric
    from .models import Model, Reporter, Takes, compose, load, save
    from .protocol import TextProtocol
    from .scoring import evaluate
    from .training import TrainSettings, train

__all__ = [
    "Annotation", "Attention", "Audit", "Batch", "Box", "Candidate", "CheckpointError", "Collection",
    "CompositionError", "DataError", "Dataset", "Decoded", "Decoder", "Encoder", "Entry", "FeatureSpec", "Features",
    "Generated", "GenerationSettings", "Hit", "ImageError", "ImageSpec", "Metric", "MetricError", "Model",
    "OptionError", "PluginError", "Registry", "Report", "Reporter", "ReportgenError", "Retriever", "Score",
    "ShapeError", "Study", "Takes", "TargetSpec", "Targets", "TextProtocol", "TrainSettings", "UnknownName", "View",
    "__version__", "compose", "datasets", "decoders", "encoders", "evaluate", "hookimpl", "load", "metrics", "presets",
    "protocols", "reporters", "retrievers", "save", "sentence_classifiers", "sentence_encoders", "sentence_groupers",
    "train",
]  # fmt: skip

__getattr__, __dir__ = lazy_names(__name__, {
    "dataset": ["Dataset"], "interfaces": ["Decoder", "Encoder", "Retriever"], "metric": ["Metric"],
    "models": ["Model", "Reporter", "Takes", "compose", "load", "save"], "protocol": ["TextProtocol"],
    "scoring": ["evaluate"], "training": ["TrainSettings", "train"],
})  # fmt: skip
_WINGS.update({name: _at_first_call(__name__, "models.drawing", name) for name in ("html", "show", "line", "heatmap")})
_WINGS.update({name: _at_first_call(__name__, "text.guesses", name) for name in ("unknown", "no_part", "elsewhere")})
