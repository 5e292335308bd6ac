"""The findings of the phantom chest, with side, site and degree, their rates and their names.

The names are those of Open-i's MeSH headings ("Pleural Effusion/left/small"), and of ChestX-ray14's classes if there is
one, which `pointing` reads in a report. The rates are ours: rare findings are drawn more often than in any hospital, so
that a small set has enough of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reportgen_core import OptionError
from reportgen_core.registry import did_you_mean

from .canvas import Rng, rng

SIDES = ("right", "left")
ZONES = {  # site of the lung: its side
    "right upper lobe": "right", "right middle lobe": "right", "right lower lobe": "right",
    "left upper lobe": "left", "lingula": "left", "left lower lobe": "left",
}  # fmt: skip
LOBES = tuple(ZONES)
GRADES = ("mild", "moderate", "severe")
SIZES = ("small", "moderate", "large")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of finding: its possible places and degrees, with "" for a degree that reports do not mention."""

    label: str  # in Study.labels and Box.label
    heading: str  # MeSH-like
    rate: float  # share of the studies that are not normal
    places: tuple[str, ...] = ("",)  # sides or lobes; "" if there is only one place
    degrees: tuple[str, ...] = ("",)
    tail: str = ""  # end of the heading


KINDS: dict[str, Kind] = {
    "cardiomegaly": Kind("Cardiomegaly", "Cardiomegaly", 0.20, degrees=GRADES),
    "effusion": Kind("Effusion", "Pleural Effusion", 0.20, SIDES, SIZES),
    "pneumothorax": Kind("Pneumothorax", "Pneumothorax", 0.10, SIDES, SIZES),
    "consolidation": Kind("Consolidation", "Consolidation", 0.14, LOBES),
    "opacity": Kind("Opacity", "Opacity", 0.12, LOBES),
    "nodule": Kind("Nodule", "Nodule", 0.12, LOBES),
    "mass": Kind("Mass", "Mass", 0.07, LOBES),
    "granuloma": Kind("Calcified Granuloma", "Calcified Granuloma", 0.10, LOBES),
    "atelectasis": Kind("Atelectasis", "Pulmonary Atelectasis", 0.16, SIDES, GRADES, "base"),
    "edema": Kind("Edema", "Pulmonary Edema", 0.09, degrees=GRADES),
    "hypoinflation": Kind("Low Lung Volumes", "Lung", 0.10, tail="hypoinflation"),
    "hyperinflation": Kind("Hyperinflation", "Lung", 0.10, tail="hyperdistention"),
    "diaphragm": Kind("Elevated Diaphragm", "Diaphragm", 0.07, SIDES, tail="elevated"),
    "aorta": Kind("Tortuous Aorta", "Aorta", 0.12, tail="tortuous"),
    "pacemaker": Kind("Pacemaker", "Implanted Medical Device", 0.08, SIDES),
    "catheter": Kind("Central Catheter", "Catheters, Indwelling", 0.08, SIDES),
    "tube": Kind("Endotracheal Tube", "Tube, Inserted", 0.06, tail="trachea"),
    "wires": Kind("Sternotomy Wires", "Surgical Instruments", 0.07, tail="sternum"),
    "fracture": Kind("Rib Fracture", "Fractures, Bone", 0.08, SIDES, tail="ribs"),
    "degenerative": Kind(
        "Degenerative Spine", "Thoracic Vertebrae", 0.12, degrees=("mild", "moderate"), tail="degenerative"
    ),
    "scoliosis": Kind("Scoliosis", "Scoliosis", 0.07, degrees=("mild", "moderate")),
    "hernia": Kind("Hernia", "Hernia, Hiatal", 0.07, degrees=("small", "large")),
}  # fmt: skip
LABELS = tuple(k.label for k in KINDS.values())
_EXCLUDES = {"hyperinflation": ("hypoinflation", "diaphragm"), "hypoinflation": ("diaphragm",)}  # drawn as one change


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is drawn and reported."""

    kind: str  # a key of KINDS
    place: str = ""
    degree: str = ""

    @property
    def side(self) -> str:
        """ "right", "left", or "" for what has none."""
        return ZONES.get(self.place, self.place)

    @property
    def label(self) -> str:
        return KINDS[self.kind].label

    @property
    def heading(self) -> str:
        """Return the heading of Open-i's index: "Nodule/lung/upper lobe/right"."""
        kind = KINDS[self.kind]
        lobe = self.place.removeprefix("right ").removeprefix("left ") if self.place in ZONES else ""
        side = "" if self.place == "lingula" else self.side
        parts = (kind.heading, kind.tail, "lung" if lobe else "", lobe, side, self.degree)
        return "/".join(p for p in parts if p)

    @property
    def tag(self) -> str:
        """Return the heading in lower case, without place and degree: "pleural effusion"."""
        kind = KINDS[self.kind]
        return f"{kind.heading}/{kind.tail}".strip("/").lower()

    def check(self) -> Finding:
        """Return this finding. Raises OptionError if there is no such kind, place or degree."""
        if self.kind not in KINDS:
            raise OptionError(f"no finding named {self.kind!r}; {did_you_mean(self.kind, KINDS)}")
        for value, choices in ((self.place, KINDS[self.kind].places), (self.degree, KINDS[self.kind].degrees)):
            if value not in choices:
                raise OptionError(f"{self.kind} cannot be {value!r}; {did_you_mean(value, choices)}")
        return self


def rates(changed: Mapping[str, float]) -> dict[str, float]:
    """Return the share of abnormal studies with each kind, after some were changed. Raises OptionError."""
    for name, rate in changed.items():
        if name not in KINDS:
            raise OptionError(f"no finding named {name!r}; {did_you_mean(name, KINDS)}")
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
            raise OptionError(f"rate {rate!r} of {name} is a share: a number of 0 to 1")
    shares = {name: float(changed.get(name, kind.rate)) for name, kind in KINDS.items()}
    if not any(shares.values()):
        raise OptionError("every rate is 0, so nothing can be drawn; normal=1 draws healthy chests alone")
    return shares


def sample(id: str, seed: int, rates: Mapping[str, float], normal: float) -> tuple[Finding, ...]:
    """Return the findings of a study, at most five, in the order of KINDS. A share `normal` of the studies has none."""
    source = rng("findings", seed, id)
    if source.random() < normal:
        return ()
    names = list(KINDS)
    drawn = source.random(len(names))
    kinds = [k for k, p in zip(names, drawn, strict=True) if p < rates[k]]
    if not kinds:
        weights = [rates[k] for k in names]
        kinds = [names[int(source.choice(len(names), p=[w / sum(weights) for w in weights]))]]
    kinds = [k for k in kinds if not any(k in _EXCLUDES.get(other, ()) for other in kinds)]
    while len(kinds) > 5:
        kinds.pop(int(source.integers(len(kinds))))
    return tuple(f for kind in kinds for f in placed(kind, source))


def placed(kind: str, source: Rng) -> list[Finding]:
    """Return one finding of a kind, or the same on both sides."""
    places, degrees = KINDS[kind].places, KINDS[kind].degrees
    degree = degrees[int(source.integers(len(degrees)))]
    if kind in ("effusion", "atelectasis") and source.random() < 0.25:
        return [Finding(kind, side, degree) for side in SIDES]
    return [Finding(kind, places[int(source.integers(len(places)))], degree)]
