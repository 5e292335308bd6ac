"""Make DICOM radiographs for tests: every element of patient and study has a value that a test can look for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CLASSES = {"DX": "1.2.840.10008.5.1.4.1.1.1.1", "CR": "1.2.840.10008.5.1.4.1.1.1", "CT": "1.2.840.10008.5.1.4.1.1.2"}
HEADER = {
    "PatientName": "Größe^Jane",
    "PatientID": "MRN-4711",
    "PatientBirthDate": "19500102",
    "PatientSex": "F",
    "StudyDate": "20200304",
    "StudyTime": "101500",
    "AccessionNumber": "ACC-9",
    "StudyID": "S-1",
    "ReferringPhysicianName": "Refer^Ing",
}
OTHERS = {"InstitutionName": "St Nowhere", "PatientAddress": "Elm Street 5", "OperatorsName": "Oper^Ator"}


def radiograph(path: Path, study: str = "1.2.3", number: int = 1, modality: str = "DX", **header: str) -> Path:
    """Write a radiograph of 96 rows and 80 columns: the image `number` of a study."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SpecificCharacterSet = "ISO_IR 192"
    image.SOPClassUID, image.SOPInstanceUID = CLASSES[modality], f"{study}.1.{number}"
    image.StudyInstanceUID, image.SeriesInstanceUID, image.Modality = study, f"{study}.1", modality
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    for name, value in {**HEADER, **OTHERS, "BodyPartExamined": "CHEST", "ViewPosition": "PA", **header}.items():
        setattr(image, name, value)
    image.SeriesNumber, image.InstanceNumber = 1, number
    image.Rows, image.Columns, image.SamplesPerPixel, image.PhotometricInterpretation = 96, 80, 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 8, 8, 7, 0
    y, x = np.mgrid[-1:1:96j, -1:1:80j]
    grey = np.where((x / 0.7) ** 2 + (y / 0.8) ** 2 < 1, 160, 20) + 20 * np.sin(number + 9 * x)
    image.PixelData = grey.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True)
    return path
