"""IU X-Ray: radiographs and reports of Indiana University, distributed by Open-i (Demner-Fushman et al., 2016).

Three copies are read (layouts.py): Open-i's XML with PNG or DICOM files, Kaggle's tables, R2Gen's annotation.json.
Four selections of studies are offered (paper_splits.py). No image is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reportgen_core import Collection, DataError, Dataset, Study, View
from reportgen_core.types import Projection

from ..audit_log import AuditLog, require_files
from . import layouts, paper_splits
from .image_files import image_files, key, projections


class IuXray(Dataset):
    """Studies of IU X-Ray.

    Args:
        layout: the copy: xml (Open-i), kaggle, r2gen, or auto to look.
        protocol: selection and split of the studies: all, r2gen, jing or ditag.
        require_images: false also takes studies whose image file is not there.
        images: folder of the images, if it is outside `root`.
        projections: table of projections, if it is outside `root`.
        seed: seed of the random splits of a protocol.
        normals: normal studies that protocol ditag puts aside.
    """

    def __init__(
        self,
        root: Path,
        *,
        layout: str = "auto",
        protocol: str = "all",
        require_images: bool = True,
        images: str = "",
        projections: str = "",
        seed: int = 0,
        normals: int = 75,
    ) -> None:
        super().__init__(root)
        self.layout, self.protocol, self.require_images = layout, protocol, require_images
        self.images, self.projections, self.seed, self.normals = images, projections, seed, normals

    def read(self) -> Collection:
        root = Path(self.root).absolute()
        if not root.is_dir():
            raise DataError(f"{root} is no folder; IU X-Ray's root is the folder that holds its reports")
        layout = layouts.detect(root) if self.layout == "auto" else self.layout
        paper_splits.check_paper_split(self.protocol, layout)
        audit = AuditLog(f"iu-xray: {layout} layout of {root}, protocol {self.protocol}")
        studies = layouts.read(layout, root)
        self._count_empty(studies, audit)
        if layout == "kaggle":
            audit.notes.append("tags are MeSH headings: Kaggle's tables have no MTI tags")
        if layout != "r2gen":
            studies = self._locate(studies, audit)
        studies = paper_splits.select(studies, self.protocol, layout, audit)
        if self.require_images:
            studies = require_files(studies, audit)
        return audit.collect(paper_splits.split(studies, self.protocol, self.seed, self.normals, audit))

    def _count_empty(self, studies: list[Study], audit: AuditLog) -> None:
        """Note the number of reports and of empty sections, before any study is dropped."""
        empty = [{"findings", "impression"} - s.sections.keys() for s in studies]
        audit.notes.append(
            f"the source has {len(studies)} reports: findings empty in {sum('findings' in e for e in empty)}, "
            f"impression in {sum('impression' in e for e in empty)}, both in {sum(len(e) == 2 for e in empty)}"
        )

    def _locate(self, studies: list[Study], audit: AuditLog) -> list[Study]:
        """Return the studies with the paths and the projections of their images."""
        folder = Path(self.images).absolute() if self.images else Path(self.root).absolute()
        files = image_files(folder)
        table, sides = projections(Path(self.root), self.projections)
        studies = [replace(s, views=tuple(_view(v, folder, files, sides) for v in s.views)) for s in studies]
        views = [v for s in studies for v in s.views]
        present = sum(key(v.path.name) in files for v in views)
        audit.notes.append(f"image files: {present} of {len(views)} are below {folder}")
        stated = sum(bool(v.projection) for v in views)
        audit.notes.append(f"projections: {stated} of {len(views)} images" + (f", from {table}" if table else ""))
        return studies


def _view(view: View, folder: Path, files: Mapping[str, Path], sides: Mapping[str, Projection]) -> View:
    """Return a view with its path and projection. If the file is missing, the path is where it should be."""
    name, id = view.path.name, key(view.path.name)
    path = files.get(id, folder / (name if "." in name else f"{name}.png"))
    return View(path, sides.get(id, ""))
