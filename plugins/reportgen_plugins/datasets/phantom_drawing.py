"""A radiograph of a phantom: the person, what the findings make of it, film, noise, and the word PHANTOM on it.

Everything follows from the seed, the study's id and its findings. Each finding has numbers of its own, so that adding
one leaves every other pixel as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reportgen_core import Box
from reportgen_core.types import Projection

from . import phantom_frontal, phantom_lateral, phantom_signs, phantom_signs_lateral
from .phantom_body import RESHAPING, Body, person, reshape
from .phantom_canvas import Extent, Floats, Patch, Pixels, develop, extent, grain, rng, union, write_letters
from .phantom_findings import Finding
from .phantom_frontal import Frontal
from .phantom_lateral import Lateral

VERSION = 1  # counted up when the same findings begin to give other pixels
PROJECTIONS: tuple[Projection, ...] = ("frontal", "lateral")


@dataclass(frozen=True, slots=True)
class Film:
    """An image and where on it each finding is; one that does not show in this view has no box."""

    image: Pixels  # (size, size)
    boxes: tuple[Box, ...]


def film(id: str, seed: int, findings: Sequence[Finding], projection: str, size: int) -> Film:
    """Draw one view of a study."""
    chest, found = _chest(id, seed, findings, projection, size)
    opacity = chest.opacity.copy()
    for finding in findings:
        patches = _signs(chest, finding, rng("sign", seed, id, finding.kind, finding.place))
        for patch in patches:
            patch.add_to(opacity)
        extents = [e for p in patches if (e := extent(p.opacity, p.top, p.left))]
        if extents:
            found.append((finding, union(extents)))
    noise = grain(size, rng("noise", seed, id, projection))
    body = chest.body
    image = develop(opacity, body.gain, body.gamma, noise, body.noise)
    _mark(image, body, projection)
    view = PROJECTIONS.index(projection)
    return Film(image, tuple(_box(f, e, view, size) for f, e in sorted(found, key=lambda x: findings.index(x[0]))))


def _chest(
    id: str, seed: int, findings: Sequence[Finding], projection: str, size: int
) -> tuple[Frontal | Lateral, list[tuple[Finding, Extent]]]:
    """The person as the findings have shaped it, and where each of them makes a difference."""
    shaping = [f for f in findings if f.kind in RESHAPING]
    frontal, stock = projection == "frontal", rng("vessels", seed, id)
    vascular = phantom_frontal.vessels(size, stock) if frontal else phantom_lateral.vessels(size, stock)

    def shaped(shapes: Sequence[Finding]) -> Frontal | Lateral:
        body = person(rng("person", seed, id))
        for f in shapes:
            body = reshape(body, f, rng("shape", seed, id, f.kind, f.place))

        if frontal:
            return phantom_frontal.draw(body, size, vascular)
        return phantom_lateral.draw(body, size, vascular)

    chest, found = shaped(shaping), []
    for f in shaping:
        without: Floats = shaped([g for g in shaping if g != f]).opacity
        if where := extent(chest.opacity - without):
            found.append((f, where))
    return chest, found


def _signs(chest: Frontal | Lateral, finding: Finding, source: np.random.Generator) -> list[Patch]:
    if isinstance(chest, Frontal):
        frontal = phantom_signs.SIGNS.get(finding.kind)
        return frontal(chest, finding, source) if frontal else []
    lateral = phantom_signs_lateral.SIGNS.get(finding.kind)
    return lateral(chest, finding, source) if lateral else []


def _mark(image: Pixels, body: Body, projection: str) -> None:
    write_letters(image, "PHANTOM", 0.012, 0.965, 235)
    if body.letter and projection == "frontal":
        write_letters(image, "L", 0.945, 0.03, 250)


def _box(finding: Finding, extent: Extent, view: int, size: int) -> Box:
    top, left, bottom, right = (v / size for v in extent)
    return Box(finding.label, left, top, right - left, bottom - top, view)
