"""Draw the pictures of a fingerprint as SVG inside the page: bars, a curve, and sizes. Colours come from the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..pages.shared.frame import escape_text
from .numbers import Spread, percent

WIDE, TALL = 360, 190  # of a picture, in its own units
LEFT, RIGHT, TOP, FOOT = 44, 10, 14, 34  # the space around its axes


def histogram(spread: Spread, unit: str, limit: int = 0) -> str:
    """Return the bars of a spread; what lies above `limit` has another colour, and the limit a line."""
    most = max(spread.bins)
    step = (WIDE - LEFT - RIGHT) / len(spread.bins)
    bars, beyond = "", ""
    for i, n in enumerate(spread.bins):
        first, last = i * spread.width, (i + 1) * spread.width - 1
        kind = "bar over" if limit and first > limit else "bar"
        height = _height(n, most)
        words = f"{first} {unit}: {n}" if first == last else f"{first} to {last} {unit}: {n}"
        bars += (
            f'<rect class="{kind}" x="{LEFT + i * step:.1f}" y="{TALL - FOOT - height:.1f}" width="{step * 0.88:.1f}" '
            f'height="{height:.1f}"><title>{escape_text(words)}</title></rect>'
        )
    at = LEFT + step * (limit + 1) / spread.width
    if limit and at < WIDE - RIGHT:
        end = ' text-anchor="end"' if at > WIDE / 2 else ""
        x = at - 4 if end else at + 4
        beyond = (
            f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 6}" y2="{TALL - FOOT}"/>'
            f'<text x="{x:.1f}" y="{TOP}"{end}>limit {limit}</text>'
        )
    ends = [(i, i * spread.width) for i in _ticks(len(spread.bins))]
    marks = "".join(
        f'<text x="{LEFT + (i + 0.44) * step:.1f}" y="{TALL - FOOT + 14}" text-anchor="middle">{value:,}</text>'
        for i, value in ends
    )
    words = f"{unit} of a report: median {spread.median}, 95 % have at most {spread.p95}, the longest {spread.greatest}"
    return picture(words, _axes(most, unit, "reports") + bars + beyond + marks)


def curve(points: Sequence[tuple[int, int]], across: str, up: str) -> str:
    """Return a curve from the origin through points."""
    wide, tall = points[-1]
    width, height = WIDE - LEFT - RIGHT, TALL - FOOT - TOP
    places = [(LEFT + width * x / wide, TALL - FOOT - height * y / tall) for x, y in [(0, 0), *points]]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(
        f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="2.5"><title>{x:,} {across}: {y:,} {up}</title></circle>'
        for (px, py), (x, y) in zip(places[1:], points, strict=True)
    )
    return picture(
        f"{up} after {wide:,} {across}: {tall:,}",
        _axes(tall, across, up) + f'<polyline class="line" points="{line}"/>{dots}{_marks(wide)}',
    )


def size_map(sizes: Mapping[str, int], sampled: int) -> str:
    """Return width and height of images as circles whose area grows with their number; names are "height x width"."""
    sides = [(int(w), int(h), n) for name, n in sizes.items() for h, w in [name.split(" x ")]]
    longest = max(max(w, h) for w, h, _ in sides) * 1.1
    width, height = WIDE - LEFT - RIGHT, TALL - FOOT - TOP
    dots = ""
    for w, h, n in sorted(sides, key=lambda side: -side[2]):
        r = 3 + 9 * (n / sampled) ** 0.5
        words = f"{w} wide, {h} high: {n} images"
        x, y = LEFT + width * w / longest, TALL - FOOT - height * h / longest
        dots += f'<circle class="size" cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"><title>{words}</title></circle>'
    return picture(
        f"width and height of {sampled} images", _axes(round(longest), "pixels wide", "high") + dots + _marks(longest)
    )


def bar_rows(rows: Sequence[tuple[str, Sequence[tuple[str, int]], str]], whole: int) -> str:
    """Return a table with a bar for each row: its name, its parts by class, and words. `whole` is the full width."""
    body = ""
    for name, parts, words in rows:
        bars = "".join(f'<i class="{kind}" style="width:{100 * n / max(whole, 1):.2f}%"></i>' for kind, n in parts if n)
        body += (
            f'<tr><th scope="row">{escape_text(name)}</th><td><span class="stack" aria-hidden="true">{bars}</span></td>'
            f'<td class="number">{escape_text(words)}</td></tr>'
        )
    return f'<div class="scroll"><table class="bars"><tbody>{body}</tbody></table></div>'


def count_rows(counts: Mapping[str, int], whole: int) -> str:
    """Return counts as rows with bars and shares of `whole`."""
    return bar_rows([(k, [("part", n)], f"{n:,} ({percent(n, whole)})") for k, n in counts.items()], whole)


def _height(n: int, most: int) -> float:
    return (TALL - FOOT - TOP) * n / most


def _ticks(bins: int) -> list[int]:
    """Return the bins that have a number below them: at most seven."""
    return list(range(0, bins, -(-bins // 7)))


def _marks(greatest: float) -> str:
    """Return the numbers below an axis that reaches from 0 to `greatest`."""
    width = WIDE - LEFT - RIGHT
    return "".join(
        f'<text x="{LEFT + width * s:.1f}" y="{TALL - FOOT + 14}" text-anchor="{side}">{round(greatest * s):,}</text>'
        for s, side in ((0, "middle"), (0.5, "middle"), (1, "end"))
    )


def _axes(most: int, across: str, up: str) -> str:
    base, end = TALL - FOOT, WIDE - RIGHT
    return (
        f'<line class="axis" x1="{LEFT}" x2="{end}" y1="{base}" y2="{base}"/>'
        f'<line class="axis" x1="{LEFT}" x2="{LEFT}" y1="{TOP}" y2="{base}"/>'
        f'<text x="{LEFT - 5}" y="{TOP + 4}" text-anchor="end">{most:,}</text>'
        f'<text x="{LEFT - 5}" y="{base}" text-anchor="end">0</text>'
        f'<text x="{(LEFT + end) / 2}" y="{TALL - 5}" text-anchor="middle">{escape_text(across)}</text>'
        f'<text x="12" y="{(TOP + base) / 2}" transform="rotate(-90 12 {(TOP + base) / 2})" text-anchor="middle">'
        f"{escape_text(up)}</text>"
    )


def picture(words: str, inner: str, tall: float = TALL) -> str:
    """Return an SVG that a screen reader reads as `words`, of `WIDE` by `tall` units."""
    return f'<svg class="chart" viewBox="0 0 {WIDE} {tall}" role="img" aria-label="{escape_text(words)}">{inner}</svg>'
