"""Write files that explain a report: the attention of its sentences or words, its tags and its findings.

    STUDY.html                  a page that works offline: words, attention over the radiograph, tags, findings
    STUDY.png                   the report in one picture; every picture is SVG instead if that is requested
    index.html                  thumbnails of all studies, if there are several

and on request

    STUDY.words.png             the words shaded, if the model has attention over its own words
    STUDY/sentence-01.png …     the radiograph with the attention of one sentence
    STUDY/word-01.png …         the radiograph with the attention of one word, if the model attends word by word
    STUDY/tags.png              the attention of each sentence or word over the tags
    STUDY/attention.npz         the weights: regions (rows, views, rows, columns), tags (rows, M), words (r, T)
    STUDY/attention.json        the same as numbers with names

The colours are those of `pictures`: × uniform.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from reportgen_core import Report
from reportgen_core.files.atomic import atomic_write
from reportgen_core.files.json_files import write_json

from .attention import (
    POINTED,
    Grid,
    attended_sentences,
    attends_by_word,
    is_pointed,
    mean_times,
    peak,
    region_times,
    row_names,
    tag_times,
    word_times,
)
from .pictures import OPACITY, SCALE, are_shares, explain, radiographs, save_picture
from .shading import shaded, shows_words
from .shared import frame
from .shared.drawing import PNG, PictureForm
from .shared.frame import escape_text, fill_page
from .shared.origin import Origin
from .study_pictures import blend, count_pictures, shrunk, study_pictures, top_of

if TYPE_CHECKING:
    from reportgen_core.types import Array

HERE = Path(__file__).parent / "explain"
INDEX = "index.html"
SIDE = 640  # pixels of the longer side of a radiograph in a page
THUMBNAIL = 192
PROOF = "Attention is not proof."
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class StudyCard:
    """One study in the index of a folder of pages."""

    study: str
    page: str  # the file name of its page
    text: str
    pointed: str  # how pointed its most pointed sentence is; "" without attention over regions
    note: str
    thumbnail: str  # data URI of the first radiograph with the attention of that sentence


def explain_study(
    report: Report,
    grid: Grid | None,
    out: Path,
    name: str,
    origin: Origin,
    *,
    index: str = "",
    form: PictureForm = PNG,
) -> StudyCard:
    """Write the page of one report, and one picture if there is something to draw: `grid` is (views, rows, columns).

    The page has a link to `index`, if there is one. Return what an index says of the study.
    """
    images = [shrunk(image, SIDE) for image in radiographs(report)]
    times = region_times(report, grid)
    atomic_write(out / f"{name}.html", page(report, grid, images, times, origin, index=index))
    if grid is not None or any(report.boxes):
        save_picture(explain(report, grid, origin, side=form.side), out / f"{name}.{form.kind}", origin, form)
    return _card(report, images, times, f"{name}.html")


def explain_all(
    report: Report,
    grid: Grid | None,
    values: dict[str, Any],
    out: Path,
    name: str,
    origin: Origin,
    progress: OnProgress,
    form: PictureForm = PNG,
) -> None:
    """Write a picture of each sentence and word, of the tags, and the numbers into the folder `name`.

    A report with attention over its own words also gets the picture of its shaded words. Call `progress` with the
    number of pictures written and of all pictures, first with 0.
    """
    images, times = radiographs(report, form.side), region_times(report, grid)
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    total = count_pictures(report, times)
    progress(0, total)
    for done, (file, picture) in enumerate(study_pictures(report, images, times, origin, form), 1):
        save_picture(picture, folder / f"{file}.{form.kind}", origin, form)
        progress(done, total)
    write_json(folder / "attention.json", {"grid": grid, **values, "origin": origin.text()}, sort=False)
    np.savez_compressed(folder / "attention.npz", **_arrays(report, grid))
    if grid is not None and shows_words(report):
        save_picture(shaded(report, grid, origin, form.side), out / f"{name}.words.{form.kind}", origin, form)


def write_index(cards: Sequence[StudyCard], out: Path, origin: Origin) -> Path:
    """Write the page that shows all studies of a folder, and return its path."""
    html = fill_page(
        _read("index.html"),
        title=f"Where the model looked: {len(cards):,} studies",
        origin=origin,
        style=_read("index.css"),
        script=_read("index.js"),
        data=[asdict(card) for card in cards],
        warnings=[PROOF],
    )
    path = out / INDEX
    atomic_write(path, html)
    return path


def _arrays(report: Report, grid: Grid | None) -> dict[str, Any]:
    """Return the attention of a report as arrays by name, regions (rows, V, r, c); {} without attention."""
    attention = report.attention
    if attention is None:
        return {}
    names = ("regions", "tags", "words")
    arrays = {k: t.float().cpu().numpy() for k in names if (t := getattr(attention, k)) is not None}
    if "regions" in arrays and grid is not None:
        arrays["regions"] = arrays["regions"].reshape(-1, *grid)
    return arrays


def page(
    report: Report, grid: Grid | None, images: Sequence[Array], times: Array | None, origin: Origin, *, index: str = ""
) -> str:
    """Return the HTML page of one study. It loads no other file. `times` is the attention over regions, × uniform."""
    heading = escape_text(report.study[:300])
    notes = [f'<p class="notice"><strong>{escape_text(t)}</strong></p>' for t in (report.note, report.problem) if t]
    link = f'<p class="no-print"><a href="{escape_text(index)}">All studies</a></p>' if index else ""
    return fill_page(
        Template(_read("body.html")).substitute(heading=heading, notes="".join(notes), link=link),
        title=report.study[:300],
        origin=origin,
        style=_shared("viewer.css") + _read("page.css"),
        script="\n".join((_shared("zoom.js"), _shared("heat.js"), _read("viewer.js"), _read("report.js"))),
        data=page_values(report, grid, images, times),
        warnings=[PROOF],
        heading=False,
    )


def page_values(report: Report, grid: Grid | None, images: Sequence[Array], times: Array | None) -> dict[str, Any]:
    """Return the values that the script of a page shows. All attention is × uniform."""
    by_word, tags, reads = attends_by_word(report), tag_times(report), word_times(report)
    return {
        "grid": grid,
        "top": SCALE if times is None else top_of(times),
        "pointed": POINTED,
        "opacity": OPACITY,
        "byword": by_word,
        "words": report.words,
        "sentences": [_sentence(report, i, by_word) for i in range(len(report.sentences))],
        "regions": None if times is None else times.reshape(len(times), -1).round(3).tolist(),
        "tags": None if tags is None else tags.round(3).tolist(),
        "tagnames": report.attended_tags,
        "rownames": [] if tags is None else row_names(report, len(tags)),
        "reads": None if reads is None else reads.round(3).tolist(),
        "findings": list(report.findings.items()),
        "likely": list(report.tags.items())[:10],
        "shares": are_shares(report),
        "images": [
            {"name": Path(v).name, "data": _jpeg(i, 88), "width": i.shape[1], "height": i.shape[0]}
            for v, i in zip(report.views, images, strict=True)
        ],
    }


def _sentence(report: Report, i: int, by_word: bool) -> dict[str, Any]:
    spans = {s.number: s.rows for s in attended_sentences(report, _row_count(report))}
    rows = list(spans.get(i + 1, ()))
    boxes = [asdict(box) for box in report.boxes[i]] if report.boxes else []
    return {"text": report.sentences[i], "rows": rows, "words": rows if by_word else [], "boxes": boxes}


def _row_count(report: Report) -> int:
    """Return the number of rows of attention of the sentences or words of a report."""
    attention = report.attention
    if attention is None:
        return 0
    return max((len(t) for t in (attention.regions, attention.tags) if t is not None), default=0)


def _card(report: Report, images: Sequence[Array], times: Array | None, name: str) -> StudyCard:
    """Return what the index says of a study."""
    sentences = [] if times is None else attended_sentences(report, len(times))
    best = max(sentences, key=lambda s: peak(mean_times(times, s)), default=None) if times is not None else None
    pointed, picture = "", np.repeat((255 * images[0][..., None]).astype(np.uint8), 3, 2) if images else None
    if times is not None and best is not None:
        mean = mean_times(times, best)
        pointed = f"up to {peak(mean):.1f}× in sentence {best.number}" if is_pointed(mean) else "no preferred place"
        if picture is not None and is_pointed(mean):
            picture = blend(images[0], mean[0], top_of(times))
    return StudyCard(
        report.study,
        name,
        report.text[:240],
        pointed,
        report.note or report.problem,
        "" if picture is None else _jpeg(_thumbnail(picture), 80),
    )


def _thumbnail(picture: Array) -> Array:
    """Return a picture (H, W, 3) as a thumbnail."""
    image = Image.fromarray(picture)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    return np.asarray(image)


def _jpeg(image: Array, quality: int) -> str:
    """Return an image as a data URI: grey 0..1 (H, W), or bytes (H, W, 3)."""
    out = io.BytesIO()
    pixels = image if image.ndim == 3 else (image * 255).astype(np.uint8)
    Image.fromarray(pixels).save(out, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _shared(name: str) -> str:
    return (frame.HERE / name).read_text(encoding="utf-8")
