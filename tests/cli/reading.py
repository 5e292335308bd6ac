"""A small reading study, for the tests of `rg study`."""

from pathlib import Path

import numpy as np
from PIL import Image
from reportgen_cli.study.folder import Key, ReadingStudy, read_key, read_study
from reportgen_cli.study.make import StudyDesign, make

from reportgen_core import Study, View

HUMAN, MODEL = "Lungs are clear . SIGNED BY A PERSON", "lungs are clear . written by a program"


def studies(folder: Path, count: int = 6, views: int = 1) -> list[Study]:
    """Studies with grey images of different levels, and a report of their own number."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for i in range(count):
        shown = []
        for v in range(views):
            path = folder / f"secret-name-{i}-{v}.png"
            pixels = np.full((48 + 8 * v, 40), (20 + 30 * i) % 256, np.uint8)
            pixels[8:16, 8:16] = 255
            Image.fromarray(pixels).save(path)
            shown.append(View(path, "lateral" if v == 0 and views > 1 else "frontal"))
        made.append(Study(f"patient{i}", tuple(shown), {"findings": f"{HUMAN} {i} ."}))
    return made


def texts(count: int = 6) -> dict[str, str]:
    return {f"patient{i}": f"{MODEL} {i} ." for i in range(count)}


def reading(folder: Path, count: int = 6, views: int = 1, **plan: object) -> tuple[ReadingStudy, Key]:
    """Make one in `folder`, and read it again."""
    made = studies(folder / "images", count, views)
    settings: dict[str, object] = {"each": count, "design": "crossed"} | plan
    out, key = folder / "reading", folder / "reading.key.json"
    make(made, {"model": texts(count)}, StudyDesign(**settings), out, key)  # type: ignore[arg-type]
    study = read_study(out)
    return study, read_key(key, study)
