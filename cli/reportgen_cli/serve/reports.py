"""Answer with reports, findings, explanations and stored texts for the images of a request."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from reportgen_core import GenerationSettings, Model, Report, Study
from reportgen_core.errors import quoted

from ..formats.report import format_named
from ..formats.values import as_values, named_by_file
from ..formats.wanted import Wanted
from ..pages.attention import region_times
from ..pages.explain_page import page_values
from ..pages.pictures import explain, radiographs
from ..pages.shared.origin import PURPOSE
from ..web.bodies import Refused, json_object
from .settings import ServedModel
from .state import State, answer, failure
from .uploads import BAD, TEXTS, Sent, received, rooted, typed
from .worker import How

SIDE = 1024  # pixels of the longer side of a radiograph on the page
FIELDS: dict[str, Any] = {
    "model": "", "study": False, "strict": False, "beams": 1, "n_best": 1, "max_sentences": 0, "distinct": False,
    "attention": False, "format": "", "archive": "", **dict.fromkeys((*TEXTS, "age", "sex", "prior_report"), ""),
}  # fmt: skip
OF_PATHS = ("model", "strict", "beams", "n_best", "max_sentences", "distinct", "attention")
RETRIEVE: dict[str, Any] = {"model": "", "study": False, "k": 5, "archive": ""}


@dataclass(frozen=True, slots=True)
class Written:
    """The reports of one request, each with its study."""

    model: ServedModel
    sent: Sent
    reports: tuple[Report, ...]
    attention: bool

    @property
    def pairs(self) -> list[tuple[Report, Study]]:
        return list(zip(self.reports, self.sent.studies, strict=True))

    def envelope(self, name: str, rows: Sequence[Any]) -> Response:
        """Return rows under a name, with the model, the purpose, and the inputs that the model does not take.

        If no study could be read, the status is 422 and the error says why.
        """
        takes = self.model.reporter.takes
        unused = [given for given in self.sent.context if getattr(takes, given) == "no"]
        facts = {"model": self.model.name, "not_used": unused, "purpose": PURPOSE}
        if not any(report.text or report.views for report in self.reports) or all(
            r.problem and not r.text for r in self.reports
        ):
            problem = self.sent.cleaned(self.reports[0], self.sent.studies[0]).problem
            return failure(BAD, problem or "no report", **{name: list(rows)}, model=self.model.name, not_used=unused)
        return answer({name: list(rows), **facts})


class ReportEndpoints:
    """The endpoints that take images."""

    def __init__(self, state: State) -> None:
        self.state = state

    async def reports(self, request: Request) -> Response:
        """Write a report for each study of the images; DICOM files of one examination are one study."""
        async with self._received(request) as sent:
            wanted = sent.fields["format"] or "json"
            format_named(wanted)
            if wanted == "json":
                return (written := await self._write(request, sent, 0)).envelope("reports", _values(written))
            await run_in_threadpool(_check_format, sent, wanted)
            return await run_in_threadpool(_formatted, await self._write(request, sent, 0), wanted)

    async def store(self, request: Request) -> Response:
        """Write the report of a study of the archive, and store it there as DICOM SR unless it has one."""
        async with self._received(request) as sent:
            if not sent.fields["archive"]:
                raise Refused(BAD, "wants the field archive: the UID of a study of the archive")
            format_named("sr").check("sr")
            reports, study = self.state.stored_reports(self.state.model(sent.fields["model"])), sent.studies[0]
            stored = False
            if not await run_in_threadpool(reports.has, study.id):
                written = await self._write(request, sent, 0)
                report = sent.cleaned(_only(written, "sr")[0], study)
                stored = await run_in_threadpool(reports.store, report, study)
            assert self.state.listing is not None
            self.state.listing.forget()
            facts = {"study": study.id, "instance": reports.uid(study.id), "stored": stored, "purpose": PURPOSE}
            return answer(facts)

    async def paths(self, request: Request) -> Response:
        """Write a report for each study of files and folders below the root of the server."""
        row = json_object(await request.body())
        if unknown := set(row) - {"paths", *OF_PATHS}:
            raise Refused(BAD, f"no field {quoted(min(unknown))}; there are: paths, {', '.join(OF_PATHS)}")
        sent = await run_in_threadpool(rooted, self.state.settings.root, row.get("paths"))
        sent = replace(sent, fields={**FIELDS, **{k: typed(k, v, FIELDS[k]) for k, v in row.items() if k != "paths"}})
        written = await self._write(request, sent, 0)
        return written.envelope("reports", _values(written))

    async def findings(self, request: Request) -> Response:
        """Return for each study the findings with their probabilities and the thresholds of the model."""
        async with self._written(request) as written:
            if not written.model.thresholds:
                raise Refused(BAD, f"model {written.model.name} predicts no findings")
            return written.envelope("studies", [
                {"study": r.study, "findings": findings_of(written.model, r), "note": r.note, "problem": r.problem}
                for r in (written.sent.cleaned(r, s) for r, s in written.pairs)
            ])  # fmt: skip

    async def explain(self, request: Request) -> Response:
        """Return where the model looked: JSON with radiographs and weights for each study, or one study's PNG."""
        async with self._written(request, side=SIDE) as written:
            wanted = written.sent.fields["format"] or "json"
            if wanted not in ("json", "png"):
                raise Refused(BAD, f"no format {quoted(wanted)} of explanations; there are: json, png")
            if wanted == "png":
                return await run_in_threadpool(_picture, written)
            rows = await run_in_threadpool(lambda: [explained(written, r, s) for r, s in written.pairs])
            return written.envelope("studies", rows)

    async def retrieve(self, request: Request) -> Response:
        """Return for each study the stored texts that are nearest to its images; the model is a retriever."""
        from reportgen_core.retrieval.search import texts_for_images

        async with received(request, RETRIEVE, lambda: self.state.archive) as sent:
            model = self.state.model(sent.fields["model"])
            reporter = model.reporter
            if not model.retrieves or not isinstance(reporter, Model):
                raise Refused(BAD, f"model {model.name} stores no texts; a retriever such as cvse does")
            waiting = self.state.worker.call(
                model, lambda: list(texts_for_images(reporter, sent.studies, sent.fields["k"]))
            )
            results = await asyncio.wrap_future(waiting)
            rows = []
            for result, study in zip(results, sent.studies, strict=True):
                problem = sent.cleaned(Report(study.id, "", problem=result.problem), study).problem
                hits = [{"id": h.id, "text": h.text, "score": h.score} for h in result.hits]
                rows.append({"study": study.id, "hits": hits, "problem": problem})
            return answer({"studies": rows, "model": model.name, "purpose": PURPOSE})

    def _received(self, request: Request) -> AbstractAsyncContextManager[Sent]:
        return received(request, FIELDS, lambda: self.state.archive)

    @asynccontextmanager
    async def _written(self, request: Request, side: int = 0) -> AsyncIterator[Written]:
        async with self._received(request) as sent:
            yield await self._write(request, sent, side)

    async def _write(self, request: Request, sent: Sent, side: int) -> Written:
        """Return the reports of the studies that a request sent."""
        fields, state = sent.fields, self.state
        model = state.model(fields["model"])
        settings = GenerationSettings(
            fields["beams"], fields["n_best"], fields["max_sentences"] or None,
            attention=fields["attention"] or bool(side), distinct=fields["distinct"],
        )  # fmt: skip
        how = How(settings, side, fields["strict"] or state.settings.strict)
        waiting = [asyncio.wrap_future(state.worker.report(model, study, how)) for study in sent.studies]
        reports = tuple(await asyncio.gather(*waiting))
        for report in reports:
            outcome = "report" if report.text else "problem"
            state.measured.studies.labels(model.name, outcome).inc()
        request.scope["facts"] = {"model": model.name, "studies": len(reports)}
        return Written(model, sent, reports, fields["attention"])


