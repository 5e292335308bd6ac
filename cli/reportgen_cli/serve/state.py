"""Hold what all requests share: settings, models, the worker, measurements; and answer in JSON."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fastapi import Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from reportgen_core.registry import did_you_mean
from reportgen_core.text.printable import escape_json

from ..pages.shared.origin import PURPOSE
from ..terminal.echo import say
from ..web.bodies import Refused
from .settings import ServedModel, ServeSettings, by_name
from .uploads import BAD
from .worker import Worker


class Measurements:
    """The numbers of /metrics. They count requests and studies, and hold nothing of a study."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"registry": self.registry, "namespace": "reportgen"}
        self.requests = Counter("requests", "Requests by route and status.", ["route", "status"], **own)
        self.seconds = Histogram("request_seconds", "Seconds from request to answer.", ["route"], **own)
        self.studies = Counter("studies", "Studies by model and outcome.", ["model", "outcome"], **own)
        self.batches = Histogram(
            "batch_studies", "Studies that a model read together.", ["model"], buckets=(1, 2, 4, 8, 16, 32), **own
        )
        self.in_hand = Gauge("requests_in_hand", "Requests that are read, wait or run.", **own)
        self.waiting = Gauge("studies_waiting", "Studies that no model has taken yet.", **own)
        ProcessCollector(registry=self.registry)


@dataclass
class State:
    """What all requests share. `models` is not empty, and its first model is the default."""

    settings: ServeSettings
    given: Sequence[ServedModel]
    models: dict[str, ServedModel] = field(init=False)
    measured: Measurements = field(default_factory=Measurements)
    worker: Worker = field(init=False)
    in_hand: int = 0

    def __post_init__(self) -> None:
        self.models = by_name(self.given)
        for model in self.models.values():
            model.prepare()
        self.worker = Worker(self.settings.batch, lambda name, n: self.measured.batches.labels(name).observe(n))

    def model(self, name: Any) -> ServedModel:
        """Return a model by its name, "" for the default. Raises Refused with the names."""
        if not name:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise Refused(BAD, f"no model {str(name)[:100]!r}; {did_you_mean(str(name)[:100], self.models)}")
        return self.models[name]

    def log(self, **facts: Any) -> None:
        """Print facts of a request as one line of JSON on stderr. They name no file, no study and no text."""
        if self.settings.log:
            say(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **facts}), err=True)


def answer(values: Any, status: int = 200) -> Response:
    """Return JSON values as an answer; a number that is not finite is null."""
    text = escape_json(json.dumps(_finite(values), ensure_ascii=False, allow_nan=False))
    return Response(text.encode(), status, media_type="application/json")


def failure(status: int, why: str, **more: Any) -> Response:
    """Return an error as an answer: one line in the field "error"."""
    return answer({"error": " ".join(why.split()), **more, "purpose": PURPOSE}, status)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list | tuple) else value
