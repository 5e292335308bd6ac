"""Draw the attention of a model over the words of its report: shaded words next to the radiograph.

TieNet reads its own report with r attentions over the words, the rows of G. The large text is shaded by the largest
weight that any row gives a word (the saliency g of section 3.3), and the small texts below it by one row each. The
radiograph shows the spatial attention of the words, weighted by their saliency (equation 4). A colour shows how many
times even attention a word or a region gets, as in `pictures`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from reportgen_core import Report
from reportgen_core.text.printable import printable

from ..terminal.echo import literal_text
from .pictures import DPI, Panel, draw_panel, radiographs

if TYPE_CHECKING:
    from reportgen_core.types import Array

WIDTH, IMAGE, MARGIN = 9.5, 3.4, 0.15  # inches: of the picture, of the radiograph, around it
LARGE, SMALL = 10.12, 7.36  # points: a character is 11 or 8 whole pixels wide
CELL = 0.602  # width of a character of DejaVu Sans Mono, as a share of its size
LINE = 1.75  # height of a line, in times of the size of its characters
TOP = 5.0  # times even attention at which a word has the full colour, at least


def shows_words(report: Report) -> bool:
    """Whether the report has attention over its words."""
    attention = report.attention
    return attention is not None and attention.words is not None and bool(report.words)


@literal_text()
def shaded(report: Report, grid: tuple[int, int, int]) -> Image.Image:
    """Draw the picture. `grid` is the encoder's (views, rows, columns). Raises ImageError if a file cannot be read."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    report = replace(report, words=tuple(printable(word, 60) for word in report.words))
    assert report.attention is not None
    assert report.attention.words is not None
    rows = report.attention.words.float().cpu().numpy()[:, : len(report.words)] * len(report.words)  # (r, T)
    blocks = [("", rows.max(0), LARGE), *((f"row {i + 1}", row, SMALL) for i, row in enumerate(rows))]
    room = WIDTH - IMAGE - 3 * MARGIN
    heights = [
        (_lines(report.words, size, room) * LINE + (1.2 if name else 2.0)) * size / 72 for name, _, size in blocks
    ]
    height = max(sum(heights) + 0.75, IMAGE + 0.8)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib's methods have no types
    axes = figure.add_axes((MARGIN / WIDTH, 1 - (IMAGE + 0.4) / height, IMAGE / WIDTH, IMAGE / height))
    axes.set_axis_off()
    image = radiographs(report)[0]
    salient = _salient(report, grid)
    top = max(TOP, float(rows.max()), 0.0 if salient is None else float(salient.max()))
    draw_panel(axes, Panel(image, salient, printable(Path(report.views[0]).name, 60)), top, 52)
    page = figure.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    page.set(xlim=(0, WIDTH), ylim=(height, 0))
    _heading(page, report, height)
    y = 0.45
    for (name, weights, size), tall in zip(blocks, heights, strict=True):
        _block(page, report.words, weights, (IMAGE + 2 * MARGIN, y), size, room, top, name)
        y += tall
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _salient(report: Report, grid: tuple[int, int, int]) -> Array | None:
    """Return equation 4 for the first view, in times of even attention: (rows, columns); None without attention."""
    attention = report.attention
    if attention is None or attention.regions is None or attention.words is None:
        return None
    regions = attention.regions.float().cpu().numpy()  # (T, N)
    saliency = attention.words.float().cpu().numpy().max(0)[: len(regions)]
    weights = saliency @ regions[: len(saliency)] / max(float(saliency.sum()), 1e-12)
    views = min(len(report.views), grid[0])
    first: Array = weights.reshape(grid)[0] * views * grid[1] * grid[2]
    return first


def _heading(page: Any, report: Report, height: float) -> None:
    """Write the findings at the top, and the meaning of the colours under the radiograph."""
    present = [f"{name} {share:.2f}" for name, share in report.findings.items() if share >= 0.5]
    likely = present or [f"{name} {share:.2f}" for name, share in list(report.findings.items())[:3]]
    page.text(
        MARGIN,
        0.2,
        ("findings: " if present else "none above 0.5; likeliest: ") + printable(", ".join(likely)),
        fontsize=9,
    )
    note = "words by the largest look of any row, then row by row;\nimage: where they looked, by the same"
    page.text(MARGIN, IMAGE + 0.5, note, fontsize=7, color="0.35", va="top")


def _placed(words: tuple[str, ...], size: float, room: float) -> list[tuple[float, int]]:
    """Return where each word begins, in characters from the left, and the number of its line."""
    most = int(room * 72 / (size * CELL))
    out, at, line = [], 0, 0
    for word in words:
        if at and at + len(word) > most:
            at, line = 0, line + 1
        out.append((at, line))
        at += len(word) + 1
    return [(float(x), n) for x, n in out]


def _lines(words: tuple[str, ...], size: float, room: float) -> int:
    return _placed(words, size, room)[-1][1] + 1


def _block(
    page: Any, words: tuple[str, ...], weights: Array, corner: tuple[float, float], size: float, room: float,
    top: float, name: str,
) -> None:  # fmt: skip
    """Draw one copy of the text with its words shaded by `weights`."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    sign, tall = size * CELL / 72, size * LINE / 72
    x0, y0 = corner
    if name:
        page.text(x0, y0, name, fontsize=size - 1, color="0.35", va="bottom")
    for word, weight, (x, line) in zip(words, weights.tolist(), _placed(words, size, room), strict=True):
        left, upper = x0 + x * sign, y0 + line * tall
        strength = min(max((weight - 1) / (top - 1), 0), 1)
        if strength > 0:
            colour = colormaps["YlOrRd"](0.1 + 0.55 * strength**0.5)
            box = Rectangle(
                (left - 0.2 * sign, upper), (len(word) + 0.4) * sign, tall * 0.86, color=colour, linewidth=0
            )
            page.add_patch(box)
        page.text(left, upper + 0.43 * tall, word, fontsize=size, family="DejaVu Sans Mono", va="center")
