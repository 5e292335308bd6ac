"""Select and split the studies of the Indiana University collection as papers did.

r2gen  Chen et al. 2020: reports with findings and two or more images. Membership of val and test is their list of ids.
jing   Jing et al. 2018: one case an image, impression and findings, MTI tags, 500 images each for val and test.
       They draw by image, so two images of one report may be in two splits; here reports are drawn.
ditag  Park et al. 2020: frontal images only, impression before findings, of the normal ones 75; 80/10/10 by report.
       Of 1,502 images with a normal tag in the paper 1,387 are found here: those of reports whose MeSH is normal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib import resources

from reportgen_core import OptionError, Study

from ..audit_log import AuditLog
from ..splits import by_patient, order

PROTOCOLS = ("all", "r2gen", "jing", "ditag")


def check_paper_split(protocol: str, layout: str) -> None:
    """Raise OptionError for an unknown protocol, or one that needs more than the layout has."""
    if protocol not in PROTOCOLS:
        raise OptionError(f"protocol {protocol!r} is none of {', '.join(PROTOCOLS)}")
    if layout == "r2gen" and protocol in ("jing", "ditag"):
        raise OptionError(
            f"protocol {protocol!r} needs impressions and tags, which R2Gen's annotation.json does not have"
        )


def select(studies: Sequence[Study], protocol: str, layout: str, audit: AuditLog) -> list[Study]:
    """Return the studies of a protocol, before image files are searched for."""
    if protocol == "r2gen" and layout != "r2gen":
        return _r2gen(studies, audit)
    if protocol in ("jing", "ditag"):
        cases = _one_per_image(studies, audit)
        return cases if protocol == "jing" else _frontal(cases, audit)
    return list(studies)


def split(studies: list[Study], protocol: str, seed: int, normals: int, audit: AuditLog) -> list[Study]:
    """Return the studies with the random split of a protocol."""
    if protocol == "jing":
        audit.notes.append(f"val and test are drawn by report with seed {seed}; Jing et al. draw by image")
        return by_patient(studies, val=500, test=500, seed=seed)
    if protocol == "ditag":
        cases = _fewer_normals(studies, seed, normals, audit)
        tenth = round(len(cases) / 10)
        audit.notes.append(f"normals and split are drawn by report with seed {seed}")
        return by_patient(cases, val=tenth, test=tenth, seed=seed)
    return studies


def split_ids() -> dict[str, str]:
    """Return "val" or "test" by R2Gen's id; every other study that its rule selects is "train"."""
    text = (resources.files("reportgen_plugins") / "data" / "r2gen_iu_split_ids.json").read_text()
    return {id: name for name, ids in json.loads(text).items() for id in ids}


def _r2gen(studies: Iterable[Study], audit: AuditLog) -> list[Study]:
    side, cases = split_ids(), []
    for s in studies:
        if "findings" not in s.sections:
            audit.drop(s.id, "r2gen: no findings")
        elif len(s.views) < 2:
            audit.drop(s.id, "r2gen: fewer than two images")
        else:
            id = _with_cxr(s.views[0].path.name).rsplit("-", 1)[0]
            cases.append(replace(s, id=id, split=side.get(id, "train")))
    return cases


def _with_cxr(name: str) -> str:
    """Return the Open-i id of an image file: Kaggle's `1_IM-0001-3001.dcm.png` is CXR1_1_IM-0001-3001."""
    if name.startswith("CXR"):
        return name.split(".")[0]
    return ("CXR1_" if name.startswith("1_") else "CXR") + name.split(".")[0]


def _one_per_image(studies: Iterable[Study], audit: AuditLog) -> list[Study]:
    cases = []
    for s in studies:
        if not s.sections.keys() & {"impression", "findings"}:
            audit.drop(s.id, "neither impression nor findings")
        elif not s.views:
            audit.drop(s.id, "it lists no image")
        cases += [
            replace(s, id=_with_cxr(v.path.name), views=(v,))
            for v in s.views
            if s.sections.keys() & {"impression", "findings"}
        ]
    return cases


def _frontal(cases: Iterable[Study], audit: AuditLog) -> list[Study]:
    frontal = []
    for s in cases:
        projection = s.views[0].projection
        if projection == "frontal":
            normal = s.extra["normal"] and not s.tags
            frontal.append(replace(s, tags=("normal",) if normal else s.tags))
        else:
            audit.drop(s.id, "ditag: a lateral image" if projection else "ditag: nobody says that it is frontal")
    return frontal


def _fewer_normals(studies: Sequence[Study], seed: int, normals: int, audit: AuditLog) -> list[Study]:
    chosen = set(order([s.id for s in studies if s.extra["normal"]], seed)[:normals])
    cases = []
    for s in studies:
        if s.extra["normal"] and s.id not in chosen:
            audit.drop(s.id, f"ditag: normal, and not among the {normals} drawn")
        else:
            cases.append(s)
    return cases
