"""Draw the attention over the regions of a radiograph, enlarged smoothly: one panel for each sentence or word.

The colour says how many times uniform a weight is (see `attention`). All panels of a picture share one scale, which
begins at 1: regions with even attention or less stay grey, and so does a whole panel without a preferred place. The
foot of a picture names the model, its hash, the release and the date.

matplotlib is imported when a picture is drawn; `drawing` makes pixels or a file of it.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from reportgen_core import Box, Report
from reportgen_core.data.images import read_image, shrink
from reportgen_core.text.printable import printable

from ..terminal.echo import literal_text
from .attention import (
    POINTED,
    AttendedText,
    Grid,
    attended_sentences,
    attended_words,
    describe_peak,
    is_pointed,
    mean_times,
    peak,
    preferred,
    region_times,
    tag_times,
)
from .shared.drawing import PNG, SIDE, Drawing, PictureForm
from .shared.origin import Origin

if TYPE_CHECKING:
    from reportgen_core.types import Array

PANEL = 3.3  # inches
GAP, TITLE, HEAD, LEGEND, FOOT = 0.2, 0.2, 0.18, 0.75, 0.15  # inches: between panels, above one, a line on top, …
MAX_SENTENCES = 40  # panels of one picture
MAX_WORDS = 12  # panels of words in one picture
LINE = 52  # characters of a caption's line
DPI = 130
OPACITY = 0.62  # of the strongest attention
SCALE = 3.0  # × uniform: the scale reaches at least this far, so that even attention does not seem pointed
BOX = "#35e0ff"  # of a box, and of the contour in a page
BACKGROUND = 0.45  # grey value under the colours of a legend


@dataclass(frozen=True, slots=True)
class Panel:
    """One radiograph, its attention weights (rows, columns), × uniform, and its sentence or word."""

    image: Array  # (H, W) float 0..1
    weights: Array | None  # None: the radiograph alone
    title: str
    text: str = ""
    detail: str = ""  # in small grey under the text
    boxes: tuple[Box, ...] = ()  # drawn over the radiograph


def overlay(image: Array, weights: Array, text: str) -> Image.Image:
    """Draw a radiograph (H, W), 0..1, with attention (rows, columns), which sums to 1, over it and a text under it."""
    panel = Panel(small(image), np.asarray(weights, np.float64) * np.asarray(weights).size, "", text)
    return draw([panel], columns=1, size=5.0).image()


def save_picture(picture: Drawing, path: Path, origin: Origin, form: PictureForm = PNG) -> None:
    """Save a picture as PNG or SVG, by the suffix of `path`, with its origin also as a text inside the file."""
    picture.save(path, origin, form)


def explain(report: Report, grid: Grid | None, origin: Origin, title: str = "", side: int = SIDE) -> Drawing:
    """Draw a report in one picture: the radiographs, then the attention and the boxes of each sentence.

    Of a model that attends word by word the picture has the sentences and the words that prefer a place. If a study has
    several views, each panel shows the view with the most attention. A radiograph has at most `side` pixels a side.
    Raises ImageError if a file cannot be read.
    """
    images = radiographs(report, side)
    panels = [Panel(image, None, name) for image, name in zip(images, _names(report), strict=True)]
    head = [title or _headline(report)]
    times = region_times(report, grid)
    if times is not None:
        tags = tag_times(report)
        chosen, note = _chosen(report, times)
        for kind, text in chosen:
            attended = None if tags is None or kind == "word" else mean_times(tags, text)
            panels.append(_panel(report, images, mean_times(times, text), attended, f"{kind} {text.number}", text.text))
        head.append(note)
    panels += _box_panels(report, images)
    return draw(panels, title="\n".join(filter(None, head)), foot=origin.text())


def _box_panels(report: Report, images: Sequence[Array]) -> list[Panel]:
    """Return a panel for each sentence that has boxes, and for each view in which it has some."""
    panels = []
    for number, (text, boxes) in enumerate(zip(report.sentences, report.boxes, strict=False), 1):
        for view in sorted({box.view for box in boxes if box.view < len(images)}):
            own = tuple(box for box in boxes if box.view == view)
            panels.append(Panel(images[view], None, f"sentence {number}", text, "boxes of the model", own))
    return panels[:MAX_SENTENCES]


def _chosen(report: Report, times: Array) -> tuple[list[tuple[str, AttendedText]], str]:
    """Return the sentences and words that the picture shows, and a note on the others; "" if it shows all."""
    sentences, words = attended_sentences(report, len(times)), attended_words(report, len(times))
    inside = {row for start, end in report.rows for row in range(start, end)}  # () if sentences have no rows
    words = [w for w in words if not inside or w.rows[0] in inside]  # no marks between sentences
    if not words:
        note = f"the first {MAX_SENTENCES} of {len(sentences)} sentences; the page shows all"
        shown = [("sentence", s) for s in sentences[:MAX_SENTENCES]]
        return shown, note if len(sentences) > MAX_SENTENCES else ""
    pointed = [s for s in sentences if is_pointed(mean_times(times, s))][:MAX_SENTENCES]
    strongest = sorted((w for w in words if is_pointed(mean_times(times, w))), key=lambda w: -peak(times[w.rows[0]]))
    best = sorted(strongest[:MAX_WORDS], key=lambda w: w.number)
    note = (
        f"{len(pointed)} of {len(sentences)} sentences and {len(best)} of {len(words)} words are shown: "
        f"the most pointed of those with {POINTED} × uniform or more; the page shows all"
    )
    return [("sentence", s) for s in pointed] + [("word", w) for w in best], note


def _panel(
    report: Report, images: Sequence[Array], times: Array, tags: Array | None, title: str, text: str
) -> Panel:  # fmt: skip
    """Return the panel of one text: `times` (V, r, c) are its weights over regions, `tags` (M,) those over tags."""
    view = int(times[: len(images)].sum((1, 2)).argmax())
    detail = [describe_peak(times)]
    if tags is not None:
        detail.append(f"tags: {preferred(tags, report.attended_tags)}")
    return Panel(images[view], times[view] if is_pointed(times) else None, title, text, "; ".join(detail))


def _names(report: Report) -> list[str]:
    return [Path(v).name for v in report.views]


def _headline(report: Report) -> str:
    tags = ", ".join(f"{name} {share:.2f}" for name, share in list(report.tags.items())[:5])
    findings = ", ".join(f"{name} {share:.2f}" for name, share in report.findings.items() if share >= 0.5)
    kind = "predicted tags, shares of 1" if are_shares(report) else "predicted tags"
    lines = (f"predicted findings: {findings}" if findings else "", f"{kind}: {tags}" if tags else "")
    return "\n".join(printable(line) for line in lines if line)


def are_shares(report: Report) -> bool:
    """Whether the numbers of the predicted tags sum to 1: shares of a softmax, no probability of each tag."""
    return len(report.tags) > 1 and abs(sum(report.tags.values()) - 1) < 1e-2


@literal_text()
def draw(panels: Sequence[Panel], *, columns: int = 0, title: str = "", foot: str = "", size: float = PANEL) -> Drawing:
    """Draw panels in a grid with one colour scale, and `foot` below. `size` is the width of a panel in inches."""
    from matplotlib.figure import Figure

    panels = [
        replace(p, title=printable(p.title, 60), text=printable(p.text), detail=printable(p.detail)) for p in panels
    ]
    columns = columns or min(4, len(panels))
    line = round(LINE * size / PANEL)
    rows = [panels[at : at + columns] for at in range(0, len(panels), columns)]
    head = [part for long in title.splitlines() for part in textwrap.wrap(long, line * columns)]
    feet = textwrap.wrap(printable(foot), round(1.2 * line * columns))
    weights = [p.weights for p in panels if p.weights is not None]
    width = GAP + columns * (size + GAP)
    above, below = GAP + HEAD * len(head), FOOT * len(feet)
    height = above + sum(_row_height(row, size, line) for row in rows) + (LEGEND if weights else 0.0) + below
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.text(GAP / width, 1 - GAP / 2 / height, "\n".join(head), fontsize=9, va="top", linespacing=1.3)
    figure.text(GAP / width, 0.06 / height, "\n".join(feet), fontsize=7.5, color="0.3", va="bottom")
    top = max([SCALE, *(float(w.max()) for w in weights)])
    down = above
    for row in rows:
        for i, panel in enumerate(row):
            tall = size * panel.image.shape[0] / panel.image.shape[1]
            box = (GAP + i * (size + GAP), height - down - TITLE - tall, size, tall)  # inches from the lower left
            axes = figure.add_axes((box[0] / width, box[1] / height, box[2] / width, box[3] / height))
            draw_panel(axes, panel, top, line)
        down += _row_height(row, size, line)
    if weights:
        long = min(0.6 * width, 6.0)
        draw_legend(figure, ((width - long) / 2 / width, (0.45 + below) / height, long / width, 0.09 / height), top)
    return Drawing(figure, DPI)


def _row_height(row: Sequence[Panel], size: float, line: int) -> float:
    """Return the height of a row of panels in inches: its title, its tallest radiograph and its longest text."""
    tall: float = max(size * p.image.shape[0] / p.image.shape[1] for p in row)
    return TITLE + tall + max(0.17 * _lines(p.text, line) + 0.15 * _lines(p.detail, line + 5) for p in row) + GAP


def _lines(text: str, width: int) -> int:
    return len(textwrap.wrap(text, width))


def draw_panel(axes: Any, panel: Panel, top: float, line: int) -> None:
    """Draw one panel. `top` is the end of the colour scale, `line` the length of a line of text in characters."""
    height, width = panel.image.shape
    axes.set_axis_off()
    axes.imshow(panel.image, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0))
    if panel.weights is not None:
        smooth = enlarge(panel.weights, (height, width))
        axes.imshow(smooth, cmap=_colours(top), vmin=0, vmax=top, extent=(0, width, height, 0))
    for box in panel.boxes:
        draw_box(axes, box, width, height)
    axes.set_title(panel.title, fontsize=8, loc="left", pad=3, color="0.3")
    below = {"xy": (0, 0), "xycoords": "axes fraction", "textcoords": "offset points", "va": "top", "linespacing": 1.2}
    axes.annotate(textwrap.fill(panel.text, line), xytext=(0, -4), fontsize=9, **below)
    under = -6 - 11 * _lines(panel.text, line)  # points
    axes.annotate(textwrap.fill(panel.detail, line + 5), xytext=(0, under), fontsize=7.5, color="0.35", **below)


def draw_box(axes: Any, box: Box, width: int, height: int) -> None:
    """Draw a box over a radiograph of this size: a light line with a dark edge, so that it shows on any grey."""
    from matplotlib.patches import Rectangle

    corner, size = (box.left * width, box.top * height), (box.width * width, box.height * height)
    for thickness, colour in ((3.0, "black"), (1.6, BOX)):
        axes.add_patch(Rectangle(corner, *size, fill=False, linewidth=thickness, edgecolor=colour))


def enlarge(weights: Array, size: tuple[int, int]) -> Array:
    """Return weights (rows, columns) enlarged to `size` (H, W): bicubic, never negative."""
    image = Image.fromarray(np.asarray(weights, np.float32))
    smooth: Array = np.maximum(np.asarray(image.resize((size[1], size[0]), Image.Resampling.BICUBIC)), 0)
    return smooth


def _colours(top: float) -> Any:
    """Return the colours: transparent up to even attention, then yellow to red and more and more opaque."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    steps = np.linspace(0, top, 256)
    strength = np.clip((steps - 1) / (top - 1), 0, 1)
    rgba = colormaps["YlOrRd"](0.25 + 0.75 * strength)
    rgba[:, 3] = OPACITY * np.sqrt(strength)
    return ListedColormap(rgba)


