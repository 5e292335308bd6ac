"""The built-in plugins, registered the way a third party's are. This file is the table of contents and imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

from reportgen_core import Entry, hookimpl

_HERE = "reportgen_plugins."


@hookimpl
def register_encoders() -> Iterable[Entry]:
    return []


@hookimpl
def register_decoders() -> Iterable[Entry]:
    return []


@hookimpl
def register_retrievers() -> Iterable[Entry]:
    return []


@hookimpl
def register_metrics() -> Iterable[Entry]:
    return []


@hookimpl
def register_datasets() -> Iterable[Entry]:
    return []
