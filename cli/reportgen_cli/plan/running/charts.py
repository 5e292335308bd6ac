"""Draw scores with their intervals, and learning curves, as SVG inside the page. Colours come from the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...pages.shared.frame import escape_text
from ..charts import FOOT, LEFT, RIGHT, TALL, TOP, WIDE, picture
from .result import Interval

ROW, NAMES = 34, 128  # height of a row, and the space of the names, in units of the picture
TICKS = 4


@dataclass(frozen=True, slots=True)
class Point:
    """A row of a picture of scores."""

    name: str
    validation: Interval | None
    test: Interval | None
    chosen: bool
    baseline: bool


def interval_rows(points: Sequence[Point]) -> str:
    """Return scores as dots with their intervals, a row each: validation above, test below it."""
    ends = [v for p in points for i in (p.validation, p.test) if i for v in i if v is not None]
    low, high = (min([0.0, *ends]), max(ends, default=1.0)) if ends else (0.0, 1.0)
    high = high if high > low else low + 1
    tall, wide = TOP + ROW * len(points) + 22, WIDE - NAMES - RIGHT

    def x(value: float) -> float:
        return NAMES + wide * (value - low) / (high - low)

    body = ""
    for step in range(TICKS + 1):
        value = low + (high - low) * step / TICKS
        anchor = "end" if step == TICKS else "middle"
        body += (
            f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP}" y2="{tall - 20}"/>'
            f'<text x="{x(value):.1f}" y="{tall - 6}" text-anchor="{anchor}">{value:.2f}</text>'
        )
    for number, point in enumerate(points):
        y = TOP + ROW * (number + 0.5)
        kind = "chosen" if point.chosen else "baseline" if point.baseline else ""
        name = escape_text(_short(point.name))
        body += f'<text class="name {kind}" x="{NAMES - 8}" y="{y + 4:.1f}" text-anchor="end">{name}</text>'
        for interval, mark, at in ((point.validation, "onval", y - 5), (point.test, "ontest", y + 6)):
            body += _dot(interval, mark, at, point.name, x) if interval else ""
    words = "; ".join(f"{p.name} {p.validation[0]:.3f}" for p in points if p.validation)
    return picture(words, body, tall)


def _short(name: str) -> str:
    return name if len(name) <= 20 else name[:19] + "…"


def _dot(interval: Interval, mark: str, y: float, name: str, x: Callable[[float], float]) -> str:
    value, low, high = interval
    split = "validation" if mark == "onval" else "test"
    line = ""
    if low is not None and high is not None:
        line = f'<line class="{mark}" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
    title = f"<title>{escape_text(f'{name}, {split}: {value:.3f}')}</title>"
    return f'{line}<circle class="{mark}" cx="{x(value):.1f}" cy="{y:.1f}" r="4">{title}</circle>'


def learning_curve(points: Sequence[tuple[int, float]], best: int) -> str:
    """Return the loss of each epoch as a line, with a mark at the best epoch."""
    low, high = min(v for _, v in points), max(v for _, v in points)
    high = high if high > low else low + 1
    first, last = points[0][0], points[-1][0]
    wide, tall = WIDE - LEFT - RIGHT, TALL - TOP - FOOT

    def place(epoch: int, value: float) -> tuple[float, float]:
        across = (epoch - first) / max(last - first, 1)
        return LEFT + wide * across, TOP + tall * (high - value) / (high - low)

    line = " ".join("{:.1f},{:.1f}".format(*place(e, v)) for e, v in points)
    base = TOP + tall
    marks = "".join(
        '<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="3.5"><title>epoch {}: {:.3f}</title></circle>'.format(
            *place(e, v), e, v
        )
        for e, v in points
        if e == best
    )
    axes = (
        f'<line class="axis" x1="{LEFT}" x2="{WIDE - RIGHT}" y1="{base}" y2="{base}"/>'
        f'<line class="axis" x1="{LEFT}" x2="{LEFT}" y1="{TOP}" y2="{base}"/>'
        f'<text x="{LEFT - 5}" y="{TOP + 4}" text-anchor="end">{high:.2f}</text>'
        f'<text x="{LEFT - 5}" y="{base}" text-anchor="end">{low:.2f}</text>'
        f'<text x="{LEFT}" y="{base + 14}">{first}</text>'
        f'<text x="{WIDE - RIGHT}" y="{base + 14}" text-anchor="end">{last}</text>'
        f'<text x="{(LEFT + WIDE - RIGHT) / 2}" y="{TALL - 5}" text-anchor="middle">epoch</text>'
    )
    words = f"validation loss from {points[0][1]:.3f} to {points[-1][1]:.3f}, best after epoch {best}"
    return picture(words, f'{axes}<polyline class="line" points="{line}"/>{marks}')
