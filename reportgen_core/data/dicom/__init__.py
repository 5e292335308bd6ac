"""Read DICOM files: what their headers say of patient, study and view, and their pixels as grey values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .header import DicomFacts, dicom_facts, is_dicom, naming
    from .pixels import MAX_PIXELS, read_pixels, stored

__all__ = ["MAX_PIXELS", "DicomFacts", "dicom_facts", "is_dicom", "naming", "read_pixels", "stored"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "header": ["DicomFacts", "dicom_facts", "is_dicom", "naming"],
        "pixels": ["MAX_PIXELS", "read_pixels", "stored"],
    },
)
