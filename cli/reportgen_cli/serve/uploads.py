"""Turn the form of a request into studies. Its files are on disk until the answer and no longer."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from reportgen_core import Report, Study, View
from reportgen_core.data.study_files import group_files
from reportgen_core.text.printable import printable

from ..dicomweb.archive import Archive
from ..dicomweb.stored import fetch_study
from ..web.bodies import Refused, is_text, short

MAX_FILES = 256  # of a request
MAX_STUDIES = 64
MAX_NAME = 120  # bytes of the name of a file
MAX_TEXT = 1 << 16  # bytes of a field that is a text
TEXTS = ("indication", "technique", "comparison")  # sections of the study itself
BAD = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request gives: studies, the fields of its form, and the folder of its files ("" if they are ours)."""

    studies: tuple[Study, ...]
    fields: dict[str, Any] = field(default_factory=dict)
    folder: str = ""
    context: tuple[str, ...] = ()  # inputs besides the images: "indication", "prior_report" …

    def cleaned(self, report: Report, study: Study) -> Report:
        """Return the report with its images named without folders, and no text that names a folder of this machine."""
        texts = {name: getattr(report, name) for name in ("problem", "note")}
        for path in (str(view.path) for view in study.views):
            texts = {name: text.replace(path, Path(path).name) for name, text in texts.items()}
        if self.folder:
            texts = {name: text.replace(self.folder, "") for name, text in texts.items()}
        return replace(report, views=tuple(Path(view).name for view in report.views), **texts)


