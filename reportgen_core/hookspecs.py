"""The hooks a plugin may implement. Each returns entries; none is given anything to change."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pluggy

from .registry import Entry

API_VERSION = 1  # a plugin may state `reportgen_api = 1`; another number than ours leaves it out

hookspec = pluggy.HookspecMarker("reportgen")
hookimpl = pluggy.HookimplMarker("reportgen")


@hookspec
def register_encoders() -> Iterable[Entry]:
    """Subclasses of `reportgen_core.Encoder`."""
    raise NotImplementedError


@hookspec
def register_decoders() -> Iterable[Entry]:
    """Subclasses of `reportgen_core.Decoder`."""
    raise NotImplementedError


@hookspec
def register_retrievers() -> Iterable[Entry]:
    """Subclasses of `reportgen_core.Retriever`."""
    raise NotImplementedError


@hookspec
def register_metrics() -> Iterable[Entry]:
    """Subclasses of `reportgen_core.Metric`."""
    raise NotImplementedError


@hookspec
def register_protocols() -> Iterable[Entry]:
    """Subclasses of `reportgen_core.protocol.TextProtocol`: how reports and references are prepared for scoring."""
    raise NotImplementedError


@hookspec
def register_datasets() -> Iterable[Entry]:
    """Subclasses of `reportgen_core.Dataset`."""
    raise NotImplementedError


@hookspec
def register_sentence_encoders() -> Iterable[Entry]:
    """Subclasses of `reportgen_core.sentence_parts.SentenceEncoder`: sentences to vectors."""
    raise NotImplementedError


@hookspec
def register_sentence_classifiers() -> Iterable[Entry]:
    """Subclasses of `reportgen_core.sentence_parts.SentenceClassifier`: normal or abnormal."""
    raise NotImplementedError


@hookspec
def register_sentence_groupers() -> Iterable[Entry]:
    """Subclasses of `reportgen_core.sentence_parts.SentenceGrouper`: sentences that say the same."""
    raise NotImplementedError


@hookspec
def register_presets() -> Iterable[Entry]:
    """Published systems; `target` is "package:folder/file.json", a data file of an installed package."""
    raise NotImplementedError


@hookspec
def register_commands() -> Iterable[Entry]:
    """Commands of `rg`; `target` is a `click.Command`."""
    raise NotImplementedError


@hookspec(firstresult=True)
def find_model(name: str) -> Path | None:
    """The local folder of the trained model `name`, fetched where need be; None where this plugin does not know it."""
    raise NotImplementedError


@hookspec
def known_models() -> Iterable[str]:
    """The names that `find_model` answers."""
    raise NotImplementedError


@hookspec
def register_manifests() -> Iterable[str]:
    """Manifests of trained models: URLs, paths, or "package:NAME/FILE", a data file of a package."""
    raise NotImplementedError
