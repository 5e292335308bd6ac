"""Training labels for studies: those that the dataset has, what a labeler reads in the reports, or MeSH headings.

The headings are those of Open-i (Demner-Fushman et al., 2016, doi:10.1093/jamia/ocv080), whose first term counts, and
the labels ChestX-ray14's, as TieNet (Wang et al., CVPR 2018, arXiv:1801.04334, section 4) takes "the same 14
categories". Its mapping is not printed; this one gives the labels of NegBio's Open-i set (Peng et al., 2018,
arXiv:1712.05898), which name no hernia and call a pericardial
effusion an effusion: so does this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import DataError, OptionError
from ..metric import HasLabels
from ..types import Study

DATA, MESH = "data", "mesh"
NO_FINDING = "No Finding"
HEADINGS: Mapping[str, str] = {
    "pulmonary atelectasis": "Atelectasis", "atelectasis": "Atelectasis", "cardiomegaly": "Cardiomegaly",
    "pleural effusion": "Effusion", "infiltrate": "Infiltration", "mass": "Mass", "nodule": "Nodule",
    "pneumonia": "Pneumonia", "pneumothorax": "Pneumothorax", "consolidation": "Consolidation",
    "pulmonary edema": "Edema", "emphysema": "Emphysema", "pulmonary emphysema": "Emphysema",
    "pulmonary fibrosis": "Fibrosis", "fibrosis": "Fibrosis", "pericardial effusion": "Effusion",
    "thickening": "Pleural_Thickening",
}  # fmt: skip
NAMES = tuple(dict.fromkeys(HEADINGS.values()))


def relabel(
    studies: Sequence[Study], source: str, sections: Sequence[str], options: Mapping[str, Any] | None = None
) -> list[Study]:
    """The studies with labels from `source`: data, mesh, or a metric (with its options) that labels their reports.

    Raises DataError where the source gives no label at all.
    """
    if source == DATA:
        return list(studies)
    if source == MESH:
        labels = [from_mesh(s.extra.get("mesh") or s.tags) for s in studies]
    else:
        labeler = _labeler(source, dict(options or {}))
        labels = [dict(said) for said in labeler.labels([s.text(sections) for s in studies])]
    if not any(labels):
        what = "has MeSH headings (extra.mesh, or tags)" if source == MESH else f"has a report that {source} can label"
        raise DataError(f"labels from {source}: none of {len(studies)} studies {what}")
    return [replace(s, labels=said) for s, said in zip(studies, labels, strict=True)]


def from_mesh(headings: Sequence[str]) -> dict[str, float]:
    """ChestX-ray14's labels of a study's MeSH headings, each stated, and No Finding; nothing for no heading."""
    if not headings:
        return {}
    there = {HEADINGS.get(h.split("/")[0].strip().lower()) for h in headings}
    return {**{name: float(name in there) for name in NAMES}, NO_FINDING: float(not there & set(NAMES))}


def _labeler(name: str, options: dict[str, Any]) -> HasLabels:
    from ..registries import metrics

    made = metrics.create(name, **options)
    if not isinstance(made, HasLabels):
        raise OptionError(f"metric {name!r} labels no texts; chexpert-rules does")
    return made
