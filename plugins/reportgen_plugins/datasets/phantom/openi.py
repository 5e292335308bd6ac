"""Open-i's real reports for the phantom chest: the reports whose MeSH headings can all be drawn.

The reports are read from the wheel torchxrayvision if it is installed. It contains NLMCXR_reports.tgz (Demner-Fushman
et al., 2016, CC BY-NC-ND); their text is stored nowhere else. A drawing needs more than the headings say: a side or
lobe that they do not name is drawn at random, by the report's id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from reportgen_core import DataError, Study

from ..iu import openi
from .film.canvas import Rng, rng
from .film.findings import KINDS, LOBES, SIDES, ZONES, Finding

HEADINGS = {  # beginning of a heading: the kind that is drawn
    "cardiomegaly": "cardiomegaly", "cardiac shadow/enlarged": "cardiomegaly", "pleural effusion": "effusion",
    "costophrenic angle": "effusion", "pneumothorax": "pneumothorax", "pulmonary atelectasis": "atelectasis",
    "consolidation": "consolidation", "airspace disease": "consolidation", "pneumonia": "consolidation",
    "opacity": "opacity", "infiltrate": "opacity", "nodule": "nodule", "mass": "mass",
    "calcified granuloma": "granuloma", "granulomatous disease": "granuloma", "granuloma": "granuloma",
    "calcinosis/lung": "granuloma", "pulmonary edema": "edema", "pulmonary congestion": "edema",
    "heart failure": "edema", "lung/hypoinflation": "hypoinflation", "lung/hyperdistention": "hyperinflation",
    "emphysema": "hyperinflation", "pulmonary emphysema": "hyperinflation", "lung, hyperlucent": "hyperinflation",
    "pulmonary disease, chronic obstructive": "hyperinflation", "diaphragmatic eventration": "diaphragm",
    "aorta/tortuous": "aorta", "aorta, thoracic/tortuous": "aorta", "implanted medical device": "pacemaker",
    "catheters, indwelling": "catheter", "tube, inserted/trachea": "tube", "surgical instruments/mediastinum": "wires",
    "surgical instruments/sternum": "wires", "thoracic vertebrae/degenerative": "degenerative",
    "spine/degenerative": "degenerative", "osteophyte/thoracic vertebrae": "degenerative",
    "spondylosis/thoracic vertebrae": "degenerative", "scoliosis/thoracic vertebrae": "scoliosis",
    "hernia, hiatal": "hernia",
}  # fmt: skip
_HARDER = {"borderline": "mild", "minimal": "mild"}


def studies() -> Iterator[Study]:
    """Yield every report of the wheel, without views. Raises DataError if the wheel is not installed."""
    try:
        wheel_files = files("torchxrayvision") or []
    except PackageNotFoundError as e:
        raise DataError(
            'text="open-i" reads the reports in the wheel torchxrayvision, which is not installed; '
            'pip install torchxrayvision, or take text="own"'
        ) from e
    for file in wheel_files:
        if file.name == "NLMCXR_reports.tgz":
            yield from openi.studies(Path(str(file.locate())))
            return
    raise DataError('the installed torchxrayvision has no NLMCXR_reports.tgz; version 1.3.5 has, or take text="own"')


def findings(study: Study, seed: int) -> tuple[Finding, ...] | None:
    """Return the findings of a report's headings, in the order of KINDS; None if a heading cannot be drawn."""
    headings = [str(h).lower() for h in study.extra["mesh"]]
    source = rng("open-i", seed, study.id)
    if not headings:
        return None
    findings: set[Finding] = set()
    for heading in headings:
        if heading == "normal":
            continue
        drawn = _drawn(heading, source)
        if not drawn:
            return None
        findings.update(drawn)
    kinds = {f.kind for f in findings}
    if {"hypoinflation", "hyperinflation"} <= kinds or (
        "diaphragm" in kinds and kinds & {"hypoinflation", "hyperinflation"}
    ):
        return None  # a drawing moves the diaphragm in one direction only
    return tuple(sorted(_strongest(findings), key=lambda f: (list(KINDS).index(f.kind), f.place)))


def _strongest(findings: set[Finding]) -> list[Finding]:
    """Return the strongest finding of each kind and place: two headings may name the same finding."""
    best: dict[tuple[str, str], Finding] = {}
    for f in sorted(findings, key=lambda f: KINDS[f.kind].degrees.index(f.degree)):
        best[f.kind, f.place] = f
    return list(best.values())


def _drawn(heading: str, source: Rng) -> list[Finding]:
    kind = _kind(heading)
    if not kind:
        return []
    words = heading.split("/")
    degrees = KINDS[kind].degrees
    named = [_HARDER.get(w, w) for w in words]
    degree = next(
        (w for w in named if w in degrees), degrees[0] if "costophrenic angle" in words else degrees[len(degrees) // 2]
    )
    return [Finding(kind, place, degree) for place in _places(kind, words, source)]


def _kind(heading: str) -> str:
    """Return the kind of a heading; "" if it has none."""
    words = heading.split("/")
    if words[0] == "diaphragm":
        return "diaphragm" if "elevated" in words else "hyperinflation" if "flattened" in words else ""
    if words[0] == "fractures, bone":
        return "fracture" if "ribs" in words else ""
    if words[0] == "costophrenic angle" and "blunted" not in words:
        return ""
    for start, kind in HEADINGS.items():
        parts = start.split("/")
        if words[0] == parts[0] and set(parts) <= {w.split(",")[0] if w.startswith("trachea") else w for w in words}:
            return kind
    return ""


def _places(kind: str, words: Sequence[str], source: Rng) -> list[str]:
    choices = KINDS[kind].places
    if choices == ("",):
        return [""]
    sides = SIDES if "bilateral" in words else [s for s in SIDES if s in words]
    if "lingula" in words:
        sides = ["left"]
    if choices == SIDES:
        return list(sides) or [SIDES[int(source.integers(2))]]
    return [_lobe(side, words, source) for side in sides or [SIDES[int(source.integers(2))]]]


def _lobe(side: str, words: Sequence[str], source: Rng) -> str:
    """Return the lobe on this side that the words name; a random lobe if they name none."""
    for word, lobe in (("upper lobe", "upper"), ("apex", "upper"), ("lower lobe", "lower"), ("base", "lower")):
        if word in words:
            return f"{side} {lobe} lobe"
    if side == "left" and "lingula" in words:
        return "lingula"
    if "middle lobe" in words:
        return "right middle lobe" if side == "right" else "lingula"
    lobes = [lobe for lobe in LOBES if ZONES[lobe] == side]
    return lobes[int(source.integers(len(lobes)))]
