"""Write one page for a browser: the tables of an evaluation, and its studies to sort and filter.

The page loads nothing from elsewhere. Texts reach it as JSON and are shown as text, never as markup. Images are small
copies inside the page.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from reportgen_core import ReportgenError
from reportgen_core.scoring.evaluation import Evaluation, StudyRow
from reportgen_core.scoring.score_tables import PrintedTable, headlines, tables
from reportgen_core.text.printable import printable

from .shared.embedded import embedded_json

SIDE = 128  # pixels of a thumbnail's longer side
HERE = Path(__file__).parent / "page"


def page(evaluation: Evaluation, images: Path | None = None) -> str:
    """Return the page as HTML. Show only images that can be read and lie in the folder `images`, if it is given."""
    folder = None if images is None else ImageFolder(images)
    columns = [
        line.name
        for line in headlines(evaluation.systems[0].lines)
        if any(line.name in s.scores for s in evaluation.studies)
    ]
    studies = [_study(s, columns, folder) for s in evaluation.studies]
    values = {
        "columns": columns,
        "labels": sorted({name for s in studies for name, *_ in s["differ"]}),
        "thumbnails": any(s["image"] for s in studies),
        "studies": studies,
    }
    return Template(_file("page.html")).substitute(
        title=_escape(f"{evaluation.systems[0].name}: {evaluation.card.protocol}"),
        style=_file("page.css"),
        summary=_summary(evaluation),
        data=embedded_json(values),
        script=_file("page.js"),
    )


def _escape(text: str) -> str:
    """Return a text as HTML that is shown as it is, with characters that turn or hide text as escapes."""
    return escape(printable(text))


def _file(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _study(study: StudyRow, columns: Sequence[str], images: ImageFolder | None) -> dict[str, Any]:
    """Return the row of one study. If one side denies a finding that the other does not mention, they do not differ."""
    scores = {c: study.scores.get(c) for c in columns}
    return {
        "id": study.id,
        "prediction": study.prediction,
        "references": list(study.references),
        "scores": {c: round(v, 4) if v is not None and math.isfinite(v) else None for c, v in scores.items()},
        "subsets": list(study.subsets),
        "differ": [[n, ours, gold] for n, (ours, gold) in study.labels.items() if (ours or 0) != (gold or 0)],
        "image": thumbnail(study.images, images),
    }


class ImageFolder:
    """A folder of images, in which they are found by their paths, or by their file names alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._by_name: dict[str, list[Path]] | None = None  # read when the first name is looked up

    def find(self, named: str) -> Path | None:
        """Return the file inside the folder that has this path, or else this name; None if none or several have it."""
        path = self.folder / named
        if path.is_file():
            return path if path.resolve().is_relative_to(self.folder.resolve()) else None
        if Path(named).name != named:
            return None
        if self._by_name is None:
            self._by_name = {}
            for file in self.folder.rglob("*"):
                self._by_name.setdefault(file.name, []).append(file)
        same = self._by_name.get(named, [])
        return same[0] if len(same) == 1 and same[0].is_file() and not same[0].is_symlink() else None


def thumbnail(paths: Sequence[str], folder: ImageFolder | None) -> str:
    """Return the first image that can be read, as a small JPEG in a data address; "" if there is none."""
    for named in paths:
        path = Path(named) if folder is None else folder.find(named)
        if path is None or not path.is_file():
            continue
        try:
            return _small(path)
        except ReportgenError:
            continue  # the page is about scores: a row without its picture is still a row
    return ""


def _small(path: Path) -> str:
    from PIL import Image

    from reportgen_core.data.images import read_image

    image = Image.fromarray((read_image(path) * 255).astype("uint8"))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _summary(evaluation: Evaluation) -> str:
    """Return the notes and the tables as HTML."""
    warnings = set(evaluation.diversity.warnings)
    parts = [f'<p class="warning">{_escape(w)}</p>' for w in evaluation.diversity.warnings]
    for table in tables(evaluation):
        parts.append(f"<h2>{_escape(table.title)}</h2>")
        parts.append(_table(table))
        parts += [
            f'<p class="dim">{_escape(line)}</p>' for line in table.foot if line.removeprefix("note: ") not in warnings
        ]
    return "\n".join(parts)


def _table(table: PrintedTable) -> str:
    header = "".join(f'<th scope="col">{_hyphenated(_escape(c))}</th>' for c in table.header)
    rows = ["<tr>" + "".join(f"<td>{_breakable(_escape(c))}</td>" for c in row) + "</tr>" for row in table.rows]
    return f'<div class="scroll"><table class="scores"><tr>{header}</tr>{"".join(rows)}</table></div>'


def _breakable(markup: str) -> str:
    """Return a cell whose interval, .134-.161, may break after its hyphen, so that a wide table fits the window."""
    return re.sub(r"(?<=\d)-(?=-?\.?\d)", "-<wbr>", markup)


def _hyphenated(markup: str) -> str:
    """Return a header whose words of eight letters or more may break with a hyphen where the table is too wide."""
    return re.sub(r"\w{8,}", lambda word: re.sub(r"(\w{4})(?=\w{3})", r"\1&shy;", word[0]), markup)
