"""The signs of findings in the chest from the front: one function for each kind, which returns patches of opacity.

A patch ends where its opacity ends, so the smallest rectangle around it is the box of the finding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .canvas import Floats, Patch, Rng, Window, around, cap, cloud, edge, line, soft, window
from .findings import Finding
from .frontal import RIB, SIGN, Frontal, dome

STRENGTH = {"small": 0.06, "moderate": 0.17, "large": 0.36}  # height of the fluid, as a share of the side
GAP = {
    "small": (0.045, 2.8),
    "moderate": (0.080, 2.0),
    "large": (0.150, 1.4),
}  # width of the air next to the lung, and how fast it ends
HAZE = {"mild": 0.22, "moderate": 0.36, "severe": 0.52}


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a lobe, the same in both views."""

    out: float  # distance from the middle
    down: float  # share of the way from the apex to the diaphragm
    depth: float  # x in the lateral view, from front to back
    radius: float


def spot(finding: Finding, source: Rng) -> Spot:
    """Return a random place in the lobe, with a radius that is usual for the kind."""
    out, down, depth = {"up": (0.185, 0.30, 0.50), "mi": (0.20, 0.66, 0.34), "lo": (0.225, 0.86, 0.63)}[_level(finding)]
    low, high = {
        "nodule": (0.018, 0.028), "mass": (0.046, 0.070), "granuloma": (0.008, 0.012),
        "consolidation": (0.075, 0.105), "opacity": (0.070, 0.105),
    }[finding.kind]  # fmt: skip
    a, b, c, d = source.uniform(-1, 1, 4)
    return Spot(out + 0.035 * a, down + 0.045 * b, depth + 0.035 * c, low + (high - low) * (d + 1) / 2)


def _level(finding: Finding) -> str:
    words = finding.place.split()
    return words[1][:2] if len(words) > 1 else "mi"


def ball(view: Window, x: float, y: float, rx: float, ry: float) -> Floats:
    """Return 1 inside an ellipse, less near its edge, 0 outside."""
    far = ((view.x - np.float32(x)) / np.float32(rx)) ** 2 + ((view.y - np.float32(y)) / np.float32(ry)) ** 2
    inside: Floats = np.minimum(cap(far) * np.float32(1.6), 1)
    return inside


def patchy(size: int, view: Window, x: float, y: float, rx: float, ry: float, source: Rng) -> Floats:
    """Return 1 inside an irregular patch, 0 outside, with a soft border."""
    far = ((view.x - np.float32(x)) / np.float32(rx)) ** 2 + ((view.y - np.float32(y)) / np.float32(ry)) ** 2
    ragged = cloud(size, view, source) * np.float32(1.3) - np.float32(0.75)
    return soft(np.float32(0.62) - far + ragged * soft(np.float32(1.5) - far, 1.0), 0.8) * (far < 1.9)


def focus(size: int, finding: Finding, x: float, y: float, r: float, lung: Floats, source: Rng) -> list[Patch]:
    """Return a nodule, mass, granuloma, consolidation or opacity at a place, for both views."""
    if finding.kind in ("consolidation", "opacity"):
        wide = float(source.uniform(1.0, 1.35))
        view = around(size, x, y, 1.4 * r * wide, 1.4 * r)
        strength = 0.62 if finding.kind == "consolidation" else 0.27
        shade = patchy(size, view, x, y, r * wide, r, source)
        return [view.patch(np.float32(strength) * shade * view.of(lung))]
    long = float(source.uniform(0.85, 1.1))
    view = around(size, x, y, r * 1.1, r * 1.2)
    strength = {"nodule": 0.46, "mass": 0.58, "granuloma": 1.5}[finding.kind]
    return [view.patch(np.float32(strength) * ball(view, x, y, max(r, 1.2 / size), max(r * long, 1.2 / size)))]