@asynccontextmanager
async def received(
    request: Request, fields: dict[str, Any], archive: Callable[[], Archive] | None = None
) -> AsyncIterator[Sent]:
    """Yield what the form of a request gives, with its files in a temporary folder. Raises Refused and ArchiveError.

    `fields` has the default of each field that the form may have; its type is the type of the field. The study that the
    field "archive" names comes from `archive`.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "wants multipart/form-data with files in the field images")
    folder = await run_in_threadpool(tempfile.mkdtemp, prefix="reportgen-serve-")
    try:
        form = await request.form(max_files=MAX_FILES, max_fields=MAX_FILES, max_part_size=MAX_TEXT)
        try:
            values, uploads = _split(form.multi_items(), fields)
            paths = await run_in_threadpool(_store, uploads, folder)
        finally:
            await form.close()
        if uid := values.get("archive"):
            studies = [await run_in_threadpool(_archived, archive, uid, paths["images"], folder)]
        else:
            studies = await run_in_threadpool(_studies, paths["images"], values, folder)
        context = with_context(studies, values, paths["prior_images"])
        yield Sent(context[0], values, folder + os.sep, context[1])
    finally:
        await run_in_threadpool(shutil.rmtree, folder, True)


def _split(
    items: Sequence[tuple[str, Any]], fields: dict[str, Any]
) -> tuple[dict[str, Any], list[tuple[str, UploadFile]]]:
    """Return the values of the fields, and the files with the fields that they are of. Raises Refused."""
    values, uploads = dict(fields), []
    for name, value in items:
        if isinstance(value, UploadFile):
            if name not in ("images", "prior_images"):
                raise Refused(BAD, f"field {short(name)} takes no file; files go into images")
            uploads.append((name, value))
        elif name not in fields:
            raise Refused(BAD, f"no field {short(name)}; there are: images, {', '.join(fields)}")
        else:
            values[name] = typed(name, value, fields[name])
    return values, uploads


def typed(name: str, value: Any, default: Any) -> Any:
    """Return the value of a field with the type of its default; whole numbers are 1 to 1000. Raises Refused."""
    if isinstance(default, bool):
        if str(value).lower() not in ("true", "false", "1", "0"):
            raise Refused(BAD, f"{name} is {short(value)}; give true or false")
        return str(value).lower() in ("true", "1")
    if isinstance(default, int):
        if not re.fullmatch(r"\d{1,4}", str(value)) or not 1 <= int(value) <= 1000:
            raise Refused(BAD, f"{name} is {short(value)}; give a whole number from 1 to 1000")
        return int(value)
    if not isinstance(value, str) or not is_text(value):
        raise Refused(BAD, f"{name} wants text without halves of characters")
    return value


def _store(uploads: Sequence[tuple[str, UploadFile]], folder: str) -> dict[str, list[Path]]:
    """Write the files of a form below the folder, each in a folder of its own, so that equal names do no harm."""
    paths: dict[str, list[Path]] = {"images": [], "prior_images": []}
    for number, (field_name, upload) in enumerate(uploads):
        place = Path(folder, str(number))
        place.mkdir()
        path = place / file_name(upload.filename or "")
        with path.open("wb") as file:
            shutil.copyfileobj(upload.file, file, 1 << 20)
        paths[field_name].append(path)
    return paths


def file_name(name: str) -> str:
    """Return the last part of the name of a sent file, without signs that a file name or a line cannot have."""
    base = printable(re.split(r"[\\/]", name)[-1], None).replace("/", "_").replace("\\", "_").strip(". ")
    stem, dot, suffix = base.rpartition(".")
    most = max(1, MAX_NAME - len(suffix.encode()) - 1) if len(suffix) < 20 else 0
    if not most or not stem:
        return base.encode()[:MAX_NAME].decode("utf-8", "ignore") or "image"
    return stem.encode()[:most].decode("utf-8", "ignore") + dot + suffix


def _studies(paths: Sequence[Path], values: dict[str, Any], folder: str) -> list[Study]:
    if not paths:
        raise Refused(BAD, "the field images has no file")
    studies = group_files(paths)
    if values.get("study"):
        studies = [Study(paths[0].stem, tuple(view for study in studies for view in study.views))]
    if len(studies) > MAX_STUDIES:
        raise Refused(BAD, f"{len(studies)} studies in one request; at most {MAX_STUDIES} are taken")
    return distinct([replace(s, id=Path(s.id).stem if s.id.startswith(folder) else s.id) for s in studies])


def _archived(archive: Callable[[], Archive] | None, uid: str, images: Sequence[Path], folder: str) -> Study:
    """Return a study of the archive with its files below the folder."""
    if images:
        raise Refused(BAD, "the fields images and archive are both given; give one")
    if archive is None or not re.fullmatch(r"[0-9.]{1,64}", uid):
        raise Refused(BAD, f"archive is {short(uid)}; give the UID of a study of the archive")
    return fetch_study(archive(), uid, Path(folder))


def distinct(studies: Sequence[Study]) -> list[Study]:
    """Return the studies; an id that is there already gets a number: chest, chest-2."""
    ids: set[str] = set()
    renamed = []
    for study in studies:
        name, number = study.id, 1
        while name in ids:
            number += 1
            name = f"{study.id}-{number}"
        ids.add(name)
        renamed.append(replace(study, id=name))
    return renamed


def with_context(
    studies: Sequence[Study], values: dict[str, Any], prior_images: Sequence[Path] = ()
) -> tuple[tuple[Study, ...], tuple[str, ...]]:
    """Return the studies with the texts and the earlier examination of a form, and the names of what it gave."""
    sections = {name: text.strip() for name in TEXTS if (text := values.get(name, "")).strip()}
    extra = {name: text.strip() for name in ("age", "sex") if (text := values.get(name, "")).strip()}
    prior_report = values.get("prior_report", "").strip()
    given = [
        *sections,
        *extra,
        *(["prior_report"] if prior_report else []),
        *(["prior_images"] if prior_images else []),
    ]
    prior = None
    if prior_report or prior_images:
        prior = Study("prior", tuple(View(path) for path in prior_images), {"findings": prior_report})
    return tuple(replace(s, sections=sections, extra=extra, prior=prior) for s in studies), tuple(given)


def rooted(root: Path | None, paths: Any) -> Sent:
    """Return the studies of files and folders below the root of the server. Raises Refused for every other path."""
    if root is None:
        raise Refused(HTTPStatus.NOT_FOUND, "this server reads no files of its own; rg serve --root DIR lets it")
    if not isinstance(paths, list) or not paths or not all(isinstance(path, str) for path in paths):
        raise Refused(BAD, "paths wants a list of paths below the root")
    top = root.resolve()
    files = [_below(top, path) for path in paths]
    if sum(_count(file, MAX_FILES + 1) for file in files) > MAX_FILES:
        raise Refused(BAD, f"more than {MAX_FILES} files in one request")
    studies = group_files(files)
    if len(studies) > MAX_STUDIES:
        raise Refused(BAD, f"{len(studies)} studies in one request; at most {MAX_STUDIES} are taken")
    own = f"{top}{os.sep}"
    return Sent(tuple(distinct([replace(s, id=s.id.removeprefix(own)) for s in studies])), folder=own)


def _below(top: Path, path: str) -> Path:
    try:
        place = (top / path).resolve()
        if place.is_relative_to(top) and place.exists():
            return place
    except (OSError, ValueError):  # a name that is too long, a null byte
        pass
    raise Refused(HTTPStatus.NOT_FOUND, f"no path {short(path)} below the root")


def _count(path: Path, most: int) -> int:
    """Return the number of files of a folder, at most `most`; 1 for a file."""
    count = 0 if path.is_dir() else 1
    for _, _, names in os.walk(path):
        count += len(names)
        if count >= most:
            break
    return count
