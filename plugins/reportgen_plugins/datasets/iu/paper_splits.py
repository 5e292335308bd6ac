"""Which studies of the Indiana University collection a paper used, and how it split them.

r2gen  Chen et al. 2020: reports with findings and two or more images. Membership of val and test is their list of ids.
jing   Jing et al. 2018: one case an image, impression and findings, MTI tags, 500 images each for val and test.
       Theirs is drawn by image, so that two images of one report may stand on two sides; ours is drawn by report.
ditag  Park et al. 2020: frontal images only, impression before findings, of the normal ones 75; 80/10/10 by report.
       Their 1,502 images with a normal tag are 1,387 here: those of reports whose MeSH says normal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib import resources

from reportgen_core import OptionError, Study

from ..audit_log import Ledger
from ..splits import by_patient, order

PROTOCOLS = ("all", "r2gen", "jing", "ditag")


def check(protocol: str, layout: str) -> None:
    if protocol not in PROTOCOLS:
        raise OptionError(f"protocol {protocol!r} is none of {', '.join(PROTOCOLS)}")
    if layout == "r2gen" and protocol in ("jing", "ditag"):
        raise OptionError(
            f"protocol {protocol!r} needs impressions and tags, which R2Gen's annotation.json does not have"
        )


def select(studies: Sequence[Study], protocol: str, layout: str, ledger: Ledger) -> list[Study]:
    """The cases of a protocol, before it is known which image files are there."""
    if protocol == "r2gen" and layout != "r2gen":
        return _r2gen(studies, ledger)
    if protocol in ("jing", "ditag"):
        cases = _one_per_image(studies, ledger)
        return cases if protocol == "jing" else _frontal(cases, ledger)
    return list(studies)


def split(studies: list[Study], protocol: str, seed: int, normals: int, ledger: Ledger) -> list[Study]:
    """The random draws of a protocol, among what is there."""
    if protocol == "jing":
        ledger.notes.append(f"val and test are drawn by report with seed {seed}; Jing et al. draw by image")
        return by_patient(studies, val=500, test=500, seed=seed)
    if protocol == "ditag":
        kept = _fewer_normals(studies, seed, normals, ledger)
        tenth = round(len(kept) / 10)
        ledger.notes.append(f"normals and split are drawn by report with seed {seed}")
        return by_patient(kept, val=tenth, test=tenth, seed=seed)
    return studies


def split_ids() -> dict[str, str]:
    """R2Gen's id -> "val" or "test"; every other study that its rule keeps is "train"."""
    text = (resources.files("reportgen_plugins") / "data" / "r2gen_iu_split_ids.json").read_text()
    return {id: name for name, ids in json.loads(text).items() for id in ids}


def _r2gen(studies: Iterable[Study], ledger: Ledger) -> list[Study]:
    side, kept = split_ids(), []
    for s in studies:
        if "findings" not in s.sections:
            ledger.drop(s.id, "r2gen: no findings")
        elif len(s.views) < 2:
            ledger.drop(s.id, "r2gen: fewer than two images")
        else:
            id = _with_cxr(s.views[0].path.name).rsplit("-", 1)[0]
            kept.append(replace(s, id=id, split=side.get(id, "train")))
    return kept


def _with_cxr(name: str) -> str:
    """The Open-i id of an image file: Kaggle's `1_IM-0001-3001.dcm.png` is CXR1_1_IM-0001-3001."""
    if name.startswith("CXR"):
        return name.split(".")[0]
    return ("CXR1_" if name.startswith("1_") else "CXR") + name.split(".")[0]


def _one_per_image(studies: Iterable[Study], ledger: Ledger) -> list[Study]:
    cases = []
    for s in studies:
        if not s.sections.keys() & {"impression", "findings"}:
            ledger.drop(s.id, "neither impression nor findings")
        elif not s.views:
            ledger.drop(s.id, "it lists no image")
        cases += [
            replace(s, id=_with_cxr(v.path.name), views=(v,))
            for v in s.views
            if s.sections.keys() & {"impression", "findings"}
        ]
    return cases


def _frontal(cases: Iterable[Study], ledger: Ledger) -> list[Study]:
    kept = []
    for s in cases:
        projection = s.views[0].projection
        if projection == "frontal":
            normal = s.extra["normal"] and not s.tags
            kept.append(replace(s, tags=("normal",) if normal else s.tags))
        else:
            ledger.drop(s.id, "ditag: a lateral image" if projection else "ditag: nobody says that it is frontal")
    return kept


def _fewer_normals(studies: Sequence[Study], seed: int, normals: int, ledger: Ledger) -> list[Study]:
    chosen = set(order([s.id for s in studies if s.extra["normal"]], seed)[:normals])
    kept = []
    for s in studies:
        if s.extra["normal"] and s.id not in chosen:
            ledger.drop(s.id, f"ditag: normal, and not among the {normals} drawn")
        else:
            kept.append(s)
    return kept
