"""The signs of findings in the chest from the side.

A pneumothorax, a broken rib, a scoliosis and a central catheter are not visible there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import Patch, Rng, around, cloud, edge, line, soft, window
from .findings import Finding
from .lateral import Lateral, dome, spine, sternum
from .signs import HAZE, STRENGTH, ball, focus, spot


def _focus(c: Lateral, f: Finding, s: Rng) -> list[Patch]:
    at = spot(f, s)
    x, top = at.depth + c.body.x, c.body.apex + c.body.y
    y = top + at.down * (float(dome(c.body, f.side, x)) - top)
    return focus(c.size, f, x, y, at.radius, c.halves[f.side], s)


def _effusion(c: Lateral, f: Finding, s: Rng) -> list[Patch]:
    high = STRENGTH[f.degree] * float(s.uniform(0.9, 1.15))
    view = window(c.size, 0.2, 0.3, 1.0, 1.0)
    rise = np.clip((view.x - np.float32(0.55 + c.body.x)) * np.float32(1 / 0.3), 0, 1) ** 2
    behind = float(dome(c.body, f.side, 0.80 + c.body.x))
    level = np.float32(behind - 0.03) - np.float32(high) * (np.float32(0.4) + np.float32(0.9) * rise)
    return [view.patch(np.float32(0.52) * soft(view.y - level, 0.03) * view.of(c.halves[f.side]))]


def _atelectasis(c: Lateral, f: Finding, s: Rng) -> list[Patch]:
    patches = []
    for _ in range({"mild": 1, "moderate": 2, "severe": 4}[f.degree]):
        x, half = float(s.uniform(0.56, 0.66)) + c.body.x, float(s.uniform(0.05, 0.08))
        y = float(dome(c.body, f.side, x)) - float(s.uniform(0.02, 0.08))
        slope = float(s.uniform(0.1, 0.6))
        patches.append(line(c.size, [(x - half, y - slope * half), (x + half, y + slope * half)], 0.30, 0.010))
    return patches


def _edema(c: Lateral, f: Finding, s: Rng) -> list[Patch]:
    view = window(c.size, 0.1, 0.1, 0.95, 0.9)
    far = ((view.x - np.float32(0.5)) / np.float32(0.2)) ** 2 + (
        (view.y - np.float32(0.47 + c.body.y)) / np.float32(0.2)
    ) ** 2
    ragged = np.float32(0.6) + np.float32(0.8) * cloud(c.size, view, s, 9)
    return [view.patch(np.float32(HAZE[f.degree]) * soft(np.float32(1.1) - far, 1.6) * (ragged * view.of(c.lung)))]


def _pacemaker(c: Lateral, f: Finding, s: Rng) -> list[Patch]:
    y = 0.225 + c.body.y
    x = float(sternum(c.body, y)) + 0.005
    view = around(c.size, x, y, 0.03, 0.06)
    plate = ((view.x - np.float32(x)) / np.float32(0.014)) ** 4 + ((view.y - np.float32(y)) / np.float32(0.042)) ** 4
    lead = [
        (x, y - 0.04),
        (0.46 + c.body.x, 0.23 + c.body.y),
        (0.47 + c.body.x, 0.45 + c.body.y),
        (0.33 + c.body.x, 0.66 + c.body.y),
    ]
    return [view.patch(np.float32(2.2) * edge(1 - plate, 0.3)), line(c.size, lead, 0.9, 0.006)]


def _tube(c: Lateral, f: Finding, s: Rng) -> list[Patch]:
    tip = 0.28 + float(s.uniform(-0.02, 0.02))
    x = 0.50 + c.body.x
    ends = [(x - 0.012, c.body.y + 0.02), (x + 0.16 * (tip - 0.1), tip + c.body.y)]
    return [line(c.size, ends, 0.25, 0.020), line(c.size, ends, 0.6, 0.005)]


def _wires(c: Lateral, f: Finding, s: Rng) -> list[Patch]:
    patches = []
    for number in range(6):
        y = 0.25 + 0.055 * number + c.body.y
        x = float(sternum(c.body, y)) + 0.010
        patches.append(line(c.size, [(x - 0.012, y - 0.003), (x + 0.012, y + 0.003)], 1.2, 0.006))
    return patches


def _degenerative(c: Lateral, f: Finding, s: Rng) -> list[Patch]:
    """Return spurs at the front of the vertebral bodies, next to the discs."""
    patches = []
    first, many = (8, 3) if f.degree == "mild" else (6, 6)
    for number in range(first, first + many):
        y = 0.070 * (number - 0.5) + c.body.y
        x = float(spine(c.body, y)) - 0.045 - float(s.uniform(0, 0.006))
        view = around(c.size, x, y, 0.03, 0.02)
        patches.append(view.patch(np.float32(0.50) * ball(view, x, y, 0.018, 0.012)))
    return patches


def _hernia(c: Lateral, f: Finding, s: Rng) -> list[Patch]:
    r = {"small": 0.052, "large": 0.088}[f.degree] * float(s.uniform(0.92, 1.08))
    x = 0.58 + c.body.x
    y = float(dome(c.body, "left", x)) - 0.75 * r
    view = around(c.size, x, y, 1.2 * r, 1.1 * r)
    air = ball(view, x, y, 0.84 * r, 0.82 * r) * edge(np.float32(y + 0.1 * r) - view.y, 0.01)
    return [view.patch(np.float32(0.48) * ball(view, x, y, r, r) - np.float32(0.55) * air)]


Sign = Callable[[Lateral, Finding, Rng], list[Patch]]
SIGNS: dict[str, Sign] = {
    **dict.fromkeys(("nodule", "mass", "granuloma", "consolidation", "opacity"), _focus),
    "effusion": _effusion, "atelectasis": _atelectasis, "edema": _edema, "pacemaker": _pacemaker, "tube": _tube,
    "wires": _wires, "degenerative": _degenerative, "hernia": _hernia,
}  # fmt: skip
