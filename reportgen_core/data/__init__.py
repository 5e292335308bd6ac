"""Turn image files into studies, and studies into batches of tensors. The wing reads PNG, JPEG, DICOM and other images
by their content, groups the files of one examination, brings pixels to the size that an encoder takes, notes what a
reader must know of them, adds finding labels to studies, and reads ahead while a model computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .batches import ReadBatch, StudyReading, normalise, pad_words, read_batches, read_with
    from .context import Context
    from .dicom import DicomFacts, dicom_facts, is_dicom, naming, stored
    from .image_cache import PreparedImage
    from .images import (
        cached,
        check_spec,
        default_cache,
        equalize,
        prepare,
        prepare_file,
        read_image,
        seen_windows,
        shrink,
        with_picture,
    )
    from .labels import from_mesh, relabel
    from .study_files import group_files
    from .study_reader import LoadedStudy, StudyReader, check_views, choose_views

__all__ = [
    "Context",
    "DicomFacts",
    "LoadedStudy",
    "PreparedImage",
    "ReadBatch",
    "StudyReader",
    "StudyReading",
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
    "pad_words",
    "prepare",
    "prepare_file",
    "read_batches",
    "read_image",
    "read_with",
    "relabel",
    "seen_windows",
    "shrink",
    "stored",
    "with_picture",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "batches": ["ReadBatch", "StudyReading", "normalise", "pad_words", "read_batches", "read_with"],
        "context": ["Context"],
        "dicom": ["DicomFacts", "dicom_facts", "is_dicom", "naming", "stored"],
        "image_cache": ["PreparedImage"],
        "images": [
            "cached",
            "check_spec",
            "default_cache",
            "equalize",
            "prepare",
            "prepare_file",
            "read_image",
            "seen_windows",
            "shrink",
            "with_picture",
        ],
        "labels": ["from_mesh", "relabel"],
        "study_files": ["group_files"],
        "study_reader": ["LoadedStudy", "StudyReader", "check_views", "choose_views"],
    },
)
