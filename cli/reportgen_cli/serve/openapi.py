"""Describe the endpoints for the OpenAPI page: what each takes, by the tables that the endpoints themselves read."""

from __future__ import annotations

from typing import Any

from .reports import FIELDS, OF_PATHS, RETRIEVE
from .texts import LIST

TEXTS = {
    "model": "the name of a model; without it, the first",
    "study": "true: all images are views of one study",
    "strict": "true: refuse what is no chest radiograph",
    "beams": "of the search; 1 is greedy",
    "n_best": "so many reports for each study",
    "max_sentences": "without it, as the model was trained",
    "distinct": "true: leave out a sentence that the report has already",
    "attention": "true: also where the model looked, as numbers",
    "format": "json, or the name of another format for one study; /v1/models lists them, and /v1/explain has png",
    "indication": "why the study was made; for models that take it",
    "technique": "how the images were taken; for models that take it",
    "comparison": "the studies it is compared with; for models that take it",
    "age": "of the patient; for models that take it",
    "sex": "of the patient; for models that take it",
    "prior_report": "the report of the earlier study; for models that take it",
    "k": "so many texts for each study",
    "archive": "the UID of a study of the archive, in place of images",
    "limit": "so many studies",
    "waiting": "true: only studies without a report of the model",
}
KINDS = {bool: "boolean", int: "integer", str: "string"}
FILE = {"type": "string", "format": "binary"}


def _property(name: str, default: Any) -> dict[str, Any]:
    more = {} if default in ("", 0) and default is not False else {"default": default}
    return {"type": KINDS[type(default)], "description": TEXTS[name], **more}


def form(fields: dict[str, Any], prior: bool = True) -> dict[str, Any]:
    """Return the description of a form with images and these fields."""
    kinds = "image files: PNG, JPEG, DICOM and more; or none, and archive"
    files = {"images": {"type": "array", "items": FILE, "description": kinds}}
    if prior:
        files["prior_images"] = {"type": "array", "items": FILE, "description": "of the earlier study"}
    properties = {**files, **{name: _property(name, default) for name, default in fields.items()}}
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def body(properties: dict[str, Any], *needed: str) -> dict[str, Any]:
    """Return the description of a JSON body; a property is its type, or a whole description."""
    given = {name: {"type": kind} if isinstance(kind, str) else kind for name, kind in properties.items()}
    schema = {"type": "object", "properties": given, "required": list(needed), "additionalProperties": False}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def query(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the description of values that follow the ? of an address."""
    schemas = {name: {"type": KINDS[type(default)], "default": default} for name, default in fields.items()}
    places = [{"name": n, "in": "query", "description": TEXTS[n], "schema": schema} for n, schema in schemas.items()]
    return {"parameters": places}


def _list(kind: str, text: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": kind}, "description": text}


REPORTS = form(FIELDS)
IMAGES = form(RETRIEVE, prior=False)
ARCHIVE = query(LIST)
PATHS = body({
    "paths": _list("string", "files and folders below the root of the server"),
    **{name: _property(name, FIELDS[name]) for name in OF_PATHS},
}, "paths")  # fmt: skip
LABEL = body({
    "text": "string",
    "scheme": {"type": "string", "description": "chexpert14 or chestxray14", "default": "chexpert14"},
    "explain": {"type": "boolean", "description": "every mention with its place and rule", "default": False},
}, "text")  # fmt: skip
SCORE = body({
    "prediction": "string", "reference": "string",
    "metrics": _list("string", "names of rg list metrics; without them bleu, rouge-l and chexpert-rules"),
}, "prediction", "reference")  # fmt: skip
EDIT = body({
    "id": {"type": "string", "description": "of the study, unique among the corrections of the model"},
    "study": "string", "model": "string",
    "prediction": {"type": "string", "description": "the report of the model"},
    "reference": {"type": "string", "description": "the corrected report"},
    "wrong": _list("integer", "numbers of wrong sentences, 1 for the first"),
}, "id", "study", "model", "prediction", "reference", "wrong")  # fmt: skip
