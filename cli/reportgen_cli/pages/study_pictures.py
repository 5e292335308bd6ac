"""Draw the single pictures of a report: the attention of one sentence or word each, and that over the tags.

Colours and numbers are those of `pictures`: × uniform. Each picture has its text, how pointed it is, the scale with
ticks, and at its foot where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFont

from reportgen_core import Report
from reportgen_core.text.printable import printable

from ..terminal.echo import literal_text
from .attention import (
    AttendedText,
    attended_sentences,
    attended_words,
    describe_peak,
    is_pointed,
    mean_times,
    row_names,
    tag_times,
)
from .pictures import BACKGROUND, OPACITY, SCALE, enlarge, scale_ticks
from .shared.drawing import Drawing, PictureForm
from .shared.origin import Origin

if TYPE_CHECKING:
    from reportgen_core.types import Array

DPI = 100  # of a single picture; its lengths are in pixels at this density
SIDE = 480  # of the longer side of a radiograph in a single picture
BAR = 10  # of the colour scale under a picture
POINT = 72 / DPI  # points of a pixel
CHINESE = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Source Han Sans SC", "SimHei", "PingFang SC")
SANS = ("DejaVu Sans",)
DIM = "#46525f"
MOST = 4.0  # × uniform: the ends of the scale of tags are this and its inverse


def study_pictures(
    report: Report, images: Sequence[Array], times: Array | None, origin: Origin, form: PictureForm
) -> Iterator[tuple[str, Drawing]]:
    """Yield the name and the picture of each sentence and word, views side by side, and that of the tags."""
    if times is not None:
        side, top = max(SIDE, round(SIDE * form.density / DPI)), top_of(times)
        shown = [shrunk(image, side) for image in images]
        for name, text in _named_texts(report, len(times)):
            yield name, _framed(shown, mean_times(times, text), text.text, top, origin)
    if tag_times(report) is not None:
        yield "tags", draw_tags(report, origin)


def count_pictures(report: Report, times: Array | None) -> int:
    """Return the number of pictures that `study_pictures` yields."""
    return (0 if times is None else len(_named_texts(report, len(times)))) + (tag_times(report) is not None)


def _named_texts(report: Report, count: int) -> list[tuple[str, AttendedText]]:
    """Return the file name and the text of each sentence and word that has one of `count` rows of attention."""
    texts = [(f"sentence-{s.number:02d}", s) for s in attended_sentences(report, count)]
    return texts + [(f"word-{w.number:02d}", w) for w in attended_words(report, count)]


def top_of(times: Array) -> float:
    """Return the end of the colour scale, × uniform."""
    return max(SCALE, float(times.max()))


def shrunk(image: Array, side: int) -> Array:
    """Return an image (H, W) whose longer side has `side` pixels."""
    share = side / max(image.shape)
    size = (max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share)))
    return np.asarray(Image.fromarray(np.asarray(image, np.float32)).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)


@literal_text()
def _framed(images: Sequence[Array], times: Array, text: str, top: float, origin: Origin) -> Drawing:
    """Draw the views with their attention (V, r, c), below them the text, the colour scale and the origin."""
    from matplotlib.figure import Figure

    drawn = times if is_pointed(times) else np.ones_like(times)
    shown = [blend(image, cells, top) for image, cells in zip(images, drawn, strict=False)]
    sizes = [(round(SIDE * s.shape[1] / max(s.shape)), round(SIDE * s.shape[0] / max(s.shape))) for s in shown]
    width = max(320, sum(w for w, _ in sizes) + 4 * (len(sizes) - 1))
    words, families = _caption(printable(text))
    lines = _wrapped(words, _font(15, families), width - 12)
    feet = _wrapped(origin.text(), _font(12), width - 12)
    tallest = max(h for _, h in sizes)
    height = tallest + 20 * len(lines) + BAR + 48 + 15 * len(feet)
    figure: Any = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    x = 0
    for view, (w, h) in zip(shown, sizes, strict=True):
        axes = figure.add_axes((x / width, 1 - h / height, w / width, h / height))
        axes.imshow(view, aspect="auto", interpolation="nearest")
        axes.set_axis_off()
        x += w + 4

    def write(y: float, line: str, size: int, colour: str, names: Sequence[str] = SANS) -> None:
        figure.text(6 / width, 1 - y / height, line, fontsize=size * POINT, color=colour, va="top", family=list(names))

    for i, line in enumerate(lines):
        write(tallest + 6 + 20 * i, line, 15, "black", families)
    y = tallest + 8 + 20 * len(lines)
    write(y, describe_peak(times), 12, DIM)
    _scale(figure, (6 / width, 1 - (y + 18 + BAR) / height, 1 - 12 / width, BAR / height), top)
    for i, line in enumerate(feet):
        write(y + BAR + 37 + 15 * i, line, 12, DIM)
    return Drawing(figure, DPI)


def _scale(figure: Any, place: tuple[float, float, float, float], top: float) -> None:
    """Draw the colours over a middle grey, with ticks below."""
    axes = figure.add_axes(place)
    steps = np.linspace(1, top, 256)[None]
    axes.imshow(_over(np.full(steps.shape, BACKGROUND), steps, top), aspect="auto", extent=(1, top, 0, 1))
    ticks = scale_ticks(top)
    axes.set_xticks(ticks, ["1× uniform" if t == 1 else f"{t}×" for t in ticks], fontsize=11 * POINT, color=DIM)
    axes.tick_params(length=3 * POINT, pad=2, color=DIM)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    labels = axes.get_xticklabels()
    labels[0].set_ha("left")
    if len(labels) > 1:
        labels[-1].set_ha("right" if ticks[-1] > 1 + 0.95 * (top - 1) else "center")


def blend(image: Array, times: Array, top: float) -> Array:
    """Draw attention (rows, columns), × uniform, over a radiograph (H, W), 0..1. Return (H, W, 3) bytes."""
    height, width = image.shape
    return _over(image, enlarge(times, (height, width)), top)


def _over(grey: Array, times: Array, top: float) -> Array:
    """Return the colours (H, W, 3) of weights (H, W), × uniform, over grey values (H, W), 0..1."""
    from matplotlib import colormaps

    strength = np.clip((times - 1) / (top - 1), 0, 1)
    colour = colormaps["YlOrRd"](0.25 + 0.75 * strength)[..., :3]
    share = (OPACITY * np.sqrt(strength))[..., None]
    mixed: Array = (255 * (grey[..., None] * (1 - share) + colour * share)).round().astype(np.uint8)
    return mixed


def _font(size: int, families: Sequence[str] = SANS) -> Any:
    """Return the last of the fonts, to measure texts of `size` pixels with."""
    from matplotlib import font_manager

    return ImageFont.truetype(font_manager.findfont(families[-1], fallback_to_default=False), size)


def _caption(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the text with fonts that have its letters. If there is no font for Chinese, return a hint to the page."""
    from matplotlib import font_manager

    if not any("\u2e80" <= c <= "\uffef" for c in text):
        return text, SANS
    for name in CHINESE:
        try:
            font_manager.findfont(name, fallback_to_default=False)
        except ValueError:  # no such font here
            continue
        return text, (*SANS, name)
    return "the page next to this folder has the words", SANS


