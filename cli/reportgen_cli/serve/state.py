"""Hold what all requests share: settings, models, the worker, measurements; and answer in JSON."""

from __future__ import annotations

import json
import math
import time
from collections import Counter as Counts
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from reportgen_core import Report, Study
from reportgen_core.errors import quoted
from reportgen_core.registry import did_you_mean
from reportgen_core.text.printable import escape_json

from ..dicomweb.archive import Archive
from ..dicomweb.listing import Listing
from ..dicomweb.stored import StoredReports
from ..dicomweb.watch import Watch
from ..pages.shared.origin import PURPOSE
from ..terminal.echo import say
from ..web.bodies import Refused
from .settings import ServedModel, ServeSettings, by_name
from .uploads import BAD
from .worker import How, Worker


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
    listing: Listing | None = field(init=False, default=None)  # of the archive
    watch: Watch | None = field(init=False, default=None)  # that stores as studies arrive

    def __post_init__(self) -> None:
        self.models = by_name(self.given)
        for model in self.models.values():
            model.prepare()
        self.worker = Worker(self.settings.batch, lambda name, n: self.measured.batches.labels(name).observe(n))
        if self.settings.archive:
            patience = max(1.0, self.settings.seconds / 2)  # so that a request can still say that it is over
            self.listing = Listing(Archive(self.settings.archive, "the archive", 1, patience))
        if self.settings.store:
            model = self.model("")
            told = (self._log_round, self._log_trouble)
            self.watch = Watch(self.stored_reports(model), self._write_for_archive, self.settings.look, *told)

    def close(self) -> None:
        """Finish what waits, and end the threads."""
        if self.watch is not None:
            self.watch.close()
        self.worker.close()

    @property
    def archive(self) -> Archive:
        """Return the archive. Raises Refused if the server has none."""
        if self.listing is None:
            raise Refused(HTTPStatus.NOT_FOUND, "this server reads no archive; rg serve --dicomweb URL lets it")
        return self.listing.archive

    def stored_reports(self, model: ServedModel) -> StoredReports:
        """Return the reports of a model in the archive. Raises Refused if the server has none."""
        return StoredReports(self.archive, model.origin, model.thresholds)

    def model(self, name: Any) -> ServedModel:
        """Return a model by its name, "" for the default. Raises Refused with the names."""
        if not name:
            return next(iter(self.models.values()))
        if name not in self.models:
            raise Refused(BAD, f"no model {quoted(str(name))}; {did_you_mean(str(name)[:100], self.models)}")
        return self.models[name]

    def log(self, **facts: Any) -> None:
        """Print facts of a request as one line of JSON on stderr. They name no file, no study and no text."""
        if self.settings.log:
            say(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **facts}), err=True)

    def _write_for_archive(self, studies: Sequence[Study]) -> Iterator[Report]:
        """Yield the reports of studies that arrived in the archive; those that are not begun are left when it ends."""
        assert self.watch is not None
        model, how = self.model(""), How(strict=self.settings.strict)
        waiting = [self.worker.report(model, study, how) for study in studies]
        for study, future in zip(studies, waiting, strict=True):
            if self.watch.closing.is_set():
                future.cancel()
            try:
                report = future.result()
            except CancelledError:
                continue
            except Exception as e:  # of a reporter of a plugin: the other studies go on
                report = Report(study.id, "", problem=f"the model failed: {type(e).__name__}")
            self.measured.studies.labels(model.name, "report" if report.text else "problem").inc()
            yield report

    def _log_round(self, counts: Counts[str]) -> None:
        self.log(route="archive", **counts)

    def _log_trouble(self, trouble: str) -> None:
        say(f"note: {trouble or 'the archive answers again'}", err=True)


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
