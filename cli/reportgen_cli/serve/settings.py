"""The settings of `rg serve`, and the models that it serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from reportgen_core import Model, Reporter
from reportgen_core.annotation.thresholds import load_thresholds
from reportgen_core.models.abilities import SpeaksByThresholds
from reportgen_core.models.precision import to_channels_last
from reportgen_core.retrieval.abilities import KeepsTexts

from ..pages.shared.origin import Origin

MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """How the server listens, whom it answers, and how much it takes."""

    host: str = "127.0.0.1"
    port: int = 0
    token: str = ""  # "": no request needs one
    allowed_hosts: frozenset[str] = frozenset()  # further names by which other machines reach it
    root: Path | None = None  # the folder whose files a request may name; None: files are sent only
    edits: Path | None = None  # the folder of corrected reports; None: the page downloads them only
    queue: int = 64  # requests in hand at most: being read, waiting or running
    max_bytes: int = 50 * MEGABYTE  # of the body of a request
    seconds: float = 30.0  # of a request, from its first byte to its answer
    batch: int = 16  # studies that a model reads together at most
    strict: bool = False  # refuse what is no chest radiograph in every request
    log: bool = True  # a JSON line on stderr for each request
    archive: str = ""  # the address of DICOMweb services; "": none
    store: bool = False  # the reports of the archive's studies as they arrive, by the first model
    look: float = 10.0  # seconds between two looks at what the archive has


@dataclass(frozen=True)
class ServedModel:
    """A model that is loaded, under the name that requests use."""

    name: str
    reporter: Reporter
    origin: Origin
    folder: Path
    trust: tuple[str, ...] = ()  # sentences on how far to trust it

    @cached_property
    def thresholds(self) -> dict[str, float]:
        """Return for each finding the probability, 0..1, from which the model calls it present; above 1: never.

        Those of a decoder that words findings are the ones from which it names them. For the others they are those of
        `rg annotate --tune`, else one half.
        """
        model = self.reporter
        if not isinstance(model, Model):
            return {}
        if isinstance(model.head, SpeaksByThresholds):
            return {name: min(pair) for name, pair in model.head.speaking_thresholds().items()}
        chosen = load_thresholds(self.folder, model.findings)
        return {name: chosen.of(name) if chosen else 0.5 for name in model.findings}

    @cached_property
    def stated(self) -> dict[str, float]:
        """Return for each finding the probability from which the model states it and does not call it possible."""
        head = self.reporter.head if isinstance(self.reporter, Model) else None
        return {k: v[1] for k, v in head.speaking_thresholds().items()} if isinstance(head, SpeaksByThresholds) else {}

    @property
    def retrieves(self) -> bool:
        """Return whether the model finds stored texts."""
        return isinstance(self.reporter, Model) and isinstance(self.reporter.head, KeepsTexts)

    def prepare(self) -> None:
        """Bring the weights into the order in which they are used, once and before several threads use them."""
        if isinstance(self.reporter, Model):
            self.reporter.eval()
            to_channels_last(self.reporter.encoder)

    def facts(self) -> dict[str, Any]:
        """Return as JSON values what a caller must know of the model."""
        model = self.reporter
        domain = model.domain if isinstance(model.domain, str) else getattr(model.domain, "name", "")
        return {
            "name": self.name,
            "sha256": self.origin.digest,
            "demonstration": self.origin.demonstration,
            "sections": list(model.sections),
            "domain": domain or "",
            "takes": asdict(model.takes),
            "explains": model.grid is not None,
            "retrieves": self.retrieves,
            "findings": {
                k: {"threshold": t, **({"stated": self.stated[k]} if k in self.stated else {})}
                for k, t in self.thresholds.items()
            },
            "limits": [*model.limits, *self.trust],
        }


def by_name(models: Sequence[ServedModel]) -> dict[str, ServedModel]:
    """Return the models by the names of requests; a name that is there already gets a number."""
    named: dict[str, ServedModel] = {}
    for model in models:
        name, number = model.name, 1
        while name in named:
            number += 1
            name = f"{model.name}-{number}"
        named[name] = ServedModel(name, model.reporter, model.origin, model.folder, model.trust)
    return named