def _focus(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    at = spot(f, s)
    top, low = c.body.apex + c.body.y, dome(c.body, f.side, at.out)
    y = top + at.down * (low - top)
    return focus(c.size, f, c.x(SIGN[f.side] * at.out, y), y, at.radius, c.lungs[f.side], s)


def _effusion(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    high = STRENGTH[f.degree] * float(s.uniform(0.9, 1.15))
    view = _half(c, f.side, dome(c.body, f.side, 0.18) - high - 0.12, 1.0)
    v = np.abs(view.of(c.u))
    rise = np.clip((v - np.float32(0.08)) * np.float32(1 / 0.27), 0, 1) ** 2
    level = np.float32(dome(c.body, f.side, 0.30)) - np.float32(high) * (np.float32(0.45) + np.float32(0.95) * rise)
    return [view.patch(np.float32(0.80) * soft(view.y - level, 0.03) * view.of(c.lungs[f.side]))]


def _half(c: Frontal, side: str, top: float, bottom: float) -> Window:
    """Return one side of the chest between two heights."""
    middle = c.x(0.0, 0.5)
    return window(
        c.size, 0.0 if side == "right" else middle - 0.05, top, middle + 0.05 if side == "right" else 1.0, bottom
    )


def _pneumothorax(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    view = _half(c, f.side, 0.05, 0.85)
    v, lung = np.abs(view.of(c.u)), view.of(c.lungs[f.side])
    apex = c.body.apex + c.body.y
    gap, taper = GAP[f.degree]
    wide = 1 - np.clip((view.y - np.float32(apex + 0.05)) * np.float32(taper), 0, 1)
    wide *= np.float32(gap * s.uniform(0.9, 1.1))
    side = c.outer[view.top : view.top + view.y.size] - wide - v
    above = view.y - np.float32(apex) - np.float32(1.9) * (v - np.float32(0.135)) ** 2 - wide
    near = np.minimum(side, above)  # distance from the edge of the collapsed lung, positive inside
    air = lung * edge(-near, 0.008) * (wide > 0.004)
    pleura = lung * edge(np.float32(0.0045) - np.abs(near + np.float32(0.002)), 0.005) * (wide > 0.004)
    return [view.patch(np.float32(0.30) * pleura - air * (view.of(c.texture) + np.float32(0.11)))]


def _atelectasis(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    patches = []
    for _ in range({"mild": 1, "moderate": 2, "severe": 4}[f.degree]):
        v, half = float(s.uniform(0.16, 0.22)), float(s.uniform(0.055, 0.085))
        y = dome(c.body, f.side, 0.2) - float(s.uniform(0.02, 0.09))
        x, slope = c.x(SIGN[f.side] * v, y), float(s.uniform(-0.25, 0.25))
        ends = [(x - half, y - slope * half), (x + half, y + slope * half)]
        patches.append(_within(line(c.size, ends, 0.42, float(s.uniform(0.008, 0.013))), c.lungs[f.side]))
    return patches


def _within(patch: Patch, board: Floats) -> Patch:
    """Return the part of a patch that is on the lung."""
    h, w = patch.opacity.shape
    inside = patch.opacity * board[patch.top : patch.top + h, patch.left : patch.left + w]
    return Patch(patch.top, patch.left, inside)


def _edema(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    view = window(c.size, 0.0, 0.1, 1.0, 0.9)
    v, both = np.abs(view.of(c.u)), view.of(c.lungs["right"]) + view.of(c.lungs["left"])
    far = ((v - np.float32(0.12)) / np.float32(0.13)) ** 2 + (
        (view.y - np.float32(0.48 + c.body.y)) / np.float32(0.20)
    ) ** 2
    ragged = np.float32(0.6) + np.float32(0.8) * cloud(c.size, view, s, 9)
    shade = np.float32(HAZE[f.degree]) * soft(np.float32(1.1) - far, 1.6) * (ragged * both)
    return [view.patch(shade + view.of(c.texture) * np.float32(0.75 * HAZE[f.degree]))]


def _pacemaker(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    sign, y = SIGN[f.side], 0.235 + c.body.y + float(s.uniform(-0.01, 0.01))
    x = c.x(sign * float(s.uniform(0.24, 0.28)), y)
    view = around(c.size, x, y, 0.05, 0.05)
    square = ((view.x - np.float32(x)) / np.float32(0.040)) ** 4 + ((view.y - np.float32(y)) / np.float32(0.034)) ** 4
    tip = c.x(0.09, 0.68)
    places = [
        (x, y - 0.03), (c.x(sign * 0.10, 0.2), 0.215 + c.body.y), (c.x(-0.034, 0.3), 0.30 + c.body.y),
        (c.x(-0.040, 0.5), 0.52 + c.body.y), (c.x(0.0, 0.6), 0.64 + c.body.y), (tip, 0.68 + c.body.y),
    ]  # fmt: skip
    return [view.patch(np.float32(2.2) * edge(1 - square, 0.3)), line(c.size, places, 1.1, 0.006)]


def _catheter(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    sign, y = SIGN[f.side], c.body.y
    tip = 0.44 + float(s.uniform(-0.03, 0.03))
    start = [(c.x(sign * 0.26, 0.2), 0.20 + y), (c.x(sign * 0.15, 0.2), 0.175 + y), (c.x(sign * 0.07, 0.2), 0.215 + y)]
    end = [(c.x(-0.034, 0.3), (0.27 if f.side == "right" else 0.30) + y), (c.x(-0.037, tip), tip + y)]
    return [line(c.size, start + end, 1.0, 0.007)]


def _tube(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    tip = 0.29 + float(s.uniform(-0.02, 0.02)) + c.body.y
    ends = [(c.x(-0.004, 0.0), 0.0), (c.x(-0.004, tip), tip)]
    return [line(c.size, ends, 0.30, 0.020), line(c.size, ends, 0.75, 0.005)]


def _wires(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    patches = []
    for number in range(6):
        y = 0.27 + 0.062 * number + c.body.y
        x = c.x(float(s.uniform(-0.006, 0.006)), y)
        view = around(c.size, x, y, 0.03, 0.03)
        ring = np.sqrt(((view.x - np.float32(x)) / np.float32(1.25)) ** 2 + (view.y - np.float32(y)) ** 2)
        patches.append(
            view.patch(np.float32(1.5) * edge(np.float32(0.0040) - np.abs(ring - np.float32(0.0125)), 0.005))
        )
    return patches


def _fracture(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    """Return a break in a posterior rib, with its ends apart and thickened."""
    v = float(s.uniform(0.23, 0.29))
    first = 0.12 + RIB * c.body.ribs - 0.16 * v + 1.15 * v * v + c.body.y
    y = first + RIB * round((float(s.uniform(0.40, 0.58)) - first) / RIB)
    x = c.x(SIGN[f.side] * v, y)
    view = around(c.size, x, y, 0.05, 0.05)
    gap = edge(np.float32(0.005) - np.abs(view.x - np.float32(x) + (view.y - np.float32(y)) * np.float32(0.4)), 0.006)
    ends = ball(view, x - 0.019, y - 0.008, 0.017, 0.026) + ball(view, x + 0.019, y + 0.008, 0.017, 0.026)
    return [
        view.patch(
            np.float32(0.36) * ends * (1 - gap)
            - np.float32(0.17) * gap * edge(np.float32(0.03) - np.abs(view.y - np.float32(y)), 0.01)
        )
    ]


def _degenerative(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    """Return spurs on both sides of the discs."""
    patches = []
    first, many = (9, 4) if f.degree == "mild" else (7, 8)
    for number in range(first, first + many):
        y = 0.062 * (number - 0.5) + c.body.y
        for sign in (-1, 1):
            x = c.x(sign * (0.047 + float(s.uniform(0, 0.006))), y)
            view = around(c.size, x, y, 0.025, 0.02)
            patches.append(view.patch(np.float32(0.55) * ball(view, x, y, 0.017, 0.011)))
    return patches


def _hernia(c: Frontal, f: Finding, s: Rng) -> list[Patch]:
    """Return the stomach above the diaphragm, behind the heart, with air over fluid."""
    r = {"small": 0.052, "large": 0.088}[f.degree] * float(s.uniform(0.92, 1.08))
    y = dome(c.body, "left", 0.08) - 0.72 * r
    x = c.x(0.035, y)
    view = around(c.size, x, y, 1.3 * r, 1.1 * r)
    air = ball(view, x, y, 0.84 * r * 1.15, 0.82 * r) * edge(np.float32(y + 0.1 * r) - view.y, 0.01)
    return [view.patch(np.float32(0.50) * ball(view, x, y, 1.15 * r, r) - np.float32(0.75) * air)]


Sign = Callable[[Frontal, Finding, Rng], list[Patch]]
SIGNS: dict[str, Sign] = {
    **dict.fromkeys(("nodule", "mass", "granuloma", "consolidation", "opacity"), _focus),
    "effusion": _effusion, "pneumothorax": _pneumothorax, "atelectasis": _atelectasis, "edema": _edema,
    "pacemaker": _pacemaker, "catheter": _catheter, "tube": _tube, "wires": _wires, "fracture": _fracture,
    "degenerative": _degenerative, "hernia": _hernia,
}  # fmt: skip
