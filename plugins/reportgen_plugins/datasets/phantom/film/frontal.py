"""Draw a healthy chest from the front: the person's right is on the left of the image, as radiologists view it.

Each part is an opacity on the whole board. It depends on the distance to an edge, which is a function of the height or
of the distance from the middle. Only the vessels are drawn point by point.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np

from .body import Body
from .canvas import Floats, Rng, axes, cap, edge, rng, scatter, soft

RIB = 0.076  # distance between two ribs
TREES = 24  # different trees of vessels for each lung
SIGN = {"right": -1.0, "left": 1.0}  # sign of the distance from the middle


@dataclass(frozen=True, slots=True)
class Frontal:
    """A chest, and the places in it that findings need."""

    body: Body
    size: int
    opacity: Floats  # (size, size)
    u: Floats  # (size, size) distance from the middle, positive on the person's left
    y: Floats  # (size, 1)
    lungs: dict[str, Floats]  # by side, (size, size) 0..1
    outer: Floats  # (size, 1) distance of the rib cage from the middle
    texture: Floats  # (size, size) opacity of the vessels

    def x(self, u: float, y: float) -> float:
        """Return the x of the place at height y and this distance from the middle."""
        return middle(self.body, y) + u


def middle(body: Body, y: float) -> float:
    """Return the x of the middle of the person at height y."""
    return 0.5 + body.x + body.tilt * (y - 0.5)


def dome(body: Body, side: str, v: float) -> float:
    """Return the height of the diaphragm at this distance from the middle."""
    return float(_dome(body, side, np.array([[v]], np.float32))[0, 0])


def _dome(body: Body, side: str, v: Floats) -> Floats:
    top = body.domes[side == "left"] + body.y
    return np.float32(top) + np.float32(body.arch / 0.16**2) * (v - np.float32(0.16 + 0.02 * (side == "left"))) ** 2


def vessels(size: int, source: Rng) -> Floats:
    """Return the branching shadows (size, size) around both hila, visible in the lungs: two trees of TREES."""
    right, left = (_vascular(size, sign, int(source.integers(TREES))) for sign in SIGN.values())
    return np.concatenate([right[:, : size // 2], left[:, size // 2 :]], 1)


@functools.lru_cache(maxsize=2 * TREES)
def _vascular(size: int, sign: float, number: int) -> Floats:
    x, y, weight = _tree(sign, rng("vessels", sign, number))
    near = weight > 0.45
    board: Floats = np.float32(0.75) * scatter(size, x[near], y[near], weight[near], 3)
    board += np.float32(0.42) * scatter(size, x[~near], y[~near], weight[~near], 1)
    board *= np.float32(size / 256)
    board.setflags(write=False)
    return board


def _tree(sign: float, source: Rng) -> tuple[Floats, Floats, Floats]:
    """Return points on the vessels of one lung, with their calibre: four generations, each at an angle to the last."""
    steps, first = 40, 11
    angle = np.linspace(-1.4, 1.45, first) + source.normal(0, 0.12, first)
    x, y = source.uniform(0.06, 0.09, first), np.linspace(0.40, 0.48, first) + 0.02 * (sign < 0)
    length, calibre = source.uniform(0.17, 0.27, first), np.full(first, 1.0)
    parts = []
    t = np.linspace(0, 1, steps)
    for _ in range(4):
        bend = source.normal(0, 0.35, angle.size)
        heading = angle[:, None] + bend[:, None] * t
        step = length[:, None] / steps
        px = x[:, None] + np.cumsum(np.cos(heading) * step, 1)
        py = y[:, None] + np.cumsum(np.sin(heading) * step, 1)
        parts.append((px, py, calibre[:, None] * (1 - 0.55 * t) * np.minimum(1, step * 256 * 1.1)))
        at = np.stack([source.integers(8, 20, angle.size), source.integers(20, 38, angle.size)], 1)
        row = np.arange(angle.size)[:, None]
        x, y = px[row, at].ravel(), py[row, at].ravel()
        turn = source.uniform(0.35, 0.8, at.shape) * np.where(source.random(at.shape) < 0.5, -1, 1)
        angle = (heading[row, at] + turn).ravel()
        length, calibre = np.repeat(length, 2) * 0.62, np.repeat(calibre, 2) * 0.62
    sx, sy, weight = (np.concatenate([p[i].ravel() for p in parts]).astype(np.float32) for i in range(3))
    return np.float32(0.5) + np.float32(sign) * sx, sy, weight


def draw(body: Body, size: int, vascular: Floats) -> Frontal:
    """Return the chest of this person without findings, except those that changed its proportions."""
    x, y = axes(size)
    u = x - (np.float32(0.5 + body.x) + np.float32(body.tilt) * (y - np.float32(0.5)))  # (size, size)
    v = np.abs(u)
    h = y - np.float32(body.y)  # heights of the person
    outer = _cage(body, h)
    lungs = _lungs(body, u, v, y, h, outer)
    both = lungs["right"] + lungs["left"]
    skin = edge(_outline(body, h) - v, 0.012)
    opacity = np.float32(0.25) * edge(np.float32(0.30) - v, 0.5)
    opacity += np.float32(0.95 + body.fat)
    _abdomen(opacity, body, u, v, y)
    opacity *= 1 - np.float32(0.80 * body.air) * both
    texture = vascular * both
    opacity += texture
    rows = slice(int(0.06 * size), int(0.92 * size))
    opacity[rows] += _ribs(body, v[rows], h[rows], outer[rows])
    _shoulders(opacity, body, v, h)
    if body.breasts:
        _breasts(opacity, body, v, h)
    opacity *= skin
    for part, (left, top, right, bottom) in _MIDDLE.items():
        rows, columns = slice(int(top * size), int(bottom * size)), slice(int(left * size), int(right * size))
        part(opacity[rows, columns], body, u[rows, columns], h[rows], both[rows, columns])
    return Frontal(body, size, opacity, u, y, lungs, outer, texture)


def _cage(body: Body, h: Floats) -> Floats:
    """Return half the inner width (size, 1) of the rib cage at each height: narrow at the apex, widest low."""
    t = np.clip((h - np.float32(body.apex - 0.01)) / np.float32(0.70 - body.apex), 0, 1)
    flare: Floats = np.float32(body.width) * (1 - (1 - t) ** np.float32(2.5)) ** np.float32(0.55)
    return flare + np.float32(0.012) * (h - np.float32(0.7)).clip(0)


def _lungs(body: Body, u: Floats, v: Floats, y: Floats, h: Floats, outer: Floats) -> dict[str, Floats]:
    """Return each lung as (size, size), 0 outside to 1 inside."""
    inner = np.float32(0.052) + np.float32(0.022) * np.exp(-(((h - np.float32(0.44)) / np.float32(0.09)) ** 2))
    inner = inner + np.float32(0.012) * (h - np.float32(0.45)).clip(0) / np.float32(0.3)
    lung = edge(outer - v, 0.014)
    lung *= edge(v - inner, 0.016)
    top = np.float32(1.9) * (v - np.float32(0.135)) ** 2
    lung *= edge(y - np.float32(body.y + body.apex) - top, 0.014)
    half = (
        int((0.5 + body.x - abs(body.tilt) / 2) * u.shape[1]),
        int((0.5 + body.x + abs(body.tilt) / 2) * u.shape[1]) + 1,
    )
    lungs = {}
    for side, columns in (("right", slice(0, half[1])), ("left", slice(half[0], None))):
        one = np.zeros_like(lung)
        one[:, columns] = lung[:, columns] * edge(_dome(body, side, v[:, columns]) - y, 0.010)
        one[:, columns] *= u[:, columns] * np.float32(SIGN[side]) > 0
        lungs[side] = one
    return lungs


def _outline(body: Body, h: Floats) -> Floats:
    """Return half the width (size, 1) of the body at each height: neck, shoulders, chest."""
    neck = np.float32(0.105)
    shoulders = np.float32(0.40) * soft(h - np.float32(0.085), 0.15)
    waist = np.float32(0.075) * soft(h - np.float32(0.36), 0.30)
    return neck + shoulders - waist + np.float32(body.width - 0.365)


def _abdomen(opacity: Floats, body: Body, u: Floats, v: Floats, y: Floats) -> None:
    """Brighten the area under the diaphragm."""
    rows = slice(int((min(body.domes) + body.y - 0.03) * u.shape[0]), None)
    u, v, y = u[rows], v[rows], y[rows]
    opacity[rows] += np.float32(0.45) * edge(y - np.where(u < 0, _dome(body, "right", v), _dome(body, "left", v)), 0.01)


def _ribs(body: Body, v: Floats, h: Floats, outer: Floats) -> Floats:
    """Return (rows, size) the posterior ribs, sloping outwards, and the fainter anterior ribs, sloping inwards."""
    back = v * np.float32(-1.15 / RIB)
    back += np.float32(0.16 / RIB)
    back *= v
    back += (h - np.float32(0.12 + RIB * body.ribs)) * np.float32(1 / RIB)
    opacity = _bands(back, 0.23)
    opacity *= edge(v - np.float32(0.035), 0.03)
    opacity *= np.float32(0.17)
    front = v * np.float32(0.62 / (RIB * 1.12))
    front += (h - np.float32(0.37 + RIB * body.ribs)) * np.float32(1 / (RIB * 1.12))
    ahead = _bands(front, 0.27)
    ahead *= edge(v - np.float32(0.15), 0.06)
    ahead *= np.float32(0.10) * soft(h - np.float32(0.26), 0.1)
    opacity += ahead
    opacity += edge(np.float32(0.016) - np.abs(v - outer - np.float32(0.008)), 0.014) * np.float32(0.10)
    opacity *= edge(outer + np.float32(0.022) - v, 0.02)
    opacity *= soft(h - np.float32(body.apex - 0.02), 0.05)
    return opacity


def _bands(phase: Floats, half: float) -> Floats:
    """Return 1 inside bands around the whole numbers, and a little more at their edges, as in bone."""
    off = phase - np.rint(phase)
    np.abs(off, out=off)
    band = edge(np.float32(half) - off, 0.10)
    off *= off
    off *= np.float32((0.5 / half) ** 2)
    off += np.float32(0.85)
    band *= off
    return band


def _shoulders(opacity: Floats, body: Body, v: Floats, h: Floats) -> None:
    """Add clavicles, shoulder blades and the heads of the arms to the upper part."""
    rows = slice(0, int(0.5 * v.shape[0]))
    v, h, opacity = v[rows], h[rows], opacity[rows]
    blade = np.float32(0.335) + (h - np.float32(0.16)) ** 2
    broad = edge(v - blade, 0.02) * edge(np.float32(0.46) - v, 0.03)
    opacity += broad * (np.float32(0.11) * soft(np.float32(0.42) - h, 0.14) * soft(h - np.float32(0.15), 0.05))
    rows = slice(0, int(0.30 * 2 * v.shape[0]))
    v, h, opacity = v[rows], h[rows], opacity[rows]
    head = ((v - np.float32(0.44)) / np.float32(0.055)) ** 2 + ((h - np.float32(0.185)) / np.float32(0.06)) ** 2
    opacity += np.float32(0.30) * cap(head)
    t = np.clip((v - np.float32(0.045)) / np.float32(0.36), 0, 1)
    bone = np.float32(0.215) - np.float32(0.105) * t - np.float32(0.10) * t * (t - np.float32(0.5)) * (t - 1)
    thick = cap(((h - bone) / np.float32(0.0165)) ** 2)
    opacity += np.float32(0.28) * thick * edge(v - np.float32(0.045), 0.01) * edge(np.float32(0.405) - v, 0.02)


def _breasts(opacity: Floats, body: Body, v: Floats, h: Floats) -> None:
    """Add the breasts over the lower lungs."""
    rows = slice(int(0.40 * v.shape[0]), int(0.85 * v.shape[0]))
    v, h = v[rows], h[rows]
    far = ((v - np.float32(0.19)) / np.float32(0.17)) ** 2 + ((h - np.float32(0.60)) / np.float32(0.16)) ** 2
    fold = edge(np.float32(0.72) + v * np.float32(0.4) - h, 0.06)
    opacity[rows] += np.float32(body.breasts) * soft(1 - far, 0.5) * fold


def _spine(opacity: Floats, body: Body, u: Floats, h: Floats, lung: Floats) -> None:
    """Add vertebral bodies with discs between them, pedicles, and spinous processes."""
    bent = np.abs(u - np.float32(body.curve) * np.sin(np.float32(2.4 * np.pi) * (h - np.float32(0.2))))
    turn = np.cos(np.float32(2 * np.pi / 0.062) * h)  # (size, 1)
    opacity += edge(np.float32(0.042) - bent, 0.012) * (np.float32(0.24) + np.float32(0.06) * turn)
    eyes = edge(np.float32(0.009) - np.abs(bent - np.float32(0.024)), 0.010)
    opacity += eyes * (np.float32(0.16) * np.clip(turn, 0, 1))
    opacity += edge(np.float32(0.006) - bent, 0.008) * (np.float32(0.12) * np.clip(-turn, 0, 1))


def _heart(opacity: Floats, body: Body, u: Floats, h: Floats, lung: Floats) -> None:
    """Add the heart on the diaphragm, its tip to the left; a wider heart grows more to the left than to the right."""
    grown = (body.heart - 0.16) / 0.16
    du, dh = u - np.float32(0.050 + 0.040 * grown), h - np.float32(0.645 - 0.01 * grown)
    cos, sin = 0.86, 0.51
    along, across = du * np.float32(cos) + dh * np.float32(sin), dh * np.float32(cos) - du * np.float32(sin)
    along *= np.float32(1 / (body.heart * 1.08))
    across *= np.float32(1 / (0.132 * (1 + 0.35 * grown)))
    along *= along
    across *= across
    along += across
    near = np.clip((1 - along) * np.float32(2.5), 0, 1)
    opacity += np.sqrt(near) * (np.float32(0.10) + np.float32(0.75) * lung)


def _aorta(opacity: Floats, body: Body, u: Floats, h: Floats, lung: Floats) -> None:
    """Add the arch, the ascending and descending aorta, and the pulmonary trunk below the arch."""
    knob = _ball(u - np.float32(0.052), h - np.float32(0.305), body.knob, body.knob * 1.05) * np.float32(0.55)
    trunk = _ball(u - np.float32(0.050), h - np.float32(0.400), 0.042, 0.060) * np.float32(0.40)
    wave = np.float32(0.040 * body.tortuous) * np.sin((h - np.float32(0.30)) * np.float32(8.5))
    span = soft(h - np.float32(0.30), 0.03) * soft(np.float32(0.72) - h, 0.06) * np.float32(0.18 + 0.22 * body.tortuous)
    down = edge(np.float32(0.028) - np.abs(u - np.float32(0.046) - wave), 0.012) * span
    shade = np.maximum(np.maximum(knob, trunk), down)
    if body.tortuous:
        bulge = _ball(u + np.float32(0.05), h - np.float32(0.40), 0.062, 0.12)
        shade = np.maximum(shade, np.float32(0.46 * body.tortuous) * bulge)
    opacity += shade * (np.float32(0.25) + np.float32(0.75) * lung)


def _ball(du: Floats, dh: Floats, a: float, b: float) -> Floats:
    """Return 1 inside an ellipse, less near its edge, 0 outside."""
    inside: Floats = np.minimum(cap((du / np.float32(a)) ** 2 + (dh / np.float32(b)) ** 2) * np.float32(1.8), 1)
    return inside


def _airways(opacity: Floats, body: Body, u: Floats, h: Floats, lung: Floats) -> None:
    """Darken the trachea down to its fork, and the two main bronchi; brighten the hila."""
    v = np.abs(u)
    opacity -= edge(np.float32(0.019) - np.abs(u + np.float32(0.004)), 0.010) * (
        np.float32(0.36) * soft(np.float32(0.375) - h, 0.02)
    )
    fork = np.abs(v - (h - np.float32(0.365)) * np.float32(1.1))
    opacity -= edge(np.float32(0.011) - fork, 0.010) * (
        np.float32(0.20) * soft(h - np.float32(0.36), 0.01) * soft(np.float32(0.44) - h, 0.03)
    )
    height = np.where(u < 0, np.float32(0.455), np.float32(0.435))
    hila = ((v - np.float32(0.088)) / np.float32(0.038)) ** 2 + ((h - height) / np.float32(0.060)) ** 2
    opacity += np.float32(0.20) * soft(1 - hila, 1.3)


def _bubble(opacity: Floats, body: Body, u: Floats, h: Floats, lung: Floats) -> None:
    """Darken the air in the stomach, under the left dome."""
    top = np.float32(dome(body, "left", 0.17) - body.y + 0.030)
    far = ((u - np.float32(0.165)) / np.float32(0.06)) ** 2 + ((h - top - np.float32(0.02)) / np.float32(0.026)) ** 2
    far += np.float32(1.5) * edge(top - h, 0.03)
    opacity -= np.float32(0.55) * soft(1 - far, 0.6)


_MIDDLE = {  # parts that are drawn in one rectangle of the board only: left, top, right, bottom
    _spine: (0.36, 0.0, 0.64, 1.0),
    _heart: (0.15, 0.35, 0.95, 0.95),
    _aorta: (0.35, 0.20, 0.70, 0.80),
    _airways: (0.28, 0.0, 0.72, 0.62),
    _bubble: (0.50, 0.55, 0.85, 0.95),
}
