"""The person in front of the detector: proportions that differ between persons, and findings that change them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .canvas import Rng
from .findings import Finding

RESHAPING = frozenset({"cardiomegaly", "hypoinflation", "hyperinflation", "diaphragm", "aorta", "scoliosis"})


@dataclass(frozen=True, slots=True)
class Body:
    """The proportions of one person, as shares of the side of the image if no other unit is named.

    Right and left are the person's.
    """

    x: float  # distance of the person from the middle of the image, to the right
    y: float  # and downwards
    tilt: float  # of the body axis, x per y
    width: float  # half the width of the rib cage
    apex: float  # top of the lungs
    domes: tuple[float, float]  # tops of the right and left half of the diaphragm
    arch: float  # height of a dome
    heart: float  # half the width of the heart
    knob: float  # radius of the aortic arch
    tortuous: float  # curve of the aorta, 0 straight, about 1 tortuous
    curve: float  # sideways curve of the spine
    breasts: float  # opacity
    fat: float  # opacity of the chest wall
    ribs: float  # place of the first rib, as a share of the distance between ribs
    air: float  # darkness of the lungs, 1 as usual
    gain: float
    gamma: float
    noise: float
    letter: bool  # whether a letter marks the left side


def person(source: Rng) -> Body:
    """Return a healthy person."""
    u = iter(source.random(24))

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(next(u))

    dome = between(0.71, 0.765)
    return Body(
        x=between(-0.02, 0.02),
        y=between(-0.02, 0.02),
        tilt=between(-0.04, 0.04),
        width=between(0.345, 0.385),
        apex=between(0.10, 0.135),
        domes=(dome, dome + between(0.015, 0.035)),
        arch=between(0.046, 0.060),
        heart=between(0.148, 0.172),
        knob=between(0.040, 0.050),
        tortuous=0.0,
        curve=between(-0.004, 0.004),
        breasts=between(0.10, 0.26) if next(u) < 0.5 else 0.0,
        fat=between(0.0, 0.12),
        ribs=between(0.0, 1.0),
        air=between(0.96, 1.04),
        gain=between(0.85, 1.15),
        gamma=between(0.95, 1.2),
        noise=between(0.014, 0.026),
        letter=bool(next(u) < 0.5),
    )


def reshape(body: Body, finding: Finding, source: Rng) -> Body:
    """Return the same person with one finding of RESHAPING."""
    by = 0.9 + 0.2 * float(source.random())
    right, left = body.domes
    match finding.kind:
        case "cardiomegaly":
            wider = {"mild": 0.046, "moderate": 0.074, "severe": 0.104}[finding.degree]
            return replace(body, heart=body.heart + by * wider)
        case "hypoinflation":
            return replace(body, domes=(right - 0.12 * by, left - 0.12 * by), arch=body.arch * 1.1, air=body.air * 0.95)
        case "hyperinflation":
            low = 0.055 * by
            return replace(body, domes=(right + low, left + low), arch=body.arch * 0.35, air=body.air * 1.1)
        case "diaphragm":
            up = 0.10 * by
            return replace(body, domes=(right - up, left) if finding.side == "right" else (right, left - up))
        case "aorta":
            return replace(body, tortuous=by, knob=body.knob + 0.018 * by)
        case "scoliosis":
            size = {"mild": 0.040, "moderate": 0.070}[finding.degree] * by
            return replace(body, curve=size if source.random() < 0.5 else -size)
    raise AssertionError(finding.kind)
