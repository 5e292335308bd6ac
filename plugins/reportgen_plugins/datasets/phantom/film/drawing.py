"""Draw a radiograph of a phantom: the person, the findings, film, noise, and the word PHANTOM.

Everything follows from the seed, the study's id and its findings. Each finding has random numbers of its own, so that a
new finding changes only its own pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reportgen_core import Box
from reportgen_core.types import Projection

from . import frontal, lateral, signs, signs_lateral
from .body import RESHAPING, Body, person, reshape
from .canvas import Extent, Floats, Patch, Pixels, develop, extent, grain, keep_memory, rng, union, write_letters
from .findings import Finding
from .frontal import Frontal
from .lateral import Lateral

VERSION = 1  # increased when the same findings give other pixels
COARSE = 96  # side of the small drawings that are compared to find a difference, in pixels
PROJECTIONS: tuple[Projection, ...] = ("frontal", "lateral")

Area = tuple[float, float, float, float]  # left, top, width, height as shares


@dataclass(frozen=True, slots=True)
class Film:
    """An image and the box of each finding; a finding that is not visible in this view has no box."""

    image: Pixels  # (size, size)
    boxes: tuple[Box, ...]


def film(id: str, seed: int, findings: Sequence[Finding], projection: Projection, size: int, visit: str = "") -> Film:
    """Draw one view of a study. Another `visit` of the same person has another position and other noise."""
    keep_memory()
    key = f"{seed}:{id}"
    shaping = [f for f in findings if f.kind in RESHAPING]
    vessels = frontal.vessels if projection == "frontal" else lateral.vessels
    chest = _chest(_body(key, shaping, visit), projection, vessels(size, rng("vessels", key)))
    areas = {f: _reshaped(key, shaping, f, projection, visit) for f in shaping}
    opacity = chest.opacity
    for finding in findings:
        patches = _signs(chest, finding, rng("sign", key, finding.kind, finding.place))
        for patch in patches:
            patch.add_to(opacity)
        if extents := [e for p in patches if (e := extent(p.opacity, p.top, p.left))]:
            areas[finding] = _shares(union(extents), size)
    body = chest.body
    image = develop(
        opacity, body.gain, body.gamma, grain(size, rng("noise", key, projection, *filter(None, [visit]))), body.noise
    )
    _mark(image, body, projection)
    view = PROJECTIONS.index(projection)
    boxes = [Box(f.label, *area, view) for f in findings if (area := areas.get(f))]
    return Film(image, tuple(boxes))


def _body(key: str, shaping: Sequence[Finding], visit: str = "") -> Body:
    """Return the person with these findings, in the position of a visit."""
    body = _person(key)
    if visit:
        other = _person(f"{key}:{visit}")
        body = replace(body, x=other.x, y=other.y, tilt=other.tilt)
    for f in shaping:
        body = reshape(body, f, rng("shape", key, f.kind, f.place))
    return body


@functools.lru_cache(maxsize=64)  # one film asks for the same person several times
def _person(key: str) -> Body:
    return person(rng("person", key))


def _chest(body: Body, projection: Projection, vascular: Floats) -> Frontal | Lateral:
    draw = frontal.draw if projection == "frontal" else lateral.draw
    return draw(body, len(vascular), vascular)


def _reshaped(
    key: str, shaping: Sequence[Finding], finding: Finding, projection: Projection, visit: str = ""
) -> Area | None:
    """Return the area that a reshaping finding changes: the difference of two small drawings, with and without it.

    None if there is no difference in this view.
    """
    bare = np.zeros((COARSE, COARSE), np.float32)
    with_it = _chest(_body(key, shaping, visit), projection, bare).opacity
    without = _chest(_body(key, [f for f in shaping if f != finding], visit), projection, bare).opacity
    changed = extent(with_it - without)
    if changed is None:
        return None
    top, left, bottom, right = changed  # one pixel more on each side: the difference may end between two pixels
    return _shares((max(top - 1, 0), max(left - 1, 0), min(bottom + 1, COARSE), min(right + 1, COARSE)), COARSE)


def _shares(extent: Extent, size: int) -> Area:
    top, left, bottom, right = (v / size for v in extent)
    return left, top, right - left, bottom - top


def _signs(chest: Frontal | Lateral, finding: Finding, source: np.random.Generator) -> list[Patch]:
    if isinstance(chest, Frontal):
        frontal_sign = signs.SIGNS.get(finding.kind)
        return frontal_sign(chest, finding, source) if frontal_sign else []
    lateral_sign = signs_lateral.SIGNS.get(finding.kind)
    return lateral_sign(chest, finding, source) if lateral_sign else []


def _mark(image: Pixels, body: Body, projection: Projection) -> None:
    write_letters(image, "PHANTOM", 0.012, 0.965, 235)
    if body.letter and projection == "frontal":
        write_letters(image, "L", 0.945, 0.03, 250)
