"""Write files that explain a report: the attention of its sentences or words, its tags and its findings.

    STUDY.html                  a page that works offline: words, attention over the radiograph, tags, findings
    STUDY.png                   all sentences in one picture

and on request

    STUDY.words.png             the words shaded, if the model has attention over its own words
    STUDY/sentence-01.png …     the radiograph with the attention of one sentence
    STUDY/word-01.png …         the radiograph with the attention of one word, if the model attends word by word
    STUDY/tags.png              the attention of each sentence or word over the tags
    STUDY/attention.npz         the weights: regions (rows, views, rows, columns), tags (rows, M), words (r, T)
    STUDY/attention.json        the same as numbers with names

The colours are those of `pictures`: how many times even attention a region gets.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reportgen_core import Report
from reportgen_core.files.json_files import write_json
from reportgen_core.text.printable import printable

from ..terminal.echo import literal_text
from .pictures import OPACITY, SCALE, enlarge, explain, radiographs
from .shading import shaded, shows_words
from .shared.embedded import embedded_json

if TYPE_CHECKING:
    from reportgen_core.types import Array

HERE = Path(__file__).parent / "explain"
SIDE = 480  # pixels of the longer side of a radiograph in a page and in a single picture
BAND = 14  # pixels of the colour scale under a picture
CHINESE = ("Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Source Han Sans SC", "SimHei", "PingFang SC")
Grid = tuple[int, int, int]
OnProgress = Callable[[int, int], None]


def explain_study(report: Report, grid: Grid | None, out: Path, name: str) -> None:
    """Write the page of one report, and one picture if the encoder has a grid: `grid` is (views, rows, columns)."""
    images = [_shrunk(image) for image in radiographs(report)]
    html = page(report, grid, images, _weights(report, grid))
    (out / f"{name}.html").write_text(html, encoding="utf-8", errors="replace")
    if grid is not None:
        explain(report, grid).save(out / f"{name}.png")


def explain_all(
    report: Report, grid: Grid | None, values: dict[str, Any], out: Path, name: str, progress: OnProgress
) -> None:
    """Write a picture of each sentence and word, of the tags, and the numbers into the folder `name`.

    A report with attention over its own words also gets the picture of its shaded words. Call `progress` with the
    number of pictures written and of all pictures, first with 0.
    """
    images, weights = [_shrunk(image) for image in radiographs(report)], _weights(report, grid)
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    total = count_pictures(report, weights)
    progress(0, total)
    for done, (file, picture) in enumerate(pictures(report, images, weights), 1):
        picture.save(folder / file)
        progress(done, total)
    write_json(folder / "attention.json", {"grid": grid, **values}, sort=False)
    np.savez_compressed(folder / "attention.npz", **_arrays(report, grid))
    if grid is not None and shows_words(report):
        shaded(report, grid).save(out / f"{name}.words.png")


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


def _weights(report: Report, grid: Grid | None) -> Array | None:
    """Return the attention (rows, V, r, c) of each sentence or word over the V views, in times of even attention."""
    attention = report.attention
    if attention is None or attention.regions is None or grid is None:
        return None
    weights: Array = attention.regions.float().cpu().numpy().reshape(-1, *grid)[:, : len(report.views)]
    return weights * (min(len(report.views), grid[0]) * grid[1] * grid[2])


def _rows(report: Report, count: int) -> list[tuple[str, str, list[int]]]:
    """Return the file name, the text and the rows of attention of each sentence and word that has any of `count`."""
    attention = report.attention
    if attention is None:
        return []
    texts = [(f"sentence-{i + 1:02d}", s, list(report.attention_rows(i))) for i, s in enumerate(report.sentences)]
    if attention.per == "word":
        texts += [(f"word-{i + 1:02d}", word, [i]) for i, word in enumerate(report.words)]
    shown = ((name, text, [row for row in rows if row < count]) for name, text, rows in texts)
    return [(name, text, rows) for name, text, rows in shown if rows]


def pictures(report: Report, images: Sequence[Array], weights: Array | None) -> Iterator[tuple[str, Image.Image]]:
    """Yield the file name and the picture of each sentence and word, views side by side, and that of the tags."""
    if weights is not None:
        top = top_of(weights)
        for name, text, rows in _rows(report, len(weights)):
            yield f"{name}.png", _framed(images, weights[rows].mean(0), text, top)
    if _has_tags(report):
        yield "tags.png", strip(report)


def count_pictures(report: Report, weights: Array | None) -> int:
    """Return the number of pictures that `pictures` yields."""
    return (0 if weights is None else len(_rows(report, len(weights)))) + _has_tags(report)


def _has_tags(report: Report) -> bool:
    return report.attention is not None and report.attention.tags is not None and bool(report.attended_tags)


def top_of(weights: Array) -> float:
    """Return the end of the colour scale, in times of even attention."""
    return max(SCALE, float(weights.max()))


def _framed(images: Sequence[Array], weights: Array, text: str, top: float) -> Image.Image:
    """Draw the views with their attention (V, r, c), the text under them, and the colour scale."""
    shown = [Image.fromarray(blend(image, cells, top)) for image, cells in zip(images, weights, strict=False)]
    width = max(320, sum(s.width for s in shown) + 4 * (len(shown) - 1))
    text, font = _caption(printable(text), 15)
    lines = _wrapped(text, font, width - 12)
    height = max(s.height for s in shown)
    frame = Image.new("RGB", (width, height + 20 * len(lines) + BAND + 34), "white")
    x = 0
    for view in shown:
        frame.paste(view, (x, 0))
        x += view.width + 4
    draw = ImageDraw.Draw(frame)
    for i, line in enumerate(lines):
        draw.text((6, height + 4 + 20 * i), line, font=font, fill="black")
    y = height + 10 + 20 * len(lines)
    _scale(frame, draw, y, width, top)
    return frame


def _scale(frame: Image.Image, draw: ImageDraw.ImageDraw, y: int, width: int, top: float) -> None:
    """Draw the colours over a middle grey, with the meaning of their two ends."""
    steps = np.tile(np.linspace(1, top, width - 12), (BAND - 4, 1))
    frame.paste(Image.fromarray(_over(np.full(steps.shape, 0.45), steps, top)), (6, y))
    small = _font(12)
    draw.text((6, y + BAND - 2), "an even look or less", font=small, fill="#5d6b7a")
    end = f"{top:.1f} times an even look"
    draw.text((width - 6 - draw.textlength(end, font=small), y + BAND - 2), end, font=small, fill="#5d6b7a")


def blend(image: Array, weights: Array, top: float) -> Array:
    """Draw attention (rows, columns) over a radiograph (H, W), 0..1. Return (H, W, 3) bytes."""
    height, width = image.shape
    return _over(image, enlarge(weights, (height, width)), top)


def _over(grey: Array, weights: Array, top: float) -> Array:
    """Return the colours (H, W, 3) of weights (H, W), in times of even attention, over grey values (H, W), 0..1."""
    from matplotlib import colormaps

    strength = np.clip((weights - 1) / (top - 1), 0, 1)
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
def strip(report: Report) -> Image.Image:
    """Draw the attention of each sentence or word over the tags, one row each, with its scale."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    assert report.attention is not None
    assert report.attention.tags is not None
    shares = report.attention.tags.float().cpu().numpy()
    names = _row_names(report, len(shares))
    size = (3.6 + 0.34 * shares.shape[1], 1.9 + 0.24 * len(shares))
    figure = Figure(figsize=size, dpi=110, layout="constrained", facecolor="white")
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib's methods have no types
    axes: Any = figure.add_subplot()
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=max(float(shares.max()), 1e-6), aspect="auto")
    axes.set_xticks(
        range(shares.shape[1]), [printable(t, 40) for t in report.attended_tags], rotation=60, ha="right", fontsize=8
    )
    axes.set_yticks(range(len(names)), [printable(n if len(n) <= 44 else n[:43] + "…") for n in names], fontsize=8)
    bar = figure.colorbar(shown, ax=axes, fraction=0.05, pad=0.02)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("share of the look", fontsize=8)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _row_names(report: Report, rows: int) -> list[str]:
    """Return the sentence or word of each row of attention; "" for a row without one."""
    assert report.attention is not None
    if report.attention.per == "word":
        return [report.words[i] if i < len(report.words) else "" for i in range(rows)]
    texts = {r: text for i, text in enumerate(report.sentences) for r in report.attention_rows(i)}
    return [texts.get(i, "") for i in range(rows)]


