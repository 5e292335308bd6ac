"""Files and folders as studies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from reportgen_core import ImageError, View
from reportgen_core.data.study_files import group_files


def png(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(path, "PNG")
    return path


def dcm(path: Path, study: str, position: str = "PA", patient: str = "4711", **elements: str) -> Path:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    ds.PatientName, ds.PatientID, ds.StudyInstanceUID, ds.ViewPosition = "Doe^Jane", patient, study, position
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def test_each_file_is_a_study_in_the_order_given(tmp_path: Path) -> None:
    b, a = png(tmp_path / "b.png"), png(tmp_path / "a.jpg")
    found = group_files([b, a, b])
    assert [(s.id, s.views) for s in found] == [("b", (View(b),)), ("a", (View(a),))]


def test_a_folder_is_searched_by_name_for_images(tmp_path: Path) -> None:
    for name in ("z.png", "deep/er/y.JPG", "deep/x.tiff", ".hidden/w.png", "__MACOSX/v.png", ".u.png"):
        png(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not an image")
    dcm(tmp_path / "deep" / "IM0001", "1.2")
    dcm(tmp_path / "DICOMDIR", "1.3")
    assert [s.id for s in group_files([tmp_path])] == ["z", "IM0001", "x", "y"]


def test_dicom_files_of_one_examination_are_one_study_named_after_their_folder(tmp_path: Path) -> None:
    front, side = dcm(tmp_path / "case7" / "1", "1.2", "PA"), dcm(tmp_path / "case7" / "2", "1.2", "LL")
    other = dcm(tmp_path / "case8" / "1", "1.3")
    found = group_files([tmp_path])
    assert [(s.id, s.views) for s in found] == [
        ("case7", (View(front, "frontal"), View(side, "lateral"))),
        ("1", (View(other, "frontal"),)),
    ]


def test_examinations_of_several_patients_are_several_studies_though_they_have_one_uid(tmp_path: Path) -> None:
    files = [dcm(tmp_path / f"{n}.dcm", "1.2", patient=id) for n, id in enumerate(["A", "B", "A", "C", ""])]
    studies = group_files([tmp_path])
    assert [[v.path for v in s.views] for s in studies] == [[files[0], files[2]], [files[1]], [files[3]], [files[4]]]


def test_series_and_sides_of_one_examination_stay_together_in_the_order_of_their_files(tmp_path: Path) -> None:
    files = [
        dcm(tmp_path / f"{n}.dcm", "1.2", SeriesInstanceUID=f"1.3.{n % 2}", ImageLaterality="LR"[n % 2])
        for n in range(4)
    ]
    (study,) = group_files([tmp_path])
    assert [v.path for v in study.views] == files


def test_a_folder_of_several_examinations_gives_no_name(tmp_path: Path) -> None:
    for name, uid in [("a1", "1.2"), ("a2", "1.2"), ("b1", "1.3"), ("b2", "1.3")]:
        dcm(tmp_path / f"{name}.dcm", uid)
    assert [(s.id, len(s.views)) for s in group_files([tmp_path])] == [("a1", 2), ("b1", 2)]


def test_studies_of_one_name_are_named_by_their_paths(tmp_path: Path) -> None:
    one, two, three = png(tmp_path / "p1" / "x.png"), png(tmp_path / "p2" / "x.png"), png(tmp_path / "y.png")
    assert [s.id for s in group_files([one, two, three])] == [str(one), str(two), "y"]


def test_nothing_of_the_header_is_in_a_study(tmp_path: Path) -> None:
    shown = repr(group_files([dcm(tmp_path / "a.dcm", "1.2.840.99")]))
    assert not any(secret in shown for secret in ("Doe", "4711", "1.2.840.99"))


def test_a_named_file_that_is_not_there_is_left_to_the_reader(tmp_path: Path) -> None:
    assert [s.id for s in group_files([tmp_path / "absent.png"])] == ["absent"]


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(ImageError, match="has no image"):
        group_files([tmp_path])


def test_a_damaged_dicom_file_is_a_study_of_its_own(tmp_path: Path) -> None:
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(dcm(tmp_path / "whole.dcm", "1.2").read_bytes()[:150])
    assert [s.id for s in group_files([tmp_path])] == ["cut", "whole"]
