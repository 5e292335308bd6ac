"""IU X-Ray: radiographs and reports of Indiana University, distributed by Open-i (Demner-Fushman et al., 2016).

Three copies are read (iu_layouts.py): Open-i's XML with PNG or DICOM files, Kaggle's tables, R2Gen's annotation.json.
Four choices of studies are offered (iu_protocols.py). No image is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from reportgen_core import Collection, DataError, Dataset, Study, View
from reportgen_core.types import Projection

from ..audit_log import Ledger, require_files
from . import layouts as iu_layouts
from . import paper_splits as iu_protocols
from .image_files import image_files, key, projections


class IuXray(Dataset):
    """Studies of IU X-Ray. `images` and `projections` name a folder and a table that lie outside root."""

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
        layout = iu_layouts.detect(root) if self.layout == "auto" else self.layout
        iu_protocols.check(self.protocol, layout)
        ledger = Ledger(f"iu-xray: {layout} layout of {root}, protocol {self.protocol}")
        studies = iu_layouts.read(layout, root)
        self._count_empty(studies, ledger)
        if layout == "kaggle":
            ledger.notes.append("tags are MeSH headings: Kaggle's tables have no MTI tags")
        if layout != "r2gen":
            studies = self._locate(studies, ledger)
        studies = iu_protocols.select(studies, self.protocol, layout, ledger)
        if self.require_images:
            studies = require_files(studies, ledger)
        return ledger.collect(iu_protocols.split(studies, self.protocol, self.seed, self.normals, ledger))

    def _count_empty(self, studies: list[Study], ledger: Ledger) -> None:
        """Note what the source has, before anything is dropped."""
        none = [{"findings", "impression"} - s.sections.keys() for s in studies]
        ledger.notes.append(
            f"the source has {len(studies)} reports: findings empty in {sum('findings' in n for n in none)}, "
            f"impression in {sum('impression' in n for n in none)}, both in {sum(len(n) == 2 for n in none)}"
        )

    def _locate(self, studies: list[Study], ledger: Ledger) -> list[Study]:
        """The studies with the real paths and the projections of their images."""
        folder = Path(self.images).absolute() if self.images else Path(self.root).absolute()
        files = image_files(folder)
        table, known = projections(Path(self.root), self.projections)
        studies = [replace(s, views=tuple(_view(v, folder, files, known) for v in s.views)) for s in studies]
        views = [v for s in studies for v in s.views]
        there = sum(key(v.path.name) in files for v in views)
        ledger.notes.append(f"image files: {there} of {len(views)} are below {folder}")
        said = sum(bool(v.projection) for v in views)
        ledger.notes.append(f"projections: {said} of {len(views)} images" + (f", from {table}" if table else ""))
        return studies


def _view(view: View, folder: Path, files: Mapping[str, Path], known: Mapping[str, Projection]) -> View:
    """Where a file is missing, the path says where it would be."""
    name, id = view.path.name, key(view.path.name)
    there = files.get(id, folder / (name if "." in name else f"{name}.png"))
    return View(there, known.get(id, ""))
