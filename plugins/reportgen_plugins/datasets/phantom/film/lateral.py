"""Draw the same chest from the side: the person faces the left of the image, and the two lungs overlap."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from .body import Body
from .canvas import Floats, Rng, axes, cap, edge, rng, scatter, soft

TREES = 24
SPINE = 0.735  # place of the vertebral bodies, without the curve of the back


@dataclass(frozen=True, slots=True)
class Lateral:
    """A chest, and the places in it that findings need."""

    body: Body
    size: int
    opacity: Floats  # (size, size)
    x: Floats  # (1, size)
    y: Floats  # (size, 1)
    lung: Floats  # (size, size) 0..1, 1 where both lungs are on the ray
    halves: dict[str, Floats]  # by side, (size, size) 0..1
    texture: Floats  # (size, size)


def spine(body: Body, y: Floats | float) -> Floats:
    """Return the x of the middle of the vertebral bodies at each height."""
    h = np.asarray(y, np.float32) - np.float32(body.y)
    bent: Floats = np.float32(SPINE + body.x) + np.float32(0.050) * np.sin(
        (h - np.float32(0.02)) * np.float32(np.pi * 1.02)
    )
    return bent


def sternum(body: Body, y: Floats | float) -> Floats:
    """Return the x of the front of the lungs at each height."""
    h = np.asarray(y, np.float32) - np.float32(body.y)
    ahead = np.float32(0.16) * (h - np.float32(0.14)).clip(0) ** np.float32(0.9)
    return np.float32(0.245 + body.x) - ahead + np.float32(0.10) * (h - np.float32(0.62)).clip(0)


def dome(body: Body, side: str, x: Floats | float) -> Floats:
    """Return the height of this half of the diaphragm: high in front, low behind."""
    top = body.domes[side == "left"] - 0.035 + (0.012 if side == "left" else 0.0) + body.y
    t = np.asarray(x, np.float32) - np.float32(0.40 + body.x)
    behind = np.float32(0.70 * (0.4 + 0.6 * body.arch / 0.053)) * np.clip(t, 0, None) ** np.float32(1.6)
    before = np.float32(1.1) * np.clip(-t, 0, None) ** 2
    height: Floats = np.float32(top) + behind + before
    return height


def vessels(size: int, source: Rng) -> Floats:
    """Return the branching shadows (size, size) around the hilum: one tree of TREES."""
    return _vascular(size, int(source.integers(TREES)))


@functools.lru_cache(maxsize=TREES)
def _vascular(size: int, number: int) -> Floats:
    source = rng("lateral vessels", number)
    first, steps = 26, 44
    t = np.linspace(0, 1, steps)
    x, y = source.normal(0.50, 0.015, first), source.normal(0.43, 0.02, first)
    angle, length, calibre = source.uniform(0, 2 * np.pi, first), source.uniform(0.12, 0.3, first), np.full(first, 0.8)
    parts = []
    for _ in range(3):
        heading = angle[:, None] + source.normal(0, 0.4, angle.size)[:, None] * t
        step = length[:, None] / steps
        px, py = x[:, None] + np.cumsum(np.cos(heading) * step, 1), y[:, None] + np.cumsum(np.sin(heading) * step, 1)
        parts.append((px, py, calibre[:, None] * (1 - 0.6 * t) * np.minimum(1, step * 282)))
        at = source.integers(8, 40, (angle.size, 2))
        row = np.arange(angle.size)[:, None]
        x, y, angle = (
            px[row, at].ravel(),
            py[row, at].ravel(),
            (heading[row, at] + source.normal(0, 0.6, at.shape)).ravel(),
        )
        length, calibre = np.repeat(length, 2) * 0.6, np.repeat(calibre, 2) * 0.65
    sx, sy, weight = (np.concatenate([p[i].ravel() for p in parts]).astype(np.float32) for i in range(3))
    board = np.float32(0.5 * size / 256) * scatter(size, sx, sy, weight, 2)
    board.setflags(write=False)
    return board


def draw(body: Body, size: int, vascular: Floats) -> Lateral:
    """Return the chest of this person without findings, except those that changed its proportions."""
    x, y = axes(size)
    h = y - np.float32(body.y)
    front, back = sternum(body, y), spine(body, y) + np.float32(0.125)  # (size, 1)
    neck = soft(np.float32(0.12) - h, 0.20)
    chest = front - np.float32(0.045) + np.float32(0.13) * neck - np.float32(0.02) * soft(h - np.float32(0.6), 0.3)
    skin = edge(x - chest, 0.012)
    skin *= edge(back + np.float32(0.055) - np.float32(0.12) * neck - x, 0.012)
    halves, abdomen = _lungs(body, x, y, h, front, back)
    lung = halves["right"] + halves["left"]
    lung *= np.float32(0.5)
    arms = np.float32(0.75) * soft(np.float32(0.19) - h, 0.14)
    opacity = arms * edge(np.float32(0.26) - np.abs(x - np.float32(0.55)), 0.2)
    opacity += np.float32(1.0 + body.fat)
    opacity[-len(abdomen) :] += np.float32(0.45) * abdomen
    opacity *= 1 - np.float32(0.74 * body.air) * lung
    texture = vascular * lung
    opacity += texture
    _ribs(opacity, body, x, h, lung)
    for part, (left, top, right, bottom) in _PARTS.items():
        rows, columns = slice(int(top * size), int(bottom * size)), slice(int(left * size), int(right * size))
        part(opacity[rows, columns], body, x[:, columns], h[rows], lung[rows, columns])
    opacity *= skin
    return Lateral(body, size, opacity, x, y, lung, halves, texture)


def _lungs(
    body: Body, x: Floats, y: Floats, h: Floats, front: Floats, back: Floats
) -> tuple[dict[str, Floats], Floats]:
    """Return both lungs, (size, size) each, and the abdomen (its rows, size).

    The lungs end behind the sternum, in front of the ribs of the back, and at the diaphragm.
    """
    both = edge(x - front - np.float32(0.03), 0.02)
    both *= edge(back - np.float32(0.005) - x, 0.02)
    top = slice(0, int(0.5 * y.size))  # below it only the diaphragm bounds them
    ceiling = np.float32(body.apex + body.y) + np.float32(1.3) * (x - np.float32(0.55 + body.x)) ** 2
    both[top] *= edge(y[top] - ceiling, 0.03)
    low = slice(int((min(body.domes) + body.y - 0.06) * y.size), None)
    above = {side: edge(dome(body, side, x) - y[low], 0.010) for side in ("right", "left")}
    halves = {side: both.copy() for side in above}
    for side, half in halves.items():
        half[low] *= above[side]
    return halves, 1 - np.maximum(above["right"], above["left"])


def _ribs(opacity: Floats, body: Body, x: Floats, h: Floats, lung: Floats) -> None:
    """Add the ribs of both sides over the lungs, sloping down to the front."""
    rows, columns = slice(int(0.06 * x.size), int(0.96 * x.size)), slice(int(0.06 * x.size), int(0.94 * x.size))
    x, h = x[:, columns], h[rows]
    t = np.float32(0.85) - x
    phase = (h - np.float32(0.078 * body.ribs)) * np.float32(1 / 0.078) - (
        np.float32(0.20) * t + np.float32(0.75) * t * t
    ) * np.float32(1 / 0.078)
    for offset, strength in ((0.0, 0.085), (0.37, 0.06)):
        off = phase - np.rint(phase - np.float32(offset))
        off -= np.float32(offset)
        np.abs(off, out=off)
        band = edge(np.float32(0.20) - off, 0.10)
        band *= np.float32(strength)
        band *= lung[rows, columns]
        opacity[rows, columns] += band


def _heart(opacity: Floats, body: Body, x: Floats, h: Floats, lung: Floats) -> None:
    """Add the heart, in front on the diaphragm, then the arch and the descending aorta."""
    grown = (body.heart - 0.16) / 0.16
    dx, dh = x - np.float32(0.375 + body.x + 0.035 * grown), h - np.float32(0.635)
    along, across = dx * np.float32(0.80) + dh * np.float32(0.60), dh * np.float32(0.80) - dx * np.float32(0.60)
    far = (along * np.float32(1 / (0.142 * (1 + 0.6 * grown)))) ** 2 + (
        across * np.float32(1 / (0.175 * (1 + 0.4 * grown)))
    ) ** 2
    shade = np.float32(0.55) * np.sqrt(np.clip((1 - far) * np.float32(1.8), 0, 1))
    ring = np.sqrt((x - np.float32(0.54 + body.x)) ** 2 + (h - np.float32(0.36)) ** 2)
    swing = 0.085 + 0.016 * body.tortuous
    arch = edge(np.float32(0.026 + 0.008 * body.tortuous) - np.abs(ring - np.float32(swing)), 0.02) * soft(
        np.float32(0.37) - h, 0.04
    )
    wave = np.float32(0.022 * body.tortuous) * np.sin((h - np.float32(0.36)) * np.float32(9))
    middle = np.float32(0.54 + swing + body.x) + wave + np.float32(0.07) * (h - np.float32(0.36))
    down = edge(np.float32(0.026) - np.abs(x - middle), 0.02) * (
        soft(h - np.float32(0.36), 0.03) * soft(np.float32(0.70) - h, 0.2)
    )
    shade += np.float32(0.17 + 0.16 * body.tortuous) * np.maximum(arch, down)
    opacity += shade * (np.float32(0.12) + np.float32(0.88) * lung)


def _vertebrae(opacity: Floats, body: Body, x: Floats, h: Floats, lung: Floats) -> None:
    """Add vertebral bodies with discs between them: brighter under the shoulders, darker towards the diaphragm."""
    off = x - spine(body, h + np.float32(body.y))
    strength = np.float32(0.36) - np.float32(0.16) * h
    turn = np.cos(np.float32(2 * np.pi / 0.070) * h)
    opacity += edge(np.float32(0.040) - np.abs(off), 0.014) * (
        strength * (np.float32(0.45) + edge(turn + np.float32(0.55), 0.5)) / np.float32(1.45)
    )
    opacity += edge(np.float32(0.020) - np.abs(off - np.float32(0.085)), 0.02) * (
        np.float32(0.20) * np.clip(turn, 0, 1)
    )
    opacity += edge(np.float32(0.010) - np.abs(off - np.float32(0.132)), 0.012) * np.float32(0.28)


def _trachea(opacity: Floats, body: Body, x: Floats, h: Floats, lung: Floats) -> None:
    """Darken the trachea."""
    pipe = np.abs(x - np.float32(0.50 + body.x) - np.float32(0.16) * (h - np.float32(0.1)))
    opacity -= edge(np.float32(0.019) - pipe, 0.012) * (np.float32(0.17) * soft(np.float32(0.38) - h, 0.04))


def _hilum(opacity: Floats, body: Body, x: Floats, h: Floats, lung: Floats) -> None:
    """Brighten the hilum."""
    across, along = (x - np.float32(0.51 + body.x)) / np.float32(0.055), (h - np.float32(0.435)) / np.float32(0.07)
    opacity += np.float32(0.24) * soft(1 - across**2 - along**2, 1.2)


def _sternum(opacity: Floats, body: Body, x: Floats, h: Floats, lung: Floats) -> None:
    """Add the sternum."""
    front = sternum(body, h + np.float32(body.y)) + np.float32(0.010)
    ends = soft(h - np.float32(0.20), 0.04) * soft(np.float32(0.58) - h, 0.05) * np.float32(0.26)
    opacity += cap(((x - front) / np.float32(0.014)) ** 2) * ends


_PARTS = {  # parts that are drawn in one rectangle of the board only: left, top, right, bottom
    _heart: (0.12, 0.20, 0.85, 0.90),
    _vertebrae: (0.62, 0.0, 1.0, 1.0),
    _trachea: (0.42, 0.0, 0.66, 0.46),
    _hilum: (0.38, 0.28, 0.66, 0.60),
    _sternum: (0.10, 0.15, 0.34, 0.66),
}
