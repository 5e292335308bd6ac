"""Make DICOM files of radiographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
)

RAMP = np.linspace(0, 4095, 48 * 40).reshape(48, 40).astype(np.uint16)  # 12 bits


def made(pixels: np.ndarray, syntax: str = ExplicitVRLittleEndian, **elements: object) -> Dataset:
    """A data set of one grey 12-bit image, with further elements by keyword."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    ds.SOPInstanceUID = "1.2.3"
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8 * pixels.itemsize, 12, 11
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.astype(pixels.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")).tobytes()
    ds["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def saved(ds: Dataset, folder: Path, name: str = "chest.dcm") -> Path:
    path = folder / name
    ds.save_as(path, enforce_file_format=True)
    return path
