"""Draw the attention of a model over the words of its report: shaded words next to the radiograph.

TieNet reads its own report with r attentions over the words, the rows of G. The large text is shaded by the largest
weight that any row gives a word (the saliency g of section 3.3), and the small texts below it by one row each. The
radiograph shows the spatial attention of the words, weighted by their saliency (equation 4). A colour shows how many
times uniform the attention to a word or a region is; words and regions have a legend each. A row without a preferred
word is not shaded, and says so.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reportgen_core import Report
from reportgen_core.text.printable import printable

from ..terminal.echo import literal_text
from .attention import Grid, describe_peak, is_pointed, peak, word_times
from .pictures import DPI, SCALE, Panel, draw_legend, draw_panel, radiographs, scale_ticks
from .shared.drawing import SIDE, Drawing
from .shared.origin import Origin

if TYPE_CHECKING:
    from reportgen_core.types import Array

WIDTH, IMAGE, MARGIN = 9.5, 3.4, 0.15  # inches: of the picture, of the radiograph, around it
LARGE, SMALL = 10.12, 7.36  # points: a character is 11 or 8 whole pixels wide
CELL = 0.602  # width of a character of DejaVu Sans Mono, as a share of its size
LINE = 1.75  # height of a line, in times of the size of its characters
LEAST_TOP = 2.0  # × uniform: the scale of the words reaches at least this far
UNDER = 2.35  # inches below the radiograph: what was drawn, two legends, the origin


def shows_words(report: Report) -> bool:
    """Whether the report has attention over its words."""
    return word_times(report) is not None


@literal_text()
def shaded(report: Report, grid: Grid, origin: Origin, side: int = SIDE) -> Drawing:
    """Draw the picture. `grid` is the encoder's (views, rows, columns). Raises ImageError if a file cannot be read.

    The radiograph has at most `side` pixels a side.
    """
    from matplotlib.figure import Figure

    report = replace(report, words=tuple(printable(word, 60) for word in report.words))
    times = word_times(report)
    assert times is not None
    top = max(LEAST_TOP, peak(times))
    blocks = [("", times.max(0), LARGE), *((f"row {i + 1}", row, SMALL) for i, row in enumerate(times))]
    room = WIDTH - IMAGE - 3 * MARGIN
    heights = [
        (_lines(report.words, size, room) * LINE + (1.9 if name else 3.0)) * size / 72 for name, _, size in blocks
    ]
    height = max(sum(heights) + 0.75, IMAGE + 0.4 + UNDER)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor="white")
    page = figure.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    page.set(xlim=(0, WIDTH), ylim=(height, 0))
    _radiograph(figure, report, grid, height, side)
    _heading(page, report, origin)
    _word_legend(page, (MARGIN, IMAGE + 1.72), top)
    y = 0.45
    for (name, weights, size), tall in zip(blocks, heights, strict=True):
        note = describe_peak(weights, "word")
        label = f"{name}: {note}" if name else f"words by the largest weight of any row: {note}"
        _block(page, report.words, weights, (IMAGE + 2 * MARGIN, y), size, room, top, label)
        y += tall
    return Drawing(figure, DPI)


def _radiograph(figure: Any, report: Report, grid: Grid, height: float, side: int) -> None:
    """Draw the first radiograph with the attention of the salient words, and its legend."""
    axes = figure.add_axes((MARGIN / WIDTH, 1 - (IMAGE + 0.4) / height, IMAGE / WIDTH, IMAGE / height))
    axes.set_axis_off()
    salient = _salient(report, grid)
    top = max(SCALE, 0.0 if salient is None else peak(salient))
    shown = salient if salient is not None and is_pointed(salient) else None
    detail = "" if salient is None else f"by the salient words: {describe_peak(salient)}"
    name = printable(Path(report.views[0]).name, 60)
    draw_panel(axes, Panel(radiographs(report, side)[0], shown, name, "", detail), top, 52)
    if shown is not None:
        box = (MARGIN / WIDTH, 1 - (IMAGE + 0.85) / height, IMAGE / WIDTH, 0.09 / height)
        draw_legend(figure, box, top, "regions")


def _salient(report: Report, grid: Grid) -> Array | None:
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


def _heading(page: Any, report: Report, origin: Origin) -> None:
    """Write the findings at the top, and the origin under the legends."""
    present = [f"{name} {share:.2f}" for name, share in report.findings.items() if share >= 0.5]
    likely = present or [f"{name} {share:.2f}" for name, share in list(report.findings.items())[:3]]
    start = "predicted findings: " if present else "no finding above 0.5; likeliest: "
    page.text(MARGIN, 0.2, start + printable(", ".join(likely)), fontsize=9)
    lines = textwrap.wrap(printable(origin.text()), 62)
    page.text(MARGIN, IMAGE + 2.2, "\n".join(lines), fontsize=6.5, color="0.3", va="top")


def _word_legend(page: Any, corner: tuple[float, float], top: float) -> None:
    """Draw a row of shaded numbers: the shades of words, from 1 to `top` times uniform."""
    from matplotlib.patches import Rectangle

    values = [float(t) for t in scale_ticks(top)] + ([top] if top % 1 > 0.05 else [])
    wide, (x, y) = IMAGE / len(values), corner
    page.text(x, y - 0.06, "words, × uniform: 1× is even, and not shaded", fontsize=8, va="bottom")
    for i, value in enumerate(values):
        colour = shade(value, top)
        place = (x + i * wide, y)
        page.add_patch(Rectangle(place, wide, 0.22, facecolor=colour or "white", edgecolor="0.45", linewidth=0.6))
        page.text(
            x + (i + 0.5) * wide, y + 0.11, f"{value:.1f}×".replace(".0", ""), fontsize=8, ha="center", va="center"
        )


def shade(times: float, top: float) -> Any:
    """Return the colour of a word with so many times uniform; None if it is not shaded. Black text is legible on it."""
    from matplotlib import colormaps

    strength = min(max((times - 1) / (top - 1), 0), 1)
    return colormaps["YlOrRd"](0.15 + 0.5 * strength**0.5) if strength > 0 else None


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
    """Draw one copy of the text with its words shaded by `weights`, if they prefer a word."""
    from matplotlib.patches import Rectangle

    sign, tall = size * CELL / 72, size * LINE / 72
    x0, y0 = corner
    page.text(x0, y0, name, fontsize=7, color="0.3", va="bottom")
    for word, weight, (x, line) in zip(words, weights.tolist(), _placed(words, size, room), strict=True):
        left, upper = x0 + x * sign, y0 + 0.04 + line * tall
        colour = shade(weight, top) if is_pointed(weights) else None
        if colour:
            corners = (left - 0.2 * sign, upper)
            page.add_patch(Rectangle(corners, (len(word) + 0.4) * sign, tall * 0.86, color=colour, linewidth=0))
        page.text(left, upper + 0.43 * tall, word, fontsize=size, family="DejaVu Sans Mono", va="center")
