"""Read the three copies of the Indiana University collection as studies whose views name images.

The path of a view is only the name of the image; the file is searched for afterwards. In R2Gen's copy the names are
paths already.
"""

from __future__ import annotations

from pathlib import Path

from reportgen_core import DataError, OptionError, Study, View
from reportgen_core.files.cells import id_value, text_value
from reportgen_core.files.tables import csv_rows

from .. import r2gen_json
from ..paths import first
from . import openi
from .image_files import TABLES, is_name

LAYOUTS = ("xml", "kaggle", "r2gen")
_XML = ("ecgen-radiology/1.xml", "NLMCXR_reports.tgz", "1.xml", "ecgen-radiology/*.xml")
_KAGGLE = ("indiana_reports.csv*",)
_R2GEN = ("annotation.json", "*annotation*.json")


def detect(root: Path) -> str:
    """Return the layout of the copy in `root`. XML comes first, because it has most fields. Raises DataError."""
    for layout, patterns in zip(LAYOUTS, (_XML, _KAGGLE, _R2GEN), strict=True):
        if first(root, *patterns):
            return layout
    raise DataError(
        f"{root} holds no copy of IU X-Ray: looked for ecgen-radiology/*.xml or NLMCXR_reports.tgz (Open-i), "
        "indiana_reports.csv (Kaggle) and annotation.json (R2Gen), here and one folder below"
    )


def read(layout: str, root: Path) -> list[Study]:
    """Return the studies of a copy. Raises OptionError for an unknown layout and DataError for a damaged copy."""
    if layout not in LAYOUTS:
        raise OptionError(f"layout {layout!r} is none of auto, {', '.join(LAYOUTS)}")
    return {"xml": _xml, "kaggle": _kaggle, "r2gen": _r2gen}[layout](root)


def _find(root: Path, *patterns: str) -> Path:
    path = first(root, *patterns)
    if path is None:
        raise DataError(f"{root} has no {patterns[0]}, here or one folder below")
    return path


def _xml(root: Path) -> list[Study]:
    path = _find(root, *_XML)
    return list(openi.studies(path if path.suffix == ".tgz" else path.parent))


def _kaggle(root: Path) -> list[Study]:
    """Return the studies of Kaggle's tables. They have no MTI tags, so the MeSH headings in `Problems` are the tags."""
    images: dict[str, list[str]] = {}
    if table := first(root, TABLES[0]):
        for row in csv_rows(table, ("uid", "filename")):
            images.setdefault(id_value(row["uid"]) or "", []).append(row["filename"])
    studies = []
    names = ("indication", "comparison", "findings", "impression")
    for row in csv_rows(_find(root, *_KAGGLE), ("uid", "MeSH", "Problems", *names)):
        uid = id_value(row["uid"]) or ""
        mesh = [m.strip() for m in row["MeSH"].split(";") if m.strip()]
        problems = dict.fromkeys(p.strip().lower() for p in row["Problems"].split(";") if p.strip())
        normal = "normal" in problems
        views = (View(Path(name)) for name in sorted(images.get(uid, ())) if is_name(name))
        studies.append(
            Study(
                f"CXR{uid}",
                views=tuple(views),
                sections={name: text for name in names if (text := (text_value(row[name]) or "").strip())},
                tags=tuple(p for p in problems if p not in ("normal", "no indexing")),
                patient=f"CXR{uid}",
                extra={"mesh": mesh, "normal": normal},
            )
        )
    return sorted(studies, key=lambda s: (len(s.id), s.id))


def _r2gen(root: Path) -> list[Study]:
    return r2gen_json.studies(_find(root, *_R2GEN))
