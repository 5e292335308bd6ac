"""Draw the attention over the regions of a radiograph, enlarged smoothly: one panel for each sentence.

Attention weights sum to 1 over the regions. A weight times the number of regions is therefore 1 everywhere if the
attention is even, and the colour shows this number. All panels of a picture share one scale. Regions with even
attention or less stay grey.

matplotlib draws, without pyplot and without a display; it is imported when a picture is drawn.
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

from reportgen_core import Report
from reportgen_core.data.images import read_image, shrink
from reportgen_core.text.printable import printable

from ..terminal.echo import literal_text

if TYPE_CHECKING:
    from reportgen_core.types import Array

LONG_SIDE = 640  # pixels of a radiograph in a panel
PANEL = 3.3  # inches
GAP, TITLE, HEAD, LEGEND = 0.2, 0.2, 0.18, 0.75  # inches: between panels, above one, a line on top, the colour scale
MAX_SENTENCES = 40  # panels of one picture
LINE = 52  # characters of a caption's line
DPI = 130
OPACITY = 0.62  # of the strongest attention
SCALE = 3.0  # times even attention: the scale reaches at least this far, so that even attention does not seem pointed


@dataclass(frozen=True, slots=True)
class Panel:
    """One radiograph, its attention weights (rows, columns) in times of even attention, and its sentence."""

    image: Array  # (H, W) float 0..1
    weights: Array | None  # None: the radiograph alone
    title: str
    text: str = ""
    detail: str = ""  # in small grey under the text


def overlay(image: Array, weights: Array, text: str) -> Image.Image:
    """Draw a radiograph (H, W), 0..1, with attention (rows, columns), which sums to 1, over it and a text under it."""
    panel = Panel(small(image), np.asarray(weights, np.float64) * np.asarray(weights).size, "", text)
    return draw([panel], columns=1, size=5.0)


def explain(report: Report, grid: tuple[int, int, int], title: str = "") -> Image.Image:
    """Draw all sentences of a report in one picture: the radiographs, then the attention of each sentence.

    `grid` is the encoder's (views, rows, columns). If a study has several views, each sentence shows the view with the
    most attention. Raises ImageError if a file cannot be read.
    """
    images = radiographs(report)
    panels = [Panel(image, None, name) for image, name in zip(images, _names(report), strict=True)]
    head = title or _headline(report)
    if report.attention is not None and report.attention.regions is not None:
        weights = report.attention.regions.float().cpu().numpy()  # (rows, N)
        weights = weights.reshape(len(weights), *grid) * _real_regions(len(images), grid)
        sentences = _sentence_rows(report, len(weights))
        for i, rows in sentences[:MAX_SENTENCES]:
            mean = weights[rows].mean(0)  # (V, r, c)
            view = int(mean[: len(images)].sum((1, 2)).argmax())
            panels.append(Panel(images[view], mean[view], *_caption(report, i)))
        if len(sentences) > MAX_SENTENCES:
            head = f"{head}\nthe first {MAX_SENTENCES} of {len(sentences)} sentences; the page shows all".strip()
    return draw(panels, title=head)


def _sentence_rows(report: Report, count: int) -> list[tuple[int, list[int]]]:
    """Return the number of each sentence with its rows of attention; a row without a sentence is a group of its own."""
    assert report.attention is not None
    if report.attention.per == "sentence" and not report.rows:
        return [(i, [i]) for i in range(count)]
    rows = ((i, [row for row in report.attention_rows(i) if row < count]) for i in range(len(report.sentences)))
    return [(i, own) for i, own in rows if own]


def _real_regions(views: int, grid: tuple[int, int, int]) -> int:
    """Return the number of regions that share the attention; views that are absent get none."""
    return min(views, grid[0]) * grid[1] * grid[2]


def _names(report: Report) -> list[str]:
    return [Path(v).name for v in report.views]


def _headline(report: Report) -> str:
    tags = ", ".join(f"{name} {share:.2f}" for name, share in list(report.tags.items())[:5])
    findings = ", ".join(f"{name} {share:.2f}" for name, share in report.findings.items() if share >= 0.5)
    lines = (f"findings: {findings}" if findings else "", f"tags: {tags}" if tags else "")
    return "\n".join(printable(line) for line in lines if line)


def _caption(report: Report, row: int) -> tuple[str, str, str]:
    """Return the title, the text and the detail of one sentence."""
    assert report.attention is not None
    title = f"sentence {row + 1}"
    sentence = report.sentences[row] if row < len(report.sentences) else ""
    shares = report.attention.tags
    if shares is None or not report.attended_tags or report.attention.per == "word":
        return title, sentence, ""
    ranked = sorted(zip(shares[row].tolist(), report.attended_tags, strict=True), reverse=True)
    return title, sentence, "looks at tags: " + ", ".join(f"{name} {share:.2f}" for share, name in ranked[:3])


@literal_text()
def draw(panels: Sequence[Panel], *, columns: int = 0, title: str = "", size: float = PANEL) -> Image.Image:
    """Draw panels in a grid with one colour scale. `size` is the width of a panel in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [
        replace(p, title=printable(p.title, 60), text=printable(p.text), detail=printable(p.detail)) for p in panels
    ]
    columns = columns or min(4, len(panels))
    line = round(LINE * size / PANEL)
    rows = [panels[at : at + columns] for at in range(0, len(panels), columns)]
    head = [part for long in title.splitlines() for part in textwrap.wrap(long, line * columns)]
    weights = [p.weights for p in panels if p.weights is not None]
    width = GAP + columns * (size + GAP)
    above = GAP + HEAD * len(head)
    height = above + sum(_row_height(row, size, line) for row in rows) + (LEGEND if weights else 0.0)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib's methods have no types
    figure.text(GAP / width, 1 - GAP / 2 / height, "\n".join(head), fontsize=9, va="top", linespacing=1.3)
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
        _legend(figure, ((width - long) / 2 / width, 0.45 / height, long / width, 0.09 / height), top)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


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
    axes.set_title(panel.title, fontsize=8, loc="left", pad=3, color="0.35")
    below = {"xy": (0, 0), "xycoords": "axes fraction", "textcoords": "offset points", "va": "top", "linespacing": 1.2}
    axes.annotate(textwrap.fill(panel.text, line), xytext=(0, -4), fontsize=9, **below)
    under = -6 - 11 * _lines(panel.text, line)  # points
    axes.annotate(textwrap.fill(panel.detail, line + 5), xytext=(0, under), fontsize=7.5, color="0.4", **below)


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


def _legend(figure: Any, box: tuple[float, float, float, float], top: float) -> None:
    """Draw the colour scale over a middle grey, as the colours look on a radiograph."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    shown = ScalarMappable(Normalize(0, top), _colours(top))
    bar = figure.colorbar(shown, cax=figure.add_axes(box), orientation="horizontal")
    bar.ax.set_facecolor("0.45")
    bar.set_ticks([t for t in range(math.floor(top) + 1) if top < 12 or t % 5 == 0 or t == 1])
    bar.ax.tick_params(labelsize=8)
    bar.set_label("attention, in times of an even look", fontsize=8)


def small(image: Array) -> Array:
    """Return the radiograph with at most LONG_SIDE pixels a side."""
    return shrink(image, LONG_SIDE)


def radiographs(report: Report) -> list[Array]:
    """Return the grey images (H, W), 0..1, of a report: those it carries, else those of its files, made small."""
    return [small(image) for image in report.images] or [small(read_image(Path(v))) for v in report.views]
