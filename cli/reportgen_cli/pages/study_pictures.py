"""Draw the single pictures of a report: the attention of one sentence or word each, and that over the tags.

Colours and numbers are those of `pictures`: × uniform. Each picture has its text, how pointed it is, the scale with
ticks, and at its foot where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

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
from .shared.origin import Origin

if TYPE_CHECKING:
    from reportgen_core.types import Array

SIDE = 480  # pixels of the longer side of a radiograph in a single picture
BAR = 10  # pixels of the colour scale under a picture
CHINESE = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Source Han Sans SC", "SimHei", "PingFang SC")
DIM = "#46525f"
MOST = 4.0  # × uniform: the ends of the scale of tags are this and its inverse


def study_pictures(
    report: Report, images: Sequence[Array], times: Array | None, origin: Origin
) -> Iterator[tuple[str, Image.Image]]:
    """Yield the file name and the picture of each sentence and word, views side by side, and that of the tags."""
    if times is not None:
        shown, top = [shrunk(image, SIDE) for image in images], top_of(times)
        for name, text in _named_texts(report, len(times)):
            yield f"{name}.png", _framed(shown, mean_times(times, text), text.text, top, origin)
    if tag_times(report) is not None:
        yield "tags.png", draw_tags(report, origin)


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


def _framed(images: Sequence[Array], times: Array, text: str, top: float, origin: Origin) -> Image.Image:
    """Draw the views with their attention (V, r, c), below them the text, the colour scale and the origin."""
    drawn = times if is_pointed(times) else np.ones_like(times)
    shown = [Image.fromarray(blend(image, cells, top)) for image, cells in zip(images, drawn, strict=False)]
    width = max(320, sum(s.width for s in shown) + 4 * (len(shown) - 1))
    words, font = _caption(printable(text), 15)
    little = _font(12)
    lines, feet = _wrapped(words, font, width - 12), _wrapped(origin.text(), little, width - 12)
    height = max(s.height for s in shown)
    frame = Image.new("RGB", (width, height + 20 * len(lines) + BAR + 48 + 15 * len(feet)), "white")
    x = 0
    for view in shown:
        frame.paste(view, (x, 0))
        x += view.width + 4
    pen = ImageDraw.Draw(frame)
    for i, line in enumerate(lines):
        pen.text((6, height + 4 + 20 * i), line, font=font, fill="black")
    y = height + 6 + 20 * len(lines)
    pen.text((6, y), describe_peak(times), font=little, fill=DIM)
    _scale(frame, pen, y + 18, width, top)
    for i, line in enumerate(feet):
        pen.text((6, y + BAR + 36 + 15 * i), line, font=little, fill=DIM)
    return frame


def _scale(frame: Image.Image, pen: ImageDraw.ImageDraw, y: int, width: int, top: float) -> None:
    """Draw the colours over a middle grey, with ticks below."""
    steps = np.tile(np.linspace(1, top, width - 12), (BAR, 1))
    frame.paste(Image.fromarray(_over(np.full(steps.shape, BACKGROUND), steps, top)), (6, y))
    little, ends = _font(11), width - 6
    for tick in scale_ticks(top):
        x = 6 + (tick - 1) / (top - 1) * (width - 13)
        label = "1× uniform" if tick == 1 else f"{tick}×"
        pen.line((x, y + BAR, x, y + BAR + 3), fill=DIM)
        pen.text((min(x, ends - pen.textlength(label, font=little)), y + BAR + 3), label, font=little, fill=DIM)


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


def _font(size: int, name: str = "DejaVu Sans") -> Any:
    from matplotlib import font_manager

    return ImageFont.truetype(font_manager.findfont(name, fallback_to_default=False), size)


def _caption(text: str, size: int) -> tuple[str, Any]:
    """Return the text with a font that has its letters. If there is no font for Chinese, return a hint to the page."""
    if not any("\u2e80" <= c <= "\uffef" for c in text):
        return text, _font(size)
    for name in CHINESE:
        try:
            return text, _font(size, name)
        except ValueError:  # no such font here
            continue
    return "the page beside this folder has the words", _font(size)


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
def draw_tags(report: Report, origin: Origin) -> Image.Image:
    """Draw the attention of each sentence or word over the M tags, one row each.

    The middle of the scale, white, is 1/M: even attention. Tags with more are orange, tags with less are purple.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    times = tag_times(report)
    assert times is not None
    names = [printable(n if len(n) <= 44 else n[:43] + "…") for n in row_names(report, len(times))]
    size = (max(5.2, 3.9 + 0.36 * times.shape[1]), 2.6 + 0.24 * len(times))
    figure = Figure(figsize=size, dpi=110, layout="constrained", facecolor="white")
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib's methods have no types
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
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _folded(origin: Origin, width: float) -> str:
    """Return the origin in lines for a picture of so many inches."""
    import textwrap

    return "\n".join(printable(line) for line in textwrap.wrap(origin.text(), round(19 * width)))
