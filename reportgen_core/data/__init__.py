"""How image files become studies with labels, and studies become batches of tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .batches import Item, Reader, check_views, choose_views, normalise, padded, read_batches
    from .dicom import DicomFacts, dicom_facts, is_dicom, naming, stored
    from .images import cached, check_spec, default_cache, equalize, prepare, read_image
    from .labels import LabelsTexts, from_mesh, relabel
    from .study_files import group_files

__all__ = [
    "DicomFacts",
    "Item",
    "LabelsTexts",
    "Reader",
    "cached",
    "check_spec",
    "check_views",
    "choose_views",
    "default_cache",
    "dicom_facts",
    "equalize",
    "from_mesh",
    "group_files",
    "is_dicom",
    "naming",
    "normalise",
    "padded",
    "prepare",
    "read_batches",
    "read_image",
    "relabel",
    "stored",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "batches": ["Item", "Reader", "check_views", "choose_views", "normalise", "padded", "read_batches"],
        "dicom": ["DicomFacts", "dicom_facts", "is_dicom", "naming", "stored"],
        "images": ["cached", "check_spec", "default_cache", "equalize", "prepare", "read_image"],
        "labels": ["LabelsTexts", "from_mesh", "relabel"],
        "study_files": ["group_files"],
    },
)