def _wrapped(text: str, font: Any, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


@literal_text()
def draw_tags(report: Report, origin: Origin) -> Drawing:
    """Draw the attention of each sentence or word over the M tags, one row each.

    The middle of the scale, white, is 1/M: even attention. Tags with more are orange, tags with less are purple.
    """
    from matplotlib.figure import Figure

    times = tag_times(report)
    assert times is not None
    names = [printable(n if len(n) <= 44 else n[:43] + "…") for n in row_names(report, len(times))]
    size = (max(5.2, 3.9 + 0.36 * times.shape[1]), 2.6 + 0.24 * len(times))
    figure: Any = Figure(figsize=size, layout="constrained", facecolor="white")  # its methods have no types
    axes: Any = figure.add_subplot()
    octaves, ends = np.log2(np.maximum(times, 1e-6)), np.log2(MOST)
    shown = axes.imshow(octaves, cmap="PuOr_r", vmin=-ends, vmax=ends, aspect="auto")
    tags = [printable(t, 40) for t in report.attended_tags]
    axes.set_xticks(range(len(tags)), tags, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    if times.shape[1] <= 30 and len(times) <= 60:
        for (i, k), value in np.ndenumerate(times):
            dark = abs(octaves[i, k]) > 0.65 * ends
            axes.text(k, i, f"{value:.1f}", ha="center", va="center", fontsize=6, color="white" if dark else "black")
    bar = figure.colorbar(shown, ax=axes, fraction=0.05, pad=0.02, ticks=[-2, -1, 0, 1, 2], extend="both")
    bar.ax.set_yticklabels(["¼×", "½×", f"1×: 1/{times.shape[1]}", "2×", "4×"], fontsize=7)
    axes.set_title(f"attention over tags, × uniform: {describe_peak(times, 'tag')}", fontsize=8, loc="left")
    figure.supxlabel(_folded(origin, size[0]), fontsize=6.5, color="0.3", x=0.01, ha="left")
    return Drawing(figure, 110)


def _folded(origin: Origin, width: float) -> str:
    """Return the origin in lines for a picture of so many inches."""
    import textwrap

    return "\n".join(printable(line) for line in textwrap.wrap(origin.text(), round(19 * width)))