def page(report: Report, grid: Grid | None, images: Sequence[Array], weights: Array | None) -> str:
    """Return the HTML page of one study. It loads no other file."""
    given = report.attention
    by_word = given is not None and given.per == "word" and bool(report.words)
    tags = None if given is None or given.tags is None or not report.attended_tags else given.tags.float().cpu()
    reads = None if given is None or given.words is None else given.words.float().cpu()[:, : len(report.words)]
    times = [t for t in (weights, None if reads is None else reads.numpy() * len(report.words)) if t is not None]
    values = {
        "grid": grid,
        "top": max([SCALE, *(float(t.max()) for t in times if t.size)]),
        "byword": by_word,
        "words": report.words,
        "sentences": [_sentence(report, i, by_word) for i in range(len(report.sentences))],
        "regions": None if weights is None else weights.reshape(len(weights), -1).round(3).tolist(),
        "tags": None if tags is None else tags.numpy().round(4).tolist(),
        "tagnames": report.attended_tags,
        "rownames": [] if tags is None else _row_names(report, len(tags)),
        "reads": None if reads is None else (reads.numpy() * len(report.words)).round(3).tolist(),
        "findings": list(report.findings.items()),
        "likely": list(report.tags.items())[:10],
        "images": [{"name": Path(v).name, "data": _jpeg(i)} for v, i in zip(report.views, images, strict=True)],
    }
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(printable(report.study, 300)),
        note=escape(
            printable(report.note) or "Weights are a model's own and prove nothing about causes. For research."
        ),
        data=embedded_json(values),
        script=(HERE / "page.js").read_text(encoding="utf-8"),
    )


def _sentence(report: Report, i: int, by_word: bool) -> dict[str, Any]:
    rows = list(report.attention_rows(i)) if report.attention is not None else []
    return {"text": report.sentences[i], "rows": rows, "words": rows if by_word else []}


def _shrunk(image: Array) -> Array:
    share = SIDE / max(image.shape)
    size = (max(1, round(image.shape[1] * share)), max(1, round(image.shape[0] * share)))
    return np.asarray(Image.fromarray(np.asarray(image, np.float32)).resize(size, Image.Resampling.BICUBIC)).clip(0, 1)


def _jpeg(image: Array) -> str:
    out = io.BytesIO()
    Image.fromarray((image * 255).astype(np.uint8)).save(out, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")
