"""A study as one line of JSON: what `rg data build` writes and the dataset `table` reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..types import Box, Projection, Study, View


def study_to_json(study: Study, folder: Path) -> dict[str, Any]:
    """Empty fields are left out. Paths are relative to `folder` where they lie below it."""
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
    }
    return {k: v for k, v in values.items() if v or k == "id"}


def _relative(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def study_from_json(row: Mapping[str, Any], place: Callable[[str], Path]) -> Study:
    """The study that `study_to_json` wrote; `place` turns an image's name into its path. Raises DataError."""
    try:
        return Study(
            str(row["id"]),
            views=tuple(View(place(v["path"]), _projection(v.get("projection", ""))) for v in row.get("views", ())),
            sections={str(k): str(v) for k, v in row.get("sections", {}).items()},
            tags=tuple(map(str, row.get("tags", ()))),
            labels={str(k): float(v) for k, v in row.get("labels", {}).items()},
            split=str(row.get("split", "")),
            patient=str(row.get("patient", "")),
            boxes=tuple(Box(**b) for b in row.get("boxes", ())),
            extra=dict(row.get("extra", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise DataError(f"study {row.get('id', '?')!r} is not written as a study: {type(e).__name__}: {e}") from e


def _projection(value: str) -> Projection:
    known: dict[str, Projection] = {"frontal": "frontal", "lateral": "lateral", "": ""}
    return known[value]
