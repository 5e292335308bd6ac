"""Choose the training labels of studies: those of the dataset, those that a labeler finds in the reports, or MeSH.

MeSH headings are those of Open-i (Demner-Fushman et al., 2016, doi:10.1093/jamia/ocv080); the first term of a heading
counts. The labels are those of ChestX-ray14, as in TieNet (Wang et al., CVPR 2018, arXiv:1801.04334, section 4), which
takes "the same 14 categories" and does not print its mapping. The mapping here gives the labels of NegBio's Open-i set
(Peng et al., 2018, arXiv:1712.05898): there is no hernia, and a pericardial effusion is an effusion.
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
    """Return the studies with labels from `source`: data, mesh, or the name of a metric that labels reports.

    `options` are those of the metric. Raises DataError if the source gives no label to any study.
    """
    if source == DATA:
        return list(studies)
    if source == MESH:
        labels = [from_mesh(s.extra.get("mesh") or s.tags) for s in studies]
    else:
        labeler = _labeler(source, dict(options or {}))
        labels = [dict(values) for values in labeler.labels([s.text(sections) for s in studies])]
    if not any(labels):
        what = "has MeSH headings (extra.mesh, or tags)" if source == MESH else f"has a report that {source} can label"
        raise DataError(f"labels from {source}: none of {len(studies)} studies {what}")
    return [replace(s, labels=values) for s, values in zip(studies, labels, strict=True)]


def from_mesh(headings: Sequence[str]) -> dict[str, float]:
    """Return a label 0 or 1 for each name in NAMES and for No Finding, by MeSH headings; {} if there is no heading."""
    if not headings:
        return {}
    present = {HEADINGS.get(h.split("/")[0].strip().lower()) for h in headings}
    return {**{name: float(name in present) for name in NAMES}, NO_FINDING: float(not present & set(NAMES))}


def _labeler(name: str, options: dict[str, Any]) -> HasLabels:
    from ..registries import metrics

    metric = metrics.create(name, **options)
    if not isinstance(metric, HasLabels):
        raise OptionError(f"metric {name!r} labels no texts; chexpert-rules does")
    return metric
