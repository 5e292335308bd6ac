"""Read R2Gen's annotation.json of IU X-Ray and MIMIC-CXR (Chen et al., 2020): findings only, already split.

The images are in the folder `images` next to it. A row of IU is a report with two images, a row of MIMIC one image.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from reportgen_core import DataError, Study, View
from reportgen_core.files.cells import id_value, text_value
from reportgen_core.files.tables import read_document

from .paths import inside


def studies(path: Path) -> list[Study]:
    """Return the studies of an annotation.json, those of train first, then val and test. Raises DataError."""
    annotation = read_document(path)
    try:
        return [_study(path, split, row) for split in ("train", "val", "test") for row in annotation[split]]
    except (KeyError, TypeError, AttributeError) as e:
        raise DataError(
            f"{path} is not R2Gen's annotation, which maps train, val and test to lists of "
            f"{{id, report, image_path}}: {e!r}"
        ) from e


def _study(path: Path, split: str, row: dict[str, Any]) -> Study:
    id = id_value(row["id"])
    if id is None:
        raise TypeError("a row has no id")
    iu = re.match(r"CXR\d+", id)
    text = (text_value(row["report"]) or "").strip()
    return Study(
        id,
        views=tuple(View(inside(path.parent / "images", name)) for name in row["image_path"]),
        sections={"findings": text} if text else {},
        split=split,
        patient=f"p{subject}" if (subject := id_value(row.get("subject_id"))) else iu[0] if iu else id,
        extra={"study": f"s{study}"} if (study := id_value(row.get("study_id"))) else {},
    )
