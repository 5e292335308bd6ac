"""R2Gen's annotation.json, of IU X-Ray and of MIMIC-CXR (Chen et al., 2020): findings only, already split.

Images lie in the folder `images` beside it. For IU a row is a report with two images; for MIMIC a row is one image.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from reportgen_core import DataError, Study, View

from .paths import inside, read_json


def studies(path: Path) -> list[Study]:
    """Its rows in order: train, val, test."""
    annotation = read_json(path)
    try:
        return [_study(path, split, row) for split in ("train", "val", "test") for row in annotation[split]]
    except (KeyError, TypeError, AttributeError) as e:
        raise DataError(
            f"{path} is not R2Gen's annotation, which maps train, val and test to lists of "
            f"{{id, report, image_path}}: {e!r}"
        ) from e


def _study(path: Path, split: str, row: dict[str, Any]) -> Study:
    iu = re.match(r"CXR\d+", row["id"])
    text = row["report"].strip()
    return Study(
        row["id"],
        views=tuple(View(inside(path.parent / "images", name)) for name in row["image_path"]),
        sections={"findings": text} if text else {},
        split=split,
        patient=f"p{row['subject_id']}" if "subject_id" in row else iu[0] if iu else row["id"],
        extra={"study": f"s{row['study_id']}"} if "study_id" in row else {},
    )