def _values(written: Written) -> list[dict[str, Any]]:
    """Return the reports with the fields of `rg report --json`."""
    return [
        named_by_file(as_values(written.sent.cleaned(r, s), written.attention), [str(v.path) for v in s.views])
        for r, s in written.pairs
    ]


def _check_format(sent: Sent, wanted: str) -> None:
    """Raise an error, before a model is asked, for studies that cannot have this format."""
    chosen = format_named(wanted)
    chosen.check(wanted)
    _check_one(len(sent.studies), wanted)
    if chosen.check_study is not None:
        chosen.check_study(sent.studies[0], False)


def _formatted(written: Written, wanted: str) -> Response:
    """Return the report of one study in a format. Raises Refused for an unreadable one."""
    report, study = _only(written, wanted)
    chosen = format_named(wanted)
    details = Wanted(thresholds=written.model.thresholds)
    body = chosen.write(written.sent.cleaned(report, study), study, written.model.origin, details)
    return Response(
        body, media_type=chosen.media, headers={"Content-Disposition": f'attachment; filename="report{chosen.suffix}"'}
    )


def _check_one(number: int, wanted: str) -> None:
    if number != 1:
        raise Refused(BAD, f"format {wanted} is for one study, and these are {number}; study=true joins images")


def _only(written: Written, wanted: str) -> tuple[Report, Study]:
    _check_one(len(written.reports), wanted)
    report, study = written.pairs[0]
    if report.problem and not report.text:
        raise Refused(BAD, written.sent.cleaned(report, study).problem)
    return report, study


def _picture(written: Written) -> Response:
    report, study = _only(written, "png")
    file = io.BytesIO()
    shown = written.sent.cleaned(report, study)
    explain(shown, written.model.reporter.grid, written.model.origin).image().save(file, "PNG")
    return Response(file.getvalue(), media_type="image/png")


def findings_of(model: ServedModel, report: Report) -> list[dict[str, Any]]:
    """Return the findings of a report, the likeliest first, with thresholds and whether they are reached."""
    thresholds, stated = model.thresholds, model.stated
    rows = []
    for name, probability in report.findings.items():
        threshold = thresholds.get(name, 0.5)
        row = {"name": name, "probability": probability, "threshold": threshold, "present": probability >= threshold}
        rows.append({**row, "stated": stated[name]} if name in stated else row)
    return rows


def explained(written: Written, report: Report, study: Study) -> dict[str, Any]:
    """Return a report with its radiographs and its weights, as the page draws them."""
    grid, shown = written.model.reporter.grid, written.sent.cleaned(report, study)
    values = named_by_file(as_values(shown, attention=False), [str(v.path) for v in study.views])
    digest = hashlib.sha256()
    for view in study.views:
        digest.update(Path(view.path).read_bytes() if Path(view.path).is_file() else b"")
    return {
        "id": f"{study.id}~{digest.hexdigest()[:12]}",
        "report": values,
        "findings": findings_of(written.model, shown),
        "page": page_values(shown, grid, radiographs(shown, SIDE), region_times(shown, grid)) if shown.images else None,
    }
