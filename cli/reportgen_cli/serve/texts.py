"""Answer without images: labels and scores of texts, corrections of reports, models, the sample, the archive's list."""

from __future__ import annotations

import functools
import json
import threading
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from reportgen_zoo import demo

from reportgen_core import OptionError, evaluate
from reportgen_core.files.atomic import atomic_write
from reportgen_core.registries import metrics

from ..batch_files import output_name
from ..formats.report import FORMATS
from ..labelers import NotesTexts, TextLabeler, label_values, labeler_of
from ..pages.shared.origin import PURPOSE
from ..web.bodies import Refused, is_text, json_object, short
from .state import State, answer
from .uploads import BAD, typed

MAX_TEXT = 100_000  # characters of a text
MAX_METRICS = 8
METRICS = ("bleu", "rouge-l", "chexpert-rules")
MAX_WRONG = 1000  # sentences of a report
LIST: dict[str, Any] = {"model": "", "limit": 50, "waiting": False}


class TextEndpoints:
    """The endpoints that take texts, and those that take nothing."""

    def __init__(self, state: State) -> None:
        self.state, self.edits = state, EditFolder(state.settings.edits)

    async def models(self, request: Request) -> Response:
        """List the models with what they take, their findings and thresholds, and the formats of reports."""
        formats = {
            name: {"media": f.media, "suffix": f.suffix, "summary": f.summary}
            for name, f in FORMATS.items()
            if f.usable
        }
        rows = [model.facts() for model in self.state.models.values()]
        return answer({"models": rows, "formats": formats, "purpose": PURPOSE})

    async def archive(self, request: Request) -> Response:
        """List the studies of the archive, the newest first, and which of them have a report of the model."""
        given = dict(request.query_params)
        if unknown := set(given) - set(LIST):
            raise Refused(BAD, f"no field {short(min(unknown))}; there are: {', '.join(LIST)}")
        values = {**LIST, **{name: typed(name, value, LIST[name]) for name, value in given.items()}}
        model, state = self.state.model(values["model"]), self.state
        reports = state.stored_reports(model)
        problems = state.watch.problems if state.watch is not None and model is state.model("") else {}
        assert state.listing is not None
        rows, total = await run_in_threadpool(state.listing.rows, reports, values["limit"], values["waiting"], problems)
        facts = {"total": total, "model": model.name, "stores": state.settings.store, "purpose": PURPOSE}
        return answer({"studies": rows, **facts})

    async def sample(self, request: Request) -> Response:
        """Return the radiograph that ships with reportgen, a JPEG file."""
        content = await run_in_threadpool(demo.image().read_bytes)
        return Response(content, media_type="image/jpeg", headers={"X-Credit": demo.CREDIT})

    async def label(self, request: Request) -> Response:
        """Find the findings that a text states, by the rules of rg label."""
        row = fields(await request.body(), {"text": str, "scheme": str, "explain": bool}, ("text",))
        return answer(await run_in_threadpool(_labelled, row))

    async def score(self, request: Request) -> Response:
        """Score a report against its reference by metrics of rg eval."""
        row = fields(
            await request.body(), {"prediction": str, "reference": str, "metrics": list}, ("prediction", "reference")
        )
        return answer(await run_in_threadpool(_scored, row))

    async def edit(self, request: Request) -> Response:
        """Save a corrected report as a line of JSON that rg eval reads; a later correction of the study replaces it."""
        wanted = {"id": str, "study": str, "model": str, "prediction": str, "reference": str, "wrong": list}
        row = fields(await request.body(), wanted, tuple(wanted))
        model = self.state.model(row["model"])
        if len(row["wrong"]) > MAX_WRONG or not all(type(n) is int and n >= 1 for n in row["wrong"]):
            raise Refused(BAD, "wrong wants the numbers of sentences, 1 for the first")
        saved = {
            **row,
            "model": model.name,
            "sha256": model.origin.digest,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        count = await run_in_threadpool(self.edits.save, saved)
        return answer({"saved": row["id"], "corrections": count, "purpose": PURPOSE})


class EditFolder:
    """Corrected reports: a file of JSON lines for each model, a line for each study."""

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.lock = folder, threading.Lock()

    def save(self, row: dict[str, Any]) -> int:
        """Save a correction in place of an older one of the study, and return how many the model has."""
        if self.folder is None:
            raise Refused(HTTPStatus.NOT_FOUND, "this server keeps no corrections; rg serve --edits DIR lets it")
        with self.lock:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{output_name(row['model'])}.jsonl"
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            rows = {kept["id"]: line for line in lines if (kept := json.loads(line))}
            rows[row["id"]] = json.dumps(row, ensure_ascii=False)
            atomic_write(path, "".join(line + "\n" for line in rows.values()))
            return len(rows)


def fields(body: bytes, types: Mapping[str, type], needed: tuple[str, ...]) -> dict[str, Any]:
    """Return the fields of a JSON body, checked by name and type. Raises Refused."""
    row = json_object(body)
    for name, value in row.items():
        if name not in types:
            raise Refused(BAD, f"no field {short(name)}; there are: {', '.join(types)}")
        if type(value) is not types[name]:
            raise Refused(BAD, f"{name} is {short(value)}; wants {types[name].__name__}")
        if isinstance(value, str) and (len(value) > MAX_TEXT or not is_text(value)):
            raise Refused(BAD, f"{name} wants at most {MAX_TEXT:,} whole characters")
    if missing := [name for name in needed if name not in row]:
        raise Refused(BAD, f"wants the field {missing[0]}")
    return row


@functools.lru_cache(4)
def _labeler(scheme: str) -> TextLabeler:
    return labeler_of("chexpert-rules", scheme)


def _labelled(row: dict[str, Any]) -> dict[str, Any]:
    labeler = _labeler(row.get("scheme", "chexpert14"))
    mentions = labeler.explain(row["text"])
    values = label_values("text", mentions, row.get("explain", False))
    note = labeler.note(row["text"]) if not mentions and isinstance(labeler, NotesTexts) else ""
    return {**{k: v for k, v in values.items() if k != "id"}, "note": note, "purpose": PURPOSE}


def _scored(row: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of a pair of texts by name. A metric that needs a further package is refused."""
    names = row.get("metrics", list(METRICS))
    if not names or len(names) > MAX_METRICS or not all(isinstance(name, str) for name in names):
        raise Refused(BAD, f"metrics wants 1 to {MAX_METRICS} names; rg list metrics has them")
    if extra := [name for name in map(metrics.find, names) if metrics[name].extra]:
        raise OptionError(f"metric {extra[0]} loads a model of its own and is not served; rg eval has it")
    result = evaluate({"1": row["prediction"]}, {"1": row["reference"]}, metrics=names, resamples=0, baselines=False)
    scores = {str(name): float(value) for name, value in result.scores.items()}
    return {"scores": scores, "notes": list(result.notes), "purpose": PURPOSE}
