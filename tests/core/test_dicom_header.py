"""What the header of a DICOM file says of its view, and what is never read from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from dicom_files import RAMP, made, saved
from pydicom.dataset import Dataset

from reportgen_core.data.dicom import pixels as dicom
from reportgen_core.data.dicom.header import dicom_facts, read_elements


def view_code(code: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", "view"
    return [item]


@pytest.mark.parametrize(
    ("elements", "projection"),
    [
        ({"ViewPosition": "PA"}, "frontal"),
        ({"ViewPosition": "AP"}, "frontal"),
        ({"ViewPosition": "LL"}, "lateral"),
        ({"ViewPosition": "LATERAL", "PatientOrientation": ["L", "F"]}, "lateral"),
        ({"ViewPosition": "Left Lateral"}, "lateral"),
        ({"ViewPosition": "LLAT"}, "lateral"),
        ({"ViewPosition": "AP AXIAL"}, "frontal"),
        ({"ViewPosition": "LEFT LATERAL DECUBITUS"}, "frontal"),
        ({"ViewPosition": "PA", "PatientOrientation": ["A", "F"]}, "lateral"),
        ({"ViewPosition": "PA", "ViewCodeSequence": view_code("399173006")}, "lateral"),
        ({"ViewPosition": "ERECT", "PatientOrientation": ["P", "F"]}, "lateral"),
        ({"ViewPosition": "LAO", "PatientOrientation": ["L", "F"]}, ""),
        ({"ViewCodeSequence": view_code("399348003")}, "frontal"),
        ({"ViewCodeSequence": view_code("399173006")}, "lateral"),
        ({"ViewCodeSequence": view_code("12345")}, ""),
        ({"PatientOrientation": ["L", "F"]}, "frontal"),
        ({"PatientOrientation": ["A", "F"]}, "lateral"),
        ({"PatientOrientation": []}, ""),
        ({"ViewPosition": ""}, ""),
        ({}, ""),
    ],
)
def test_the_header_says_the_projection(tmp_path: Path, elements: dict[str, object], projection: str) -> None:
    assert dicom_facts(saved(made(RAMP, **elements), tmp_path)).projection == projection


def test_nothing_that_identifies_is_parsed_or_shown(tmp_path: Path) -> None:
    path = saved(
        made(RAMP, PatientName="Doe^Jane", PatientID="4711", StudyInstanceUID="1.2.3.4", ViewPosition="PA"), tmp_path
    )
    facts = dicom_facts(path)
    assert not any(secret in repr(facts) + facts.study for secret in ("Doe", "4711", "1.2.3.4", facts.study + "'"))
    with path.open("rb") as file:
        parsed = read_elements(file, path, dicom.ELEMENTS)
    assert not {"PatientName", "PatientID", "StudyInstanceUID"} & set(parsed.dir())


def test_views_of_one_examination_have_one_key(tmp_path: Path) -> None:
    one, two, other = (
        saved(made(RAMP, StudyInstanceUID=uid), tmp_path, f"{i}") for i, uid in enumerate(["1.2", "1.2", "1.3"])
    )
    assert dicom_facts(one).study == dicom_facts(two).study != dicom_facts(other).study
    assert dicom_facts(saved(made(RAMP), tmp_path, "3")).study == ""


def test_patients_are_kept_apart_though_their_examinations_have_one_uid(tmp_path: Path) -> None:
    ids = ["1", "2", "1", "M\xfcller", "M\xf6ller"]
    facts = [
        dicom_facts(
            saved(made(RAMP, StudyInstanceUID="1.2", SpecificCharacterSet="ISO_IR 100", PatientID=id), tmp_path, f"{i}")
        )
        for i, id in enumerate(ids)
    ]
    assert facts[0].study == facts[2].study
    assert len({f.study for f in facts}) == 4


def test_series_and_side_are_facts_of_their_own(tmp_path: Path) -> None:
    same = {"StudyInstanceUID": "1.2", "PatientID": "1"}
    left = dicom_facts(saved(made(RAMP, SeriesInstanceUID="1.3", ImageLaterality="L", **same), tmp_path))
    right = dicom_facts(saved(made(RAMP, SeriesInstanceUID="1.4", Laterality="R", **same), tmp_path))
    assert left.study == right.study
    assert left.series != right.series
    assert (left.laterality, right.laterality) == ("L", "R")


def test_a_header_that_says_two_projections_is_noted(tmp_path: Path) -> None:
    facts = dicom_facts(saved(made(RAMP, ViewPosition="PA", PatientOrientation=["A", "F"]), tmp_path))
    assert facts.notes == (
        "its header contradicts itself (view position PA is frontal, rows towards A is lateral): taken for a lateral view",
    )


def region(meaning: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "T-0", "SRT", meaning
    return [item]


@pytest.mark.parametrize(
    ("elements", "says"),
    [
        ({"Modality": "CT"}, "modality CT: it is no radiograph"),
        ({"Modality": "mr"}, "modality MR"),
        ({"Modality": "US", "BodyPartExamined": "CHEST"}, "modality US"),
        ({"Modality": "MG"}, "modality MG"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, "modality CT"),
        ({"Modality": "OT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "modality MR"),
        ({"Modality": "DX", "BodyPartExamined": "HAND"}, "body part HAND: it is no chest"),
        ({"Modality": "CR", "BodyPartExamined": "Thoracic Spine"}, "body part THORACIC SPINE"),
        ({"BodyPartExamined": "ABDOMEN"}, "body part ABDOMEN"),
        ({"AnatomicRegionSequence": region("Knee")}, "body part KNEE"),
        ({}, ""),
        ({"Modality": "", "BodyPartExamined": ""}, ""),
        ({"Modality": "DX", "BodyPartExamined": "CHEST"}, ""),
        ({"Modality": "CR", "BodyPartExamined": "Thorax PA"}, ""),
        ({"Modality": "RG", "BodyPartExamined": "TORAX"}, ""),
        ({"Modality": "OT", "BodyPartExamined": "UNKNOWN", "AnatomicRegionSequence": region("Lung")}, ""),
        ({"BodyPartExamined": "CHESTABDPELVIS"}, ""),
    ],
)
def test_the_header_says_what_is_no_chest_radiograph(tmp_path: Path, elements: dict[str, object], says: str) -> None:
    reasons = dicom_facts(saved(made(RAMP, **elements), tmp_path)).not_chest
    assert len(reasons) == bool(says)
    assert says in "".join(reasons)


def test_what_a_header_says_is_short_and_printable_in_a_note(tmp_path: Path) -> None:
    path = saved(made(RAMP, BodyPartExamined="HAND"), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"HAND", b"H\x1b[A"))
    (reason,) = dicom_facts(path).not_chest
    assert reason.isprintable()
    assert "\\x1b" in reason