def scale_ticks(top: float) -> list[int]:
    """Return whole numbers from 1 to `top` for the ticks of a scale: at most about ten."""
    step = max(1, math.ceil((top - 1) / 10))
    return list(range(1, math.floor(top) + 1, step))


def draw_legend(figure: Any, box: tuple[float, float, float, float], top: float, label: str = "attention") -> None:
    """Draw the colour scale from 1 to `top` over a middle grey, as the colours look on a radiograph."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    shown = ScalarMappable(Normalize(0, top), _colours(top))
    bar = figure.colorbar(shown, cax=figure.add_axes(box), orientation="horizontal")
    bar.ax.set_facecolor(str(BACKGROUND))
    bar.ax.set_xlim(1, top)
    ticks = scale_ticks(top)
    bar.set_ticks(ticks, labels=[f"{t}×" for t in ticks])
    bar.ax.tick_params(labelsize=8)
    bar.set_label(f"{label}, × uniform: 1× is even, and not coloured", fontsize=8)


def small(image: Array, side: int = SIDE) -> Array:
    """Return the radiograph with at most `side` pixels a side."""
    return shrink(image, side)


def radiographs(report: Report, side: int = SIDE) -> list[Array]:
    """Return the grey images (H, W), 0..1, of a report: those it carries, else those of its files, made small."""
    return [small(i, side) for i in report.images] or [small(read_image(Path(v)), side) for v in report.views]
