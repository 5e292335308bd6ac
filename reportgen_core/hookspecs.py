"""The hooks that a plugin may implement. Each returns entries, names or a path, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pluggy

from .registry import Entry

API_VERSION = 1  # a plugin may set `reportgen_api = 1`; a plugin with another number is left out

hookspec = pluggy.HookspecMarker("reportgen")
hookimpl = pluggy.HookimplMarker("reportgen")


@hookspec
def register_encoders() -> Iterable[Entry]:
    """Return subclasses of `reportgen_core.Encoder`."""


@hookspec
def register_decoders() -> Iterable[Entry]:
    """Return subclasses of `reportgen_core.Decoder`."""


@hookspec
def register_retrievers() -> Iterable[Entry]:
    """Return subclasses of `reportgen_core.Retriever`."""


@hookspec
def register_reporters() -> Iterable[Entry]:
    """Return subclasses of `reportgen_core.Reporter`: whatever writes reports and is no model of parts."""


@hookspec
def register_metrics() -> Iterable[Entry]:
    """Return subclasses of `reportgen_core.Metric`."""


@hookspec
def register_phrases() -> Iterable[str]:
    """Return tables of phrases for the rule labeler: paths, or "package:NAME/FILE", a data file of a package."""


@hookspec
def register_protocols() -> Iterable[Entry]:
    """Return subclasses of `reportgen_core.protocol.TextProtocol`, which prepare texts for scoring."""


@hookspec
def register_text_recipes() -> Iterable[Entry]:
    """Return how reports become words, and words reports: a `reportgen_core.text.Recipe` or `LearnedRecipe`."""


@hookspec
def register_datasets() -> Iterable[Entry]:
    """Return subclasses of `reportgen_core.Dataset`."""


@hookspec
def register_sentence_encoders() -> Iterable[Entry]:
    """Return subclasses of `reportgen_core.sentences.parts.SentenceEncoder`: sentences to vectors."""


@hookspec
def register_sentence_classifiers() -> Iterable[Entry]:
    """Return subclasses of `reportgen_core.sentences.parts.SentenceClassifier`: normal or abnormal."""


@hookspec
def register_sentence_groupers() -> Iterable[Entry]:
    """Return subclasses of `reportgen_core.sentences.parts.SentenceGrouper`: sentences with the same meaning."""


@hookspec
def register_text_stores() -> Iterable[Entry]:
    """Return subclasses of `reportgen_core.retrieval.stores.TextStore`: where vectors of texts are searched."""


@hookspec
def register_presets() -> Iterable[Entry]:
    """Return published systems; `target` is "package:folder/file.json", a data file of an installed package."""


@hookspec
def register_commands() -> Iterable[Entry]:
    """Return commands of `rg`; `target` is a `click.Command`."""


@hookspec(firstresult=True)
def find_model(name: str) -> Path | None:
    """Return the local folder of the trained model `name`, downloaded if need be; None if it is not the plugin's."""


@hookspec
def known_models() -> Iterable[str]:
    """Return the names of the models that `find_model` finds."""


@hookspec
def register_manifests() -> Iterable[str]:
    """Return manifests of trained models: URLs, paths, or "package:NAME/FILE", a data file of a package."""
