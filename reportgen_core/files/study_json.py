"""Write a study as one line of JSON and read it: `rg data build` writes such lines, the dataset `table` reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..types import Box, Projection, Study, View
from .cells import id_value, is_nothing, labels_value, names_value, text_value


def study_to_json(study: Study, folder: Path) -> dict[str, Any]:
    """Return a study as JSON values. Empty fields are left out; paths below `folder` are relative to it."""
    values: dict[str, Any] = {
        "id": study.id,
        "patient": study.patient,
        "split": study.split,
        "views": [{"path": _relative(v.path, folder), "projection": v.projection} for v in study.views],
        "sections": dict(study.sections),
        "tags": list(study.tags),
        "labels": dict(study.labels),
        "boxes": [asdict(b) for b in study.boxes],
        "extra": dict(study.extra),
        "prior": study_to_json(study.prior, folder) if study.prior is not None else None,
    }
    return {k: v for k, v in values.items() if v or k == "id"}


def _relative(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def study_from_json(row: Mapping[str, Any], place: Callable[[str], Path]) -> Study:
    """Return the study that `study_to_json` wrote; `place` turns an image's name into its path. Raises DataError.

    Fields that are null, NaN or "" are ignored.
    """
    try:
        fields = {name: value for name, value in row.items() if not is_nothing(value)}
        id = id_value(row["id"])
        if id is None:
            raise ValueError("the id is empty")
        return Study(
            id,
            views=tuple(View(place(v["path"]), _projection(v.get("projection"))) for v in fields.get("views", ())),
            sections={str(k): t for k, v in fields.get("sections", {}).items() if (t := text_value(v)) is not None},
            tags=tuple(names_value(fields.get("tags", []))),
            labels=labels_value(fields.get("labels", {})),
            split=text_value(fields.get("split")) or "",
            patient=id_value(fields.get("patient")) or "",
            boxes=tuple(Box(**b) for b in fields.get("boxes", ())),
            extra=dict(fields.get("extra", {})),
            prior=study_from_json(fields["prior"], place) if "prior" in fields else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise DataError(f"study {row.get('id', '?')!r} is not written as a study: {type(e).__name__}: {e}") from e


def _projection(value: object) -> Projection:
    known: dict[str, Projection] = {"frontal": "frontal", "lateral": "lateral", "": ""}
    return known[text_value(value) or ""]
